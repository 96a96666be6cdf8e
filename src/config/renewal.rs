//! Files that something is made from, looked at again and again, so that it can be made anew when their content changes.
//!
//! Content decides, not the way in which it came: rewritten in place, renamed over, or by a symbolic link that points
//! elsewhere now. Several files are replaced one after the other, and each may be half written when we look: so what is
//! new counts only when two looks in a row find the same.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use aws_lc_rs::digest::{SHA256, digest};

use super::{files, stamp::Stamp};

/// A file's content without the content, which may be a secret; or why it can't be read.
type Digest = Result<[u8; 32], String>;

/// Files and what was last made of them.
#[derive(Debug)]
pub struct Renewal {
    paths: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
    /// The content that was last handed out.
    judged: Vec<Digest>,
    /// Another content, seen once.
    unsettled: Option<Vec<Digest>>,
}

impl Renewal {
    /// Reads the files for the first time. Their contents come in the order of `paths`.
    ///
    /// # Errors
    ///
    /// If one can't be read.
    pub fn open(paths: Vec<PathBuf>) -> Result<(Self, Vec<Vec<u8>>), String> {
        let stamps = paths.iter().map(|path| Stamp::of(path)).collect();
        let contents = paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let judged = contents.iter().map(|content| Ok(hash(content))).collect();
        Ok((Self { paths, stamps, judged, unsettled: None }, contents))
    }

    /// Whether there is anything to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Looks at the files. What is in them is handed out once for each content that has settled; an error means that one
    /// of them can't be read.
    pub fn look(&mut self, now: SystemTime) -> Option<Result<Vec<Vec<u8>>, String>> {
        // The stamps come first: what changes while we read is seen at the next look.
        let stamps: Vec<_> = self.paths.iter().map(|path| Stamp::of(path)).collect();
        let fresh = stamps.iter().flatten().any(|stamp| stamp.is_fresh(now));
        let same = std::mem::replace(&mut self.stamps, stamps) == self.stamps;
        let unreadable = self.judged.iter().any(Result::is_err);
        if same && !fresh && !unreadable && self.unsettled.is_none() {
            return None;
        }
        let contents: Vec<_> = self.paths.iter().map(|path| read(path)).collect();
        let found = contents.iter().map(|content| content.as_deref().map(hash).map_err(Clone::clone)).collect();
        if found == self.judged {
            self.unsettled = None;
            return None;
        }
        if self.unsettled.as_ref() != Some(&found) {
            self.unsettled = Some(found);
            return None;
        }
        self.unsettled = None;
        self.judged = found;
        Some(contents.into_iter().collect())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    // Whoever opens a pipe waits for its other end, maybe for ever, and no change would be seen any more.
    let waits = std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    let bytes = if waits { Err("it is no regular file".to_owned()) } else { files::read(path, files::MAX_SIZE) };
    bytes.map_err(|why| format!("the file `{}` can't be read: {why}", path.display()))
}

fn hash(content: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, content).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, time::Duration};

    use super::*;

    /// What the next two looks find, as text.
    fn settled(renewal: &mut Renewal) -> Option<Result<Vec<String>, String>> {
        let now = SystemTime::now();
        assert!(renewal.look(now).is_none(), "nothing has settled at the first look");
        let found = renewal.look(now)?;
        assert!(renewal.look(now).is_none(), "it is told once");
        Some(found.map(|contents| contents.into_iter().map(|content| String::from_utf8(content).unwrap()).collect()))
    }

    #[test]
    fn content_is_handed_out_once_however_it_came() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "1").unwrap();
        fs::create_dir(path("first")).unwrap();
        fs::write(path("first/b"), "1").unwrap();
        symlink("first", path("..data")).unwrap();
        symlink("..data/b", path("b")).unwrap();
        let (mut renewal, contents) = Renewal::open(vec![path("a"), path("b")]).unwrap();
        assert_eq!(contents, [b"1", b"1"]);
        assert_eq!(settled(&mut renewal), None);
        let both = |a: &str, b: &str| Some(Ok(vec![a.to_owned(), b.to_owned()]));

        fs::write(path("a"), "2").unwrap();
        assert_eq!(settled(&mut renewal), both("2", "1"), "in place");
        fs::write(path("new"), "3").unwrap();
        fs::rename(path("new"), path("a")).unwrap();
        assert_eq!(settled(&mut renewal), both("3", "1"), "renamed over");
        fs::create_dir(path("second")).unwrap();
        fs::write(path("second/b"), "2").unwrap();
        symlink("second", path("..tmp")).unwrap();
        fs::rename(path("..tmp"), path("..data")).unwrap();
        assert_eq!(settled(&mut renewal), both("3", "2"), "another target of the link");
        // The same bytes once more are no news.
        fs::write(path("a"), "3").unwrap();
        assert_eq!(settled(&mut renewal), None);
    }

    #[test]
    fn what_still_changes_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let (mut renewal, _) = Renewal::open(vec![path.clone()]).unwrap();
        for half in ["n", "ne", "new"] {
            fs::write(&path, half).unwrap();
            assert!(renewal.look(SystemTime::now()).is_none(), "{half}");
        }
        assert_eq!(renewal.look(SystemTime::now()), Some(Ok(vec![b"new".to_vec()])));
        // Back before anybody saw it twice: nothing has happened.
        fs::write(&path, "other").unwrap();
        assert!(renewal.look(SystemTime::now()).is_none());
        fs::write(&path, "new").unwrap();
        assert_eq!(settled(&mut renewal), None);
    }

    #[test]
    fn a_file_that_is_gone_is_told_once_and_looked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert!(Renewal::open(vec![path.clone()]).is_err());
        fs::write(&path, "1").unwrap();
        let (mut renewal, _) = Renewal::open(vec![path.clone()]).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(settled(&mut renewal).unwrap().unwrap_err().contains("there is no such file"));
        fs::write(&path, "1").unwrap();
        assert_eq!(settled(&mut renewal), Some(Ok(vec!["1".to_owned()])), "also with the content that it had before");
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "1").unwrap();
        let (mut renewal, _) = Renewal::open(vec![path.clone()]).unwrap();
        fs::remove_file(&path).unwrap();
        // A socket stands for a pipe, at which a test that fails would hang.
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(settled(&mut renewal).unwrap().unwrap_err().contains("it is no regular file"));
    }

    #[test]
    fn an_old_file_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "1").unwrap();
        let (mut renewal, _) = Renewal::open(vec![path]).unwrap();
        // As if another content had been judged: only who reads would notice.
        renewal.judged = vec![Ok([0; 32])];
        let later = SystemTime::now() + Duration::from_secs(60);
        assert!(renewal.look(later).is_none() && renewal.look(later).is_none());
        let now = SystemTime::now();
        assert!(renewal.look(now).is_none() && renewal.look(now).is_some(), "a fresh one is");
    }
}
