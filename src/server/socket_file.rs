//! The file of a Unix socket: there while somebody listens, and gone afterwards.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

/// Removes the file when the listener ends, unless another has taken its place: that belongs to who comes after us.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    made: Option<(u64, u64)>,
}

impl SocketFile {
    /// Listens at `path`.
    ///
    /// # Errors
    ///
    /// If somebody listens there already, or the file can't be made.
    pub fn bind(path: &Path) -> io::Result<(UnixListener, Self)> {
        remove_stale(path)?;
        let socket = UnixListener::bind(path)?;
        Ok((socket, Self { path: path.to_owned(), made: found(path) }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if found(&self.path) == self.made {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Device and inode of what stands there.
fn found(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// A socket file that nobody listens on was left by a process that could not clean up.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_who_comes_after_us_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (_old, first) = SocketFile::bind(&path).unwrap();
        // Kept, so that its inode is not given to the next.
        fs::rename(&path, directory.path().join("aside")).unwrap();
        let (_new, second) = SocketFile::bind(&path).unwrap();
        drop(first);
        assert!(path.exists(), "the second still listens there");
        drop(second);
        assert!(!path.exists(), "nobody does");
    }
}
