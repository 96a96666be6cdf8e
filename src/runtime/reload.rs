//! Puts a changed config in force while requests run: all of it or nothing.
//!
//! Read everything → compare → refuse as a whole where a field needs a restart → compile → one pointer swap. Whatever fails on
//! the way leaves the generation in force as it was. Requests keep the generation that they began with; counters and
//! connections belong to no generation.
//!
//! A config that is refused does not hold up its keys: those that the text in force names are read anew all the same, and a
//! key whose file is gone gets no request more. Who takes a key back must not have to mend a typing error first.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    Runtime, Snapshot,
    compile::{Ground, compile},
};
use crate::{
    config::{Config, Diff, Loaded, Problems, load},
    telemetry::log,
};

/// Who asked for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A file that it was read from has changed.
    File,
    /// SIGHUP.
    Signal,
    /// An operator, over the admin listener.
    Admin,
}

impl Trigger {
    /// The word for it in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Signal => "signal",
            Self::Admin => "admin",
        }
    }
}

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new generation is in force; these fields differ from the one before.
    Applied {
        /// The fields, as paths.
        changed: Vec<String>,
    },
    /// What was found is what is in force.
    Unchanged,
    /// It can't work; what was in force still is.
    Refused(Problems),
    /// These fields can't change while the process runs, so nothing was changed.
    RestartRequired {
        /// The fields, as paths.
        fields: Vec<String>,
    },
}

impl Outcome {
    /// The word for it in logs and answers.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Applied { .. } => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused(_) => "refused",
            Self::RestartRequired { .. } => "restart_required",
        }
    }
}

/// One reload, as operators are told of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What became of it.
    pub outcome: Outcome,
    /// The generation in force afterwards.
    pub generation: u64,
    /// Who asked for it.
    pub trigger: Trigger,
    /// When.
    pub at: SystemTime,
}

impl Report {
    fn is_fine(&self) -> bool {
        matches!(self.outcome, Outcome::Applied { .. } | Outcome::Unchanged)
    }

    fn tell(&self) {
        let (trigger, generation) = (self.trigger.name(), self.generation);
        match &self.outcome {
            Outcome::Applied { changed } => {
                tracing::info!(trigger, generation, changed = changed.join(" "), "the config changed and is in force");
            }
            Outcome::Unchanged => tracing::info!(trigger, generation, "the config is what is in force"),
            Outcome::Refused(problems) => {
                tracing::error!(trigger, generation, problems = %problems, "the config can't be used; what was in force before still is");
            }
            Outcome::RestartRequired { fields } => {
                let fields = fields.join(" ");
                tracing::error!(
                    trigger,
                    generation,
                    fields,
                    "the config changed where a restart is needed; what was in force before still is"
                );
            }
        }
    }
}

/// What is known of reloads.
#[derive(Clone, Debug)]
pub struct Status {
    /// The last one that found anything to do or to say.
    pub last: Option<Arc<Report>>,
    /// When the config in force was loaded.
    pub loaded_at: SystemTime,
    /// What the config is called: its path, where it is a file.
    pub source: String,
    /// How many were applied.
    pub applied: u64,
    /// How many were refused, those that need a restart included.
    pub refused: u64,
}

/// Reloads the config of one proxy. Clones do the same; reloads come one after the other.
#[derive(Clone)]
pub struct Reloader(Arc<Inner>);

/// Says what is wrong with a config for this process, such as for the sockets that it was given.
pub type Fit = Box<dyn Fn(&Config) -> Result<(), String> + Send + Sync>;

struct Inner {
    runtime: Arc<Runtime>,
    fit: Fit,
    current: Mutex<Current>,
    status: Mutex<Status>,
}

struct Current {
    /// What is in force.
    loaded: Loaded,
    /// What the last reload read, also where that was refused.
    files: Vec<PathBuf>,
}

impl Reloader {
    /// For the proxy that was started with `loaded`, and takes what is `fit` for it.
    #[must_use]
    pub fn new(runtime: Arc<Runtime>, loaded: Loaded, fit: Fit) -> Self {
        let source = loaded.origin.name().to_owned();
        let status = Status { last: None, loaded_at: SystemTime::now(), source, applied: 0, refused: 0 };
        let files = loaded.files.clone();
        runtime.server_metrics.reload_last_success.set(1.0);
        runtime.server_metrics.reload_last_timestamp.set(seconds(status.loaded_at));
        Self(Arc::new(Inner { runtime, fit, current: Mutex::new(Current { loaded, files }), status: Mutex::new(status) }))
    }

    /// Reads everything anew and puts it in force if it has changed and can work. Blocks on files: never call it on a worker.
    #[must_use]
    pub fn reload(&self, trigger: Trigger) -> Arc<Report> {
        let mut current = self.current();
        let outcome = self.0.try_reload(&mut current);
        if trigger != Trigger::File {
            self.0.runtime.snapshot.load_full().regions.renew();
        }
        let generation = self.0.runtime.snapshot.load().generation;
        let report = Arc::new(Report { outcome, generation, trigger, at: SystemTime::now() });
        self.0.note(&report);
        report
    }

    /// What is known of reloads.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The files and directories that the next reload would read, as far as that is known.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.current().files.clone()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // It changes in one assignment each, when all that can fail is done.
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn try_reload(&self, current: &mut Current) -> Outcome {
        current.files.clear();
        let read = current.loaded.origin.read_again();
        // A file that can't be read is looked for again.
        current.files.extend(current.loaded.origin.path().map(ToOwned::to_owned));
        let outcome = match read.and_then(|origin| load::read(origin, &mut current.files)) {
            Ok(loaded) => self.consider(loaded, current),
            Err(problems) => Outcome::Refused(problems),
        };
        if matches!(outcome, Outcome::Refused(_) | Outcome::RestartRequired { .. }) {
            self.follow_the_keys(current);
        }
        outcome
    }

    /// Puts `loaded` in force, if it differs and a running process can follow it.
    fn consider(&self, loaded: Loaded, current: &mut Current) -> Outcome {
        if loaded.says_the_same_as(&current.loaded) {
            // Comments and layout may differ: the text is what the next reload falls back on.
            current.loaded = loaded;
            self.revive();
            return Outcome::Unchanged;
        }
        let Diff { changed, restart } = Diff::between(&current.loaded, &loaded);
        if !restart.is_empty() {
            return Outcome::RestartRequired { fields: restart };
        }
        if let Err(why) = (self.fit)(&loaded.config) {
            return Outcome::Refused(Problems::whole(loaded.origin.name(), why, "correct it, or restart with other sockets"));
        }
        match self.put_in_force(loaded, current) {
            Ok(()) => Outcome::Applied { changed },
            Err(problems) => Outcome::Refused(problems),
        }
    }

    fn put_in_force(&self, loaded: Loaded, current: &mut Current) -> Result<(), Problems> {
        let before = self.runtime.snapshot.load_full();
        let ground = Ground { metrics: &self.runtime.metrics, registry: &self.runtime.registry, before: Some(&before) };
        let snapshot = compile(loaded.clone(), ground).map_err(|error| {
            // The states of what it names are nobody's.
            self.revive();
            Problems::whole(loaded.origin.name(), error.to_string(), "what was in force before still is; see the field that is named")
        })?;
        let snapshot = Arc::new(snapshot);
        // Before the swap: who comes right behind it must find a key that is back in use, and no key that is still out of it.
        snapshot.providers.values().flat_map(|provider| &provider.slots).for_each(|slot| slot.state.revive());
        self.runtime.snapshot.store(Arc::clone(&snapshot));
        // Behind the swap: a request that finds its keys retired looks into the generation that is in force.
        self.runtime.registry.follow(&snapshot, Instant::now());
        retire_endpoints(&before, &snapshot);
        self.runtime.server_metrics.generation.set(snapshot.generation as f64);
        log::set_level(&snapshot.config.log.level);
        self.runtime.follow(&snapshot.config);
        current.loaded = loaded;
        Ok(())
    }

    /// A key whose file had gone is back.
    fn revive(&self) {
        self.runtime.registry.follow(&self.runtime.snapshot.load(), Instant::now());
    }

    /// The new config can't be used: its keys may have changed all the same. They are read with the text in force; where that
    /// fails too, a key whose file is gone is at least not used any more.
    fn follow_the_keys(&self, current: &mut Current) {
        let mut files = Vec::new();
        match load::read(current.loaded.origin.clone(), &mut files) {
            Ok(loaded) if loaded.says_the_same_as(&current.loaded) => self.revive(),
            Ok(loaded) => {
                let can = Diff::between(&current.loaded, &loaded).restart.is_empty();
                if can && self.put_in_force(loaded, current).is_ok() {
                    let generation = self.runtime.snapshot.load().generation;
                    tracing::info!(generation, "files that the config in force names changed and are in force");
                }
            }
            Err(_) => {}
        }
        files.retain(|file| !current.files.contains(file));
        current.files.append(&mut files);
        for provider in self.runtime.snapshot.load().providers.values() {
            for (key, slot) in provider.keys.iter().zip(&provider.slots) {
                // A directory that can't be reached says nothing about what is in it.
                let gone = |file: &PathBuf| !file.exists() && file.parent().is_some_and(|directory| directory.is_dir());
                if key.file.as_ref().is_some_and(gone) && !slot.state.is_retired() {
                    slot.state.retire();
                    tracing::warn!(provider = %provider.name, key = ?key.id, name = %key.name, "the file of a key is gone: it gets no request more");
                }
            }
        }
    }

    /// Notes it, and tells the operator, the same thing once.
    fn note(&self, report: &Arc<Report>) {
        let metrics = &self.runtime.server_metrics;
        {
            // Given back before anything is logged: a log that takes its time must not keep the status from being read.
            let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            let was_fine = status.last.as_deref().is_none_or(Report::is_fine);
            let again = status.last.as_ref().is_some_and(|last| last.outcome == report.outcome);
            match &report.outcome {
                Outcome::Applied { .. } => {
                    metrics.reload_applied.increment(1);
                    status.applied += 1;
                    status.loaded_at = report.at;
                }
                // A file may be touched, and is looked at twice where its time stamp is coarse.
                Outcome::Unchanged if was_fine && report.trigger == Trigger::File => return,
                Outcome::Unchanged => metrics.reload_unchanged.increment(1),
                // A file that stays wrong is looked at again and again.
                Outcome::Refused(_) | Outcome::RestartRequired { .. } if again && report.trigger == Trigger::File => return,
                Outcome::Refused(_) | Outcome::RestartRequired { .. } => {
                    metrics.reload_refused.increment(1);
                    status.refused += 1;
                }
            }
            status.last = Some(Arc::clone(report));
        }
        let fine = report.is_fine();
        metrics.reload_last_success.set(if fine { 1.0 } else { 0.0 });
        if fine {
            metrics.reload_last_timestamp.set(seconds(report.at));
        }
        report.tell();
    }
}

/// Lets the connections of what is no longer named end with what they carry.
fn retire_endpoints(before: &Snapshot, now: &Snapshot) {
    for (name, provider) in &before.providers {
        let kept = now.providers.get(name).is_some_and(|kept| Arc::ptr_eq(&kept.endpoint, &provider.endpoint));
        if !kept {
            provider.endpoint.retire();
        }
    }
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloader")
    }
}

#[cfg(test)]
mod tests;
