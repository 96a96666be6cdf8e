//! The operator's log: what the process does, apart from single requests. JSON lines on standard error, or plain
//! text where that is a terminal.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Registry, filter::Targets, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

use super::stderr::Lossy;
use crate::config::{Level, Levels, Log, LogFormat};

/// The variable that goes before `log.level`.
pub const VARIABLE: &str = "SIDEGATE_LOG";

/// What is in force for the process.
static STARTED: OnceLock<Started> = OnceLock::new();

struct Started {
    filter: reload::Handle<Targets, Registry>,
    /// Whether the environment has said the level: then no config does.
    is_fixed: bool,
}

/// Starts logging for the process. `variable` is what [`VARIABLE`] holds; if that is no level, a line says so and the config's
/// counts. A second call changes nothing.
pub fn start(log: &Log, variable: Option<&str>) {
    let forced = variable.filter(|text| !text.is_empty()).map(str::parse::<Levels>);
    let levels = match &forced {
        Some(Ok(levels)) => levels,
        _ => &log.level,
    };
    let (filter, handle) = reload::Layer::new(targets(levels));
    let is_terminal = std::io::stderr().is_terminal();
    let registry = tracing_subscriber::registry().with(filter);
    let is_human = match log.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    // Told of an error of its own, the subscriber would print it to the same place, and end the thread in a panic where
    // that is closed.
    let lines = fmt::layer().with_target(false).with_ansi(is_terminal).log_internal_errors(false);
    let lines = lines.with_writer(Arc::new(Lossy::new(std::io::stderr(), !is_human)));
    let result = match is_human {
        true => registry.with(lines).try_init(),
        false => registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
    };
    if result.is_ok() {
        drop(STARTED.set(Started { filter: handle, is_fixed: matches!(forced, Some(Ok(_))) }));
    }
    if let Some(Err(problem)) = forced {
        tracing::warn!(%problem, "{VARIABLE} is not followed");
    }
}

/// Puts another level in force, from the next line on. Where the environment says the level, or nothing was started, it changes
/// nothing.
pub fn set_level(levels: &Levels) {
    if let Some(started) = STARTED.get().filter(|started| !started.is_fixed) {
        // It fails only if the subscriber is gone, and that is never dropped.
        drop(started.filter.reload(targets(levels)));
    }
}

fn targets(levels: &Levels) -> Targets {
    let parts = levels.parts.iter().map(|(part, level)| (part.as_ref(), filter(*level)));
    Targets::new().with_default(filter(levels.default)).with_targets(parts)
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

/// How many lines about single requests may be written in a second.
const RATION: u32 = 100;

/// Lets a line about single requests be written a hundred times a second at most, and counts the others: a provider that is
/// slow is so for thousands, and whoever reads this log must keep up, or lines are lost.
#[derive(Debug, Default)]
pub struct Ration(Mutex<Rationed>);

#[derive(Debug, Default)]
struct Rationed {
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Ration {
    /// Whether a line may be written at `now`, and how many were not since the last.
    #[must_use]
    pub fn take(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1)) {
            (state.since, state.told) = (Some(now), 0);
        }
        if state.told == RATION {
            state.untold += 1;
            return None;
        }
        state.told += 1;
        Some(std::mem::take(&mut state.untold))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_lines_a_second_are_told_and_the_others_counted() {
        let (ration, start) = (Ration::default(), Instant::now());
        assert_eq!((0..150).filter_map(|_| ration.take(start)).collect::<Vec<_>>(), [0; 100]);
        assert_eq!(ration.take(start + Duration::from_millis(999)), None);
        assert_eq!(ration.take(start + Duration::from_millis(1_000)), Some(51));
        assert_eq!(ration.take(start + Duration::from_millis(1_001)), Some(0));
    }

    #[test]
    fn levels_are_those_of_the_config() {
        let targets = targets(&"warn,h2=off,sidegate::upstream=trace".parse().unwrap());
        for (target, level, heard) in [
            ("sidegate", tracing::Level::WARN, true),
            ("sidegate", tracing::Level::INFO, false),
            ("h2::proto", tracing::Level::ERROR, false),
            ("sidegate::upstream::dns", tracing::Level::TRACE, true),
        ] {
            assert_eq!(targets.would_enable(target, &level), heard, "{target} {level}");
        }
    }
}
