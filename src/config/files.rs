//! Reading small text files, with reasons an operator can act on.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    process::geteuid,
};
use secrecy::zeroize::Zeroizing;

/// The most bytes of a key, a certificate chain or another file that a config names.
pub(super) const MAX_SIZE: usize = 1 << 20;

/// How long a pipe or a terminal may take to say all. It may stand where a file stood, and a reload that waited for ever
/// would keep every later one from being made.
const PATIENCE: Duration = Duration::from_secs(2);

/// The whole of a small text file, or why it can't be had.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let bytes = read(path, MAX_SIZE)?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// The bytes of a file of at most `most` bytes. No more is read, so a device or a huge file costs nothing.
pub(super) fn read(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = open(path).map_err(|error| reason(&error))?;
    in_time(&file).take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() > most { Err(format!("it is larger than {} KiB", most >> 10)) } else { Ok(bytes) }
}

/// The text of a file that holds nothing but one secret; wiped when it is dropped.
///
/// One that belongs to this user must be open to nobody else, as ssh(1) wants it of its keys. Another owner (root, where an
/// orchestrator mounts Secrets) has decided for himself who may read it.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, String> {
    const MOST: usize = 4096;
    let file = open(path).map_err(|error| reason(&error))?;
    let metadata = file.metadata().map_err(|error| reason(&error))?;
    let mode = metadata.mode() & 0o777;
    if metadata.is_file() && metadata.uid() == geteuid().as_raw() && mode & 0o077 != 0 {
        return Err(format!("other users may open it (its mode is {mode:04o}); take that from them: `chmod 600`"));
    }
    // Room for all of it: one that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST + 1));
    in_time(&file).take(MOST as u64 + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() > MOST {
        return Err(format!("it is larger than {} KiB", MOST >> 10));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Opens a file, and waits for nobody: a pipe is open before somebody writes to it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Reads what is no regular file only while there is something to read, and not for longer than [`PATIENCE`].
struct InTime<'f> {
    file: &'f File,
    until: Instant,
    is_regular: bool,
}

fn in_time(file: &File) -> InTime<'_> {
    let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
    InTime { file, until: Instant::now() + PATIENCE, is_regular }
}

impl InTime<'_> {
    fn wait(&self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        // A pipe that nobody has opened yet to write is not at its end.
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(self.file, PollFlags::IN)], left.as_ref())? {
            0 => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it is no file, and did not come to an end within {} s", PATIENCE.as_secs()),
            )),
            _ => Ok(()),
        }
    }
}

impl Read for InTime<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_regular {
            self.wait()?;
        }
        self.file.read(buffer)
    }
}

/// Why the system refused, in words.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::NotADirectory => "it is not a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// What reading comes to, from a thread that may never end.
    fn read_apart(path: &Path) -> Result<String, String> {
        let (tell, told) = mpsc::channel();
        let path = path.to_owned();
        thread::spawn(move || tell.send(read_text(&path)));
        told.recv_timeout(Duration::from_secs(20)).expect("reading does not end")
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(read_apart(&path).unwrap_err().contains("no file"), "nobody writes");
        let writing = thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, "text")
        });
        assert_eq!(read_apart(&path).as_deref(), Ok("text"));
        writing.join().unwrap().unwrap();
    }
}
