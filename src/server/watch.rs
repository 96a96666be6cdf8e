//! Watches the files that the config was read from, and the certificates and the GeoIP database in use, on a thread of its own: a disk that hangs
//! holds up nothing else.
//!
//! It asks the system for what every name stands for now, a few times a second. Notices of changes would come sooner by a
//! moment, but not from network file systems, and they speak of the file that a name stood for once: mounted ConfigMaps and
//! Secrets, and editors, put another in its place.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::renewals::Renewals;
use crate::{
    config::Sighting,
    runtime::{Reloader, reload::Trigger},
};

/// How often the files are looked at. A change counts when two looks agree, so it is in force within a second.
const LOOK: Duration = Duration::from_millis(250);

/// How long a change may wait for the files to come to rest.
const LONGEST: Duration = Duration::from_secs(1);

/// A running watch; dropping it ends it after the look that it is at.
#[derive(Debug)]
pub struct Watching(#[expect(dead_code, reason = "its Drop ends the thread")] mpsc::Sender<()>);

/// Starts to watch.
///
/// # Errors
///
/// If the system gives no thread.
pub fn start(reloader: Reloader, mut renewals: Renewals) -> io::Result<Watching> {
    let (keep, ended) = mpsc::channel();
    let mut files = Files::new(reloader);
    thread::Builder::new().name("watch".to_owned()).spawn(move || {
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let wall = SystemTime::now();
            files.look(Instant::now(), wall);
            renewals.look_at_regions(Instant::now());
            if renewals.is_wanted() {
                renewals.look(wall);
            }
        }
    })?;
    Ok(Watching(keep))
}

/// The files of the config.
#[derive(Debug)]
struct Files {
    reloader: Reloader,
    seen: Sighting,
    /// Since when there is a change that has not been read.
    pending: Option<Instant>,
    /// Whether a change may hide behind a coarse time stamp.
    unsure: bool,
}

impl Files {
    fn new(reloader: Reloader) -> Self {
        // They were read a moment ago and may have changed since.
        let seen = Sighting::of(&reloader.files());
        Self { reloader, seen, pending: None, unsure: true }
    }

    fn look(&mut self, now: Instant, wall: SystemTime) {
        let files = self.reloader.files();
        let seen = Sighting::of(&files);
        let moved = seen != self.seen;
        self.seen = seen;
        if moved {
            self.pending.get_or_insert(now);
        }
        let fresh = self.seen.is_fresh(wall);
        let due = match self.pending {
            Some(since) => !moved || now.saturating_duration_since(since) >= LONGEST,
            None => self.unsure && !fresh,
        };
        if due {
            self.pending = None;
            self.unsure = fresh;
            let _ = self.reloader.reload(Trigger::File);
        }
    }
}
