//! What the system says of a file without reading it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How long a change may hide behind a time stamp that is as coarse as some file systems have it.
pub(super) const COARSEST: Duration = Duration::from_secs(3);

/// The most entries of a directory that are looked at one by one. A key directory has few; whose has more is not listed in full.
const MOST_ENTRIES: usize = 10_000;

/// One file, links followed: the same as long as nobody has touched it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::read)
    }

    fn read(found: &fs::Metadata) -> Self {
        Self {
            place: (found.dev(), found.ino()),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    /// Whether it may have been changed again since, within the same tick of the file system's clock.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(self.changed.0.try_into().unwrap_or(0));
        now.duration_since(changed).is_ok_and(|age| age < COARSEST) || changed > now
    }
}

/// Files and directories at one moment. Two that are equal, and not fresh, hold the same content.
///
/// Only the system is asked, nothing is read, so it may be done often. It sees every way in which a file is replaced, since it
/// asks for the name and not for what once stood behind it: written in place, renamed over, or by a symbolic link, as
/// mounted ConfigMaps and Secrets are; also on file systems that tell nobody of changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sighting(Vec<(PathBuf, Option<Stamp>)>);

impl Sighting {
    /// Looks at `paths`, and at each entry of those that are directories.
    #[must_use]
    pub fn of(paths: &[PathBuf]) -> Self {
        let (mut seen, mut directories) = (Vec::with_capacity(paths.len()), Vec::<&Path>::new());
        for path in paths {
            // A directory comes before what was read in it: that is among its entries.
            if path.parent().is_some_and(|parent| directories.contains(&parent)) {
                continue;
            }
            let found = fs::metadata(path).ok();
            if found.as_ref().is_some_and(fs::Metadata::is_dir) {
                let entries = fs::read_dir(path).into_iter().flatten().flatten().take(MOST_ENTRIES);
                let mut entries: Vec<_> = entries.map(|entry| entry.path()).collect();
                entries.sort();
                seen.extend(entries.into_iter().map(|entry| {
                    let stamp = Stamp::of(&entry);
                    (entry, stamp)
                }));
                directories.push(path);
            }
            seen.push((path.clone(), found.as_ref().map(Stamp::read)));
        }
        Self(seen)
    }

    /// Whether something of it may have been changed again since, unseen.
    #[must_use]
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        self.0.iter().filter_map(|(_, stamp)| stamp.as_ref()).any(|stamp| stamp.is_fresh(now))
    }
}
