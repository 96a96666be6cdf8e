//! Reading small text files, with reasons an operator can act on.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::process::geteuid;
use secrecy::zeroize::Zeroizing;

/// The most bytes of a key, a certificate chain or another file that a config names.
pub(super) const MAX_SIZE: usize = 1 << 20;

/// The whole of a small text file, or why it can't be had.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let bytes = read(path, MAX_SIZE)?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// The bytes of a file of at most `most` bytes. No more is read, so a device or a huge file costs nothing.
pub(super) fn read(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| reason(&error))?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() > most { Err(format!("it is larger than {} KiB", most >> 10)) } else { Ok(bytes) }
}

/// The text of a file that holds nothing but one secret; wiped when it is dropped.
///
/// One that belongs to this user must be open to nobody else, as ssh(1) wants it of its keys. Another owner (root, where an
/// orchestrator mounts Secrets) has decided for himself who may read it.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, String> {
    const MOST: usize = 4096;
    let file = File::open(path).map_err(|error| reason(&error))?;
    let metadata = file.metadata().map_err(|error| reason(&error))?;
    let mode = metadata.mode() & 0o777;
    if metadata.is_file() && metadata.uid() == geteuid().as_raw() && mode & 0o077 != 0 {
        return Err(format!("other users may open it (its mode is {mode:04o}); take that from them: `chmod 600`"));
    }
    // Room for all of it: one that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST + 1));
    file.take(MOST as u64 + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() > MOST {
        return Err(format!("it is larger than {} KiB", MOST >> 10));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
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
