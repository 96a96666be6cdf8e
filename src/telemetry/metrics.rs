//! Metric handles. Looking a series up costs 200 ns and an allocation, using a handle 4 ns: so every series of
//! the hot path is looked up when the config is compiled, and kept where it is used.

use std::fmt;

use metrics::{Counter, Gauge, counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{
    costs::Costs,
    names::{self, Kind},
};

/// Seconds. From a cache-less overhead of 10 µs to a thinking model's ten minutes.
const BUCKETS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

/// The metrics of one proxy. Not global: two proxies in one process count apart.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// What tokens cost.
    pub costs: Costs,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().set_buckets(BUCKETS).unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        let metrics = Self { recorder, handle, costs: Costs::default() };
        metrics.describe();
        metrics
    }
}

impl Metrics {
    fn describe(&self) {
        metrics::with_local_recorder(&self.recorder, || {
            for metric in names::ALL {
                match metric.kind {
                    Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
                    Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
                    Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
                }
            }
        });
    }

    /// The text that Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds samples into buckets. Without it they pile up until the next scrape, so call it every few seconds.
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Looks series up: what `register` names belongs to this proxy.
    pub(super) fn register<T>(&self, register: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.recorder, register)
    }

    /// The handles of a provider's connections.
    #[must_use]
    pub fn provider(&self, provider: &str) -> ProviderMetrics {
        metrics::with_local_recorder(&self.recorder, || {
            let with = |result: &'static str| [("provider", provider.to_owned()), ("result", result.to_owned())];
            ProviderMetrics {
                connections: gauge!(names::UPSTREAM_CONNECTIONS, "provider" => provider.to_owned()),
                connected: counter!(names::UPSTREAM_CONNECTS, &with("ok")),
                failed: counter!(names::UPSTREAM_CONNECTS, &with("failed")),
                resends: counter!(names::RESENDS, "provider" => provider.to_owned()),
            }
        })
    }

    /// The handles of the listener's certificate, or of ours towards a provider.
    #[must_use]
    pub fn certificate(&self, provider: Option<&str>) -> CertificateMetrics {
        metrics::with_local_recorder(&self.recorder, || match provider {
            None => CertificateMetrics {
                reloaded: counter!(names::CERTIFICATE_RELOADS, "result" => "ok"),
                failed: counter!(names::CERTIFICATE_RELOADS, "result" => "failed"),
            },
            Some(provider) => {
                let with = |result: &'static str| [("provider", provider.to_owned()), ("result", result.to_owned())];
                CertificateMetrics {
                    reloaded: counter!(names::UPSTREAM_CERTIFICATE_RELOADS, &with("ok")),
                    failed: counter!(names::UPSTREAM_CERTIFICATE_RELOADS, &with("failed")),
                }
            }
        })
    }

    /// Says when the listener's certificate, or ours towards a provider, ends. Where there is none there is no series: a
    /// gauge that was never set would say 1970.
    pub fn certificate_ends(&self, provider: Option<&str>, not_after: u64) {
        metrics::with_local_recorder(&self.recorder, || {
            let gauge = match provider {
                None => gauge!(names::CERTIFICATE_NOT_AFTER),
                Some(provider) => gauge!(names::UPSTREAM_CERTIFICATE_NOT_AFTER, "provider" => provider.to_owned()),
            };
            gauge.set(not_after as f64);
        });
    }

    /// The handles of the listener and the process.
    #[must_use]
    pub fn server(&self) -> ServerMetrics {
        metrics::with_local_recorder(&self.recorder, || ServerMetrics {
            connections: gauge!(names::CONNECTIONS),
            silent: counter!(names::CONNECTIONS_REFUSED, "reason" => "silent"),
            handshake: counter!(names::CONNECTIONS_REFUSED, "reason" => "handshake"),
            proxy_protocol: counter!(names::CONNECTIONS_REFUSED, "reason" => "proxy_protocol"),
            accept: counter!(names::CONNECTIONS_REFUSED, "reason" => "accept"),
            too_large: counter!(names::CONNECTIONS_REFUSED, "reason" => "too_large"),
            malformed: counter!(names::CONNECTIONS_REFUSED, "reason" => "malformed"),
            bare_line_feed: counter!(names::CONNECTIONS_REFUSED, "reason" => "bare_line_feed"),
            ambiguous: counter!(names::CONNECTIONS_REFUSED, "reason" => "ambiguous"),
            log_dropped: counter!(names::LOG_DROPPED),
            buffered: gauge!(names::BUFFERED),
            generation: gauge!(names::GENERATION),
            reload_applied: counter!(names::RELOADS, "result" => "applied"),
            reload_unchanged: counter!(names::RELOADS, "result" => "unchanged"),
            reload_refused: counter!(names::RELOADS, "result" => "refused"),
            reload_last_success: gauge!(names::LAST_RELOAD_SUCCESS),
            reload_last_timestamp: gauge!(names::LAST_RELOAD_TIMESTAMP),
        })
    }

    /// The handles of the GeoIP database.
    #[must_use]
    pub fn region_database(&self) -> RegionDatabaseMetrics {
        metrics::with_local_recorder(&self.recorder, || RegionDatabaseMetrics {
            reloaded: counter!(names::REGION_DATABASE_RELOADS, "result" => "ok"),
            failed: counter!(names::REGION_DATABASE_RELOADS, "result" => "failed"),
            built: gauge!(names::REGION_DATABASE_BUILT),
        })
    }

    /// The handles of what is sent to a collector.
    #[must_use]
    pub fn spans(&self) -> SpanMetrics {
        metrics::with_local_recorder(&self.recorder, || SpanMetrics {
            sent: counter!(names::SPANS, "result" => "sent"),
            failed: counter!(names::SPANS, "result" => "failed"),
            dropped: counter!(names::SPANS, "result" => "dropped"),
        })
    }

    /// Counts an answer of our own. Off the hot path: refusals may cost a look-up.
    pub fn rejected(&self, code: &'static str) {
        metrics::with_local_recorder(&self.recorder, || counter!(names::REJECTS, "code" => code).increment(1));
    }
}

/// One more of what a gauge counts, for as long as this lives.
#[derive(Debug)]
pub struct Raised(Gauge);

impl Raised {
    /// Counts one more.
    #[must_use]
    pub fn new(gauge: &Gauge) -> Self {
        gauge.increment(1);
        Self(gauge.clone())
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// A provider's connections.
#[derive(Clone, Debug)]
pub struct ProviderMetrics {
    /// Connections open now.
    pub connections: Gauge,
    /// Connections made.
    pub connected: Counter,
    /// Connections that could not be made.
    pub failed: Counter,
    /// Requests sent again.
    pub resends: Counter,
}

/// Changes of the files of one side's TLS.
#[derive(Clone, Debug)]
pub struct CertificateMetrics {
    /// Put in force.
    pub reloaded: Counter,
    /// Refused; what was in force before still is.
    pub failed: Counter,
}

/// The GeoIP database.
#[derive(Clone, Debug)]
pub struct RegionDatabaseMetrics {
    /// New files that are in use.
    pub reloaded: Counter,
    /// New files that can't be used; the one before still is.
    pub failed: Counter,
    /// When the one in use was made, seconds of Unix time.
    pub built: Gauge,
}

/// Spans for the collector.
#[derive(Clone, Debug)]
pub struct SpanMetrics {
    /// Taken by the collector.
    pub sent: Counter,
    /// Not taken by the collector.
    pub failed: Counter,
    /// Dropped, since too many were waiting.
    pub dropped: Counter,
}

/// The listener and the process.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    /// Connections of clients open now.
    pub connections: Gauge,
    /// Connections closed because nothing came over them.
    pub silent: Counter,
    /// Connections closed because TLS could not be agreed on.
    pub handshake: Counter,
    /// Connections of trusted peers closed because they begin with no PROXY header, or a wrong one.
    pub proxy_protocol: Counter,
    /// Connections that could not be accepted.
    pub accept: Counter,
    /// Connections closed because a head is beyond the bounds.
    pub too_large: Counter,
    /// Connections closed because a head is no HTTP.
    pub malformed: Counter,
    /// Connections closed because a line ends without a carriage return.
    pub bare_line_feed: Counter,
    /// Connections closed because two servers could find two requests in one.
    pub ambiguous: Counter,
    /// Access-log lines dropped.
    pub log_dropped: Counter,
    /// Bytes of request bodies in memory.
    pub buffered: Gauge,
    /// The running config's generation.
    pub generation: Gauge,
    /// Reloads that were put in force.
    pub reload_applied: Counter,
    /// Reloads that found what was in force already.
    pub reload_unchanged: Counter,
    /// Reloads that were refused as a whole.
    pub reload_refused: Counter,
    /// 1 unless the last reload was refused.
    pub reload_last_success: Gauge,
    /// When a config was last loaded without an error, seconds of Unix time.
    pub reload_last_timestamp: Gauge,
}
