//! Looks after certificates while they are in use: takes what is new in their files, and says in time when one ends. A GeoIP
//! database is renewed on the same round.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::tls::ListenerTls;
use crate::{
    runtime::Runtime,
    telemetry::{Metrics, access_log::Timestamp, metrics::CertificateMetrics},
};

/// How long before a certificate's end that is said, in days; on the last it has ended.
const WARNINGS: [u64; 4] = [30, 7, 1, 0];

/// Everything that is looked after.
#[derive(Debug)]
pub struct Renewals {
    runtime: Arc<Runtime>,
    listener: Option<(Arc<ListenerTls>, Record)>,
    providers: BTreeMap<String, Record>,
}

impl Renewals {
    /// Starts with what is in force.
    #[must_use]
    pub fn new(runtime: Arc<Runtime>, listener: Option<Arc<ListenerTls>>) -> Self {
        let listener = listener.map(|tls| (tls, Record::new(&runtime.metrics, None)));
        let mut renewals = Self { runtime, listener, providers: BTreeMap::new() };
        renewals.look(SystemTime::now());
        renewals
    }

    /// Whether there is anything to look after.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        let snapshot = self.runtime.snapshot.load();
        self.listener.is_some() || snapshot.providers.values().any(|provider| provider.endpoint.certified().is_some())
    }

    /// Looks at the file of the GeoIP database once, which may block.
    pub fn look_at_regions(&self, now: Instant) {
        self.runtime.snapshot.load_full().regions.look(now);
    }

    /// Looks at the files of certificates once, which may block.
    pub fn look(&mut self, now: SystemTime) {
        if let Some((tls, record)) = &mut self.listener {
            record.note("the listener", tls.look(now));
            record.end("the listener", (tls.not_after(), now), &self.runtime.metrics);
        }
        let snapshot = self.runtime.snapshot.load_full();
        self.providers.retain(|name, _| snapshot.providers.keys().any(|kept| kept.as_str() == name));
        for (name, provider) in &snapshot.providers {
            let Some(tls) = provider.endpoint.certified() else { continue };
            let new = || Record::new(&self.runtime.metrics, Some(name.as_str()));
            let record = self.providers.entry(name.to_string()).or_insert_with(new);
            let whose = format!("the provider `{name}`");
            record.note(&whose, tls.look(now));
            record.end(&whose, (tls.not_after(), now), &self.runtime.metrics);
        }
    }
}

/// What has been said of one certificate.
struct Record {
    provider: Option<String>,
    metrics: CertificateMetrics,
    expiry: Expiry,
}

impl Record {
    fn new(metrics: &Metrics, provider: Option<&str>) -> Self {
        Self { provider: provider.map(str::to_owned), metrics: metrics.certificate(provider), expiry: Expiry::default() }
    }

    /// Tells what became of a change.
    fn note(&self, whose: &str, change: Option<Result<(), String>>) {
        match change {
            None => {}
            Some(Ok(())) => {
                self.metrics.reloaded.increment(1);
                tracing::info!("the TLS files of {whose} changed and are in force");
            }
            Some(Err(error)) => {
                self.metrics.failed.increment(1);
                tracing::warn!(%error, "the TLS files of {whose} changed and can't be used; what was in force before still is");
            }
        }
    }

    /// Tells when the certificate ends, if it is time.
    fn end(&mut self, whose: &str, (not_after, now): (Option<u64>, SystemTime), metrics: &Metrics) {
        let Some(not_after) = not_after else { return };
        if self.expiry.not_after != Some(not_after) {
            metrics.certificate_ends(self.provider.as_deref(), not_after);
        }
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let Some(days) = self.expiry.due(not_after, now) else { return };
        let end = Timestamp(UNIX_EPOCH + Duration::from_secs(not_after));
        match days {
            0 => tracing::warn!(not_after = %end, "the certificate of {whose} has expired"),
            1 => tracing::warn!(not_after = %end, "the certificate of {whose} expires within a day"),
            days => tracing::warn!(not_after = %end, "the certificate of {whose} expires within {days} days"),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record")
    }
}

/// Which of the warnings about one certificate have been given.
#[derive(Debug, Default)]
struct Expiry {
    not_after: Option<u64>,
    given: usize,
}

impl Expiry {
    /// The days of the warning that is due now, each once for each certificate; 0 means that it has ended. Both times are
    /// seconds of Unix time.
    fn due(&mut self, not_after: u64, now: u64) -> Option<u64> {
        if self.not_after != Some(not_after) {
            *self = Self { not_after: Some(not_after), given: 0 };
        }
        let reached = WARNINGS.iter().filter(|days| now + **days * 86_400 >= not_after).count();
        let new = reached > self.given;
        self.given = self.given.max(reached);
        new.then(|| WARNINGS[reached - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn each_warning_is_given_once_and_anew_for_a_new_certificate() {
        let (mut expiry, end) = (Expiry::default(), 100 * DAY);
        let due: Vec<_> = (60..=101).filter_map(|day| Some((day, expiry.due(end, day * DAY)?))).collect();
        assert_eq!(due, [(70, 30), (93, 7), (99, 1), (100, 0)]);
        assert_eq!(expiry.due(end, 65 * DAY), None, "a clock that is set back says nothing twice");
        assert_eq!(expiry.due(end, 99 * DAY), None);
        assert_eq!(expiry.due(105 * DAY, 99 * DAY), Some(7), "the next one is as short");
        assert_eq!(expiry.due(105 * DAY, 99 * DAY), None);
        assert_eq!(expiry.due(200 * DAY, 99 * DAY), None);
    }

    #[test]
    fn who_starts_late_gets_the_last_warning_alone() {
        let mut expiry = Expiry::default();
        assert_eq!(expiry.due(100 * DAY, 100 * DAY - 60), Some(1));
        assert_eq!(expiry.due(100 * DAY, 100 * DAY - 30), None);
        assert_eq!(expiry.due(100 * DAY, 100 * DAY), Some(0));
    }
}
