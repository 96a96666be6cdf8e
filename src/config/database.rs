//! The file of a GeoIP database (MaxMind DB): looked at without being read, read as a whole, and seen to change.
//!
//! Such a file may have hundreds of megabytes. So it is read once for each content, whatever is reloaded beside it, and a
//! change is told by the file's stamp alone.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    files,
    stamp::{COARSEST, Stamp},
};

/// The most bytes of a database; those that tell countries have about ten million, those of cities a hundred.
pub const MAX_SIZE: u64 = 512 << 20;

/// What stands before the metadata (MaxMind DB 2.0).
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Where the marker is looked for: so many bytes at the end hold the metadata at most (MaxMind DB 2.0).
const MARGIN: u64 = 128 << 10;

/// Looks at the end of the file, where a database says what it is.
///
/// # Errors
///
/// If it can't be read, is no database, or was cut off.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let (file, size) = open(path)?;
    let from = size.saturating_sub(MARGIN);
    let mut end = vec![0; (size - from) as usize];
    file.read_exact_at(&mut end, from).map_err(|error| files::reason(&error))?;
    match memchr::memmem::rfind(&end, MARKER) {
        Some(_) => Ok(()),
        None => Err("it is no MaxMind DB file, or was cut off".to_owned()),
    }
}

fn open(path: &Path) -> Result<(File, u64), String> {
    let file = files::open(path).map_err(|error| files::reason(&error))?;
    let found = file.metadata().map_err(|error| files::reason(&error))?;
    match found.len() {
        _ if found.is_dir() => Err("it is a directory".to_owned()),
        _ if !found.is_file() => Err("it is no regular file".to_owned()),
        size if size > MAX_SIZE => Err(format!("it is larger than {} MiB", MAX_SIZE >> 20)),
        size => Ok((file, size)),
    }
}

/// A database's file, read and looked at again and again.
#[derive(Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    /// What was there when it was last read, or could not be.
    judged: Option<Stamp>,
    /// Something else, and since when it has been as it is.
    unsettled: Option<(Option<Stamp>, Instant)>,
}

impl DatabaseFile {
    /// The file at `path`, not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, judged: None, unsettled: None }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// If it can't be read, or is larger than [`MAX_SIZE`].
    pub fn read(&mut self) -> Result<Vec<u8>, String> {
        self.unsettled = None;
        // The stamp comes first: what changes while we read is another file at the next look.
        self.judged = Stamp::of(&self.path);
        let (file, size) = open(&self.path)?;
        let mut bytes = Vec::with_capacity(size as usize + 1);
        file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(|error| files::reason(&error))?;
        if bytes.len() as u64 > MAX_SIZE { Err(format!("it is larger than {} MiB", MAX_SIZE >> 20)) } else { Ok(bytes) }
    }

    /// Whether another file is there than was last read.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        Stamp::of(&self.path) != self.judged
    }

    /// Whether another file is there and has come to rest: it has stayed as it is for longer than a change may hide behind a
    /// coarse time stamp, so that each content that a writer leaves behind is seen.
    pub fn has_settled(&mut self, now: Instant) -> bool {
        let stamp = Stamp::of(&self.path);
        if stamp == self.judged {
            self.unsettled = None;
            return false;
        }
        match &self.unsettled {
            Some((seen, since)) if *seen == stamp => now.saturating_duration_since(*since) >= COARSEST,
            _ => {
                self.unsettled = Some((stamp, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, time::Duration};

    use super::*;

    #[test]
    fn a_change_counts_when_it_has_come_to_rest_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("first")).unwrap();
        fs::write(path("first/db"), "1").unwrap();
        symlink("first", path("..data")).unwrap();
        symlink("..data/db", path("db")).unwrap();
        let (mut file, start) = (DatabaseFile::new(path("db")), Instant::now());
        assert_eq!(file.read().unwrap(), b"1");
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!file.has_settled(at(0)) && !file.has_settled(at(60)), "nothing has changed");
        // As a mounted ConfigMap changes.
        fs::create_dir(path("second")).unwrap();
        fs::write(path("second/db"), "22").unwrap();
        symlink("second", path("..tmp")).unwrap();
        fs::rename(path("..tmp"), path("..data")).unwrap();
        assert!(file.has_changed() && !file.has_settled(at(61)) && !file.has_settled(at(63)));
        fs::write(path("second/db"), "333").unwrap();
        assert!(!file.has_settled(at(64)) && !file.has_settled(at(66)), "it is still being written");
        assert!(file.has_settled(at(67)));
        assert_eq!(file.read().unwrap(), b"333");
        assert!(!file.has_changed() && !file.has_settled(at(68)) && !file.has_settled(at(99)));
        fs::remove_file(path("db")).unwrap();
        assert!(!file.has_settled(at(100)) && file.has_settled(at(103)), "that it is gone is told as well");
        assert_eq!(file.read().unwrap_err(), "there is no such file");
        assert!(!file.has_settled(at(104)) && !file.has_settled(at(200)));
    }

    #[test]
    fn what_is_no_database_is_told_by_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let refused = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            check(&path).err()
        };
        let whole = [&[0; 200_000], MARKER, b"metadata"].concat();
        assert_eq!(refused(&whole), None);
        for content in [&b""[..], b"text", &whole[..whole.len() - 9], &[MARKER, &[0; 200_000]].concat()] {
            assert!(refused(content).unwrap().contains("no MaxMind DB file"), "{}", content.len());
        }
        File::create(&path).unwrap().set_len(MAX_SIZE + 1).unwrap();
        assert_eq!(check(&path).unwrap_err(), "it is larger than 512 MiB");
        assert_eq!(DatabaseFile::new(path.clone()).read().unwrap_err(), "it is larger than 512 MiB");
        assert_eq!(check(folder.path()).unwrap_err(), "it is a directory");
        fs::remove_file(&path).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(check(&path).is_err(), "and nobody waits for it");
    }
}
