//! The operator's log: what the process does, apart from single requests. JSON lines on standard error, or plain
//! text where that is a terminal.

use std::{
    io::IsTerminal,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging for the process. `SIDEGATE_LOG` sets the level, `info` by default. A second call changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env("SIDEGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Told of an error of its own, the subscriber would print it to the same place, and end the thread in a panic where
    // that is closed.
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).log_internal_errors(false);
    let result = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    };
    drop(result);
}

/// Lets something be said once a second at most: a provider that is down fails thousands of requests in the same way.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether it may be said now.
    #[must_use]
    pub fn may_speak(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1));
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}
