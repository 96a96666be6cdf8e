//! The names of all metrics, once. `docs/metrics.md` is written from this table and checked against it.
//!
//! To add one: a constant, a row here, in `health.rs` or in `cache.rs`, a handle in `metrics.rs` or a count in a record. Labels come from the
//! config or from a fixed set, never from a request, so that no client can grow the number of series.

mod cache;
mod health;

pub use cache::*;
pub use health::*;

/// What a metric measures and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One row of the metrics table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Requests answered, by route, provider, model and class of status.
pub const REQUESTS: &str = "sidegate_requests_total";
/// Requests answered by Sidegate itself, by error code.
pub const REJECTS: &str = "sidegate_rejects_total";
/// How relays ended.
pub const ENDS: &str = "sidegate_request_ends_total";
/// Whole time of a request.
pub const DURATION: &str = "sidegate_request_duration_seconds";
/// Tokens, as providers count them.
pub const TOKENS: &str = "sidegate_tokens_total";
/// What tokens cost.
pub const COST: &str = "sidegate_cost_usd_total";
/// Time to a stream's first bytes.
pub const TTFT: &str = "sidegate_ttft_seconds";
/// Streams that are open.
pub const STREAMS: &str = "sidegate_streams_open";
/// Time to the provider's first byte.
pub const FIRST_BYTE: &str = "sidegate_first_byte_seconds";
/// Sidegate's own share of a request's time.
pub const OVERHEAD: &str = "sidegate_overhead_seconds";
/// Requests in flight.
pub const IN_FLIGHT: &str = "sidegate_requests_in_flight";
/// Body bytes from clients.
pub const SENT: &str = "sidegate_upstream_sent_bytes_total";
/// Body bytes from providers.
pub const RECEIVED: &str = "sidegate_upstream_received_bytes_total";
/// Connections with clients.
pub const CONNECTIONS: &str = "sidegate_downstream_connections";
/// Connections that ended for want of a request.
pub const CONNECTIONS_REFUSED: &str = "sidegate_downstream_connections_refused_total";
/// Connections with providers.
pub const UPSTREAM_CONNECTIONS: &str = "sidegate_upstream_connections";
/// Connections opened to providers.
pub const UPSTREAM_CONNECTS: &str = "sidegate_upstream_connects_total";
/// Requests sent again over another connection, within one attempt.
pub const RESENDS: &str = "sidegate_upstream_resends_total";
/// When the listener's certificate ends.
pub const CERTIFICATE_NOT_AFTER: &str = "sidegate_downstream_certificate_not_after_seconds";
/// Changes of the listener's certificate files.
pub const CERTIFICATE_RELOADS: &str = "sidegate_downstream_certificate_reloads_total";
/// When our own certificate towards a provider ends.
pub const UPSTREAM_CERTIFICATE_NOT_AFTER: &str = "sidegate_upstream_certificate_not_after_seconds";
/// Changes of a provider's certificate files.
pub const UPSTREAM_CERTIFICATE_RELOADS: &str = "sidegate_upstream_certificate_reloads_total";
/// Lines of the access log that were dropped.
pub const LOG_DROPPED: &str = "sidegate_access_log_dropped_total";
/// Spans for the collector.
pub const SPANS: &str = "sidegate_trace_spans_total";
/// Bytes of request bodies held in memory.
pub const BUFFERED: &str = "sidegate_body_buffered_bytes";
/// The generation of the running config.
pub const GENERATION: &str = "sidegate_config_generation";
/// Changes of the file of the GeoIP database.
pub const REGION_DATABASE_RELOADS: &str = "sidegate_region_database_reloads_total";
/// When the GeoIP database in use was made.
pub const REGION_DATABASE_BUILT: &str = "sidegate_region_database_built_timestamp_seconds";
/// Attempts to reload the config.
pub const RELOADS: &str = "sidegate_config_reloads_total";
/// Whether the last reload was taken.
pub const LAST_RELOAD_SUCCESS: &str = "sidegate_config_last_reload_success";
/// When the running config was last known to be what stands in its files.
pub const LAST_RELOAD_TIMESTAMP: &str = "sidegate_config_last_reload_timestamp_seconds";

/// How the checks of limits turned out.
pub const LIMIT_CHECKS: &str = "sidegate_limit_checks_total";
/// Requests by key.
pub const KEY_REQUESTS: &str = "sidegate_key_requests_total";
/// Requests in flight by key.
pub const KEY_IN_FLIGHT: &str = "sidegate_key_in_flight";
/// Subjects that limits count.
pub const LIMIT_SUBJECTS: &str = "sidegate_limit_subjects";
/// Memory of limits' counters.
pub const LIMIT_MEMORY: &str = "sidegate_limit_memory_bytes";
/// Checks that found no room for a counter of their own.
pub const LIMIT_SHARED: &str = "sidegate_limit_shared_total";
/// Tokens by key.
pub const KEY_TOKENS: &str = "sidegate_key_tokens_total";
/// Memory of the process; this name and the next three are those of Prometheus's own clients.
pub const PROCESS_MEMORY: &str = "process_resident_memory_bytes";
/// Processor time of the process.
pub const PROCESS_CPU: &str = "process_cpu_seconds_total";
/// File descriptors of the process.
pub const PROCESS_DESCRIPTORS: &str = "process_open_fds";
/// When the process began.
pub const PROCESS_START: &str = "process_start_time_seconds";

const fn row(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

/// Every metric.
pub const ALL: &[Metric] = &joined::<{ ROWS.len() + MORE.len() }>(ROWS, MORE);

const MORE: &[Metric] = &joined::<{ health::ROWS.len() + cache::ROWS.len() }>(&health::ROWS, &cache::ROWS);

const fn joined<const N: usize>(first: &[Metric], more: &[Metric]) -> [Metric; N] {
    let (mut all, mut at) = ([first[0]; N], 0);
    while at < N {
        all[at] = if at < first.len() { first[at] } else { more[at - first.len()] };
        at += 1;
    }
    all
}

const ROWS: &[Metric] = &[
    row(
        REQUESTS,
        Kind::Counter,
        &["route", "provider", "model", "status"],
        "Requests that a provider answered, by class of status: 2xx, 3xx, 4xx, 5xx.",
    ),
    row(REJECTS, Kind::Counter, &["code"], "Requests that Sidegate answered itself, by error code."),
    row(
        ENDS,
        Kind::Counter,
        &["route", "provider", "end"],
        "How relayed replies ended: complete, left (the client went away), truncated (the provider failed, or a drain cut it).",
    ),
    row(DURATION, Kind::Histogram, &["route", "provider", "model"], "Seconds from the request's head to the end of the reply."),
    row(
        TTFT,
        Kind::Histogram,
        &["route", "provider", "model"],
        "Seconds from sending the request to the first bytes of a streamed reply's body (time to first token). Replies that are no \
         event stream have none.",
    ),
    row(
        TOKENS,
        Kind::Counter,
        &["route", "provider", "model", "kind"],
        "Tokens as providers told them: input, output, cached (a part of input), reasoning (a part of output). Replies that tell \
         none add none.",
    ),
    row(
        COST,
        Kind::Counter,
        &["route", "provider", "model"],
        "US dollars that the tokens of replies cost, estimates included. Absent without `prices` and without a limit of cost.",
    ),
    row(STREAMS, Kind::Gauge, &["route", "provider"], "Event streams and WebSockets that are open."),
    row(FIRST_BYTE, Kind::Histogram, &["route", "provider"], "Seconds from sending the request to the head of the provider's reply."),
    row(OVERHEAD, Kind::Histogram, &["route", "provider"], "Seconds that Sidegate itself added before the reply's first byte."),
    row(IN_FLIGHT, Kind::Gauge, &["route", "provider"], "Requests sent to a provider whose reply has not ended."),
    row(SENT, Kind::Counter, &["route", "provider"], "Bytes of request bodies that were sent to providers."),
    row(RECEIVED, Kind::Counter, &["route", "provider"], "Bytes of reply bodies that were relayed to clients."),
    row(CONNECTIONS, Kind::Gauge, &[], "Connections that clients have open."),
    row(
        CONNECTIONS_REFUSED,
        Kind::Counter,
        &["reason"],
        "Connections closed without a request (accept, handshake, proxy_protocol, silent), or for what was sent in place of one \
         (malformed, too_large, bare_line_feed, ambiguous). The access log has no line for a head that was refused.",
    ),
    row(UPSTREAM_CONNECTIONS, Kind::Gauge, &["provider"], "Connections open to a provider."),
    row(UPSTREAM_CONNECTS, Kind::Counter, &["provider", "result"], "Connections tried to a provider: ok or failed."),
    row(
        RESENDS,
        Kind::Counter,
        &["provider"],
        "Requests sent again over another connection: the provider did not process them, or they were safe and their connection ended.",
    ),
    row(CERTIFICATE_NOT_AFTER, Kind::Gauge, &[], "When the listener's certificate ends, in seconds of Unix time. Absent without TLS."),
    row(
        CERTIFICATE_RELOADS,
        Kind::Counter,
        &["result"],
        "Changed files of the listener's TLS: ok (in force for new handshakes) or failed (what was in force before still is).",
    ),
    row(
        UPSTREAM_CERTIFICATE_NOT_AFTER,
        Kind::Gauge,
        &["provider"],
        "When our own certificate towards a provider ends, in seconds of Unix time. Absent where there is none.",
    ),
    row(
        UPSTREAM_CERTIFICATE_RELOADS,
        Kind::Counter,
        &["provider", "result"],
        "Changed files of a provider's TLS: ok (in force for new connections) or failed (what was in force before still is).",
    ),
    row(LOG_DROPPED, Kind::Counter, &[], "Lines of the access log dropped because its reader is too slow."),
    row(
        SPANS,
        Kind::Counter,
        &["result"],
        "Spans for the collector of `trace.otlp`: sent, failed (it did not take them) or dropped (too many were waiting).",
    ),
    row(BUFFERED, Kind::Gauge, &[], "Bytes of request bodies held in memory."),
    row(GENERATION, Kind::Gauge, &[], "The generation of the running config."),
    row(
        RELOADS,
        Kind::Counter,
        &["result"],
        "Reloads of the config: applied, unchanged (read, and the same as before), or refused (the config before it still serves).",
    ),
    row(
        REGION_DATABASE_RELOADS,
        Kind::Counter,
        &["result"],
        "Changed files of the GeoIP database: ok (in use) or failed (what was in use before still is). Absent without a database.",
    ),
    row(
        REGION_DATABASE_BUILT,
        Kind::Gauge,
        &[],
        "When the GeoIP database in use was made, as it says itself, in seconds of Unix time. Absent without a database.",
    ),
    row(LAST_RELOAD_SUCCESS, Kind::Gauge, &[], "1 when the last reload was applied or found nothing changed, 0 when it was refused."),
    row(LAST_RELOAD_TIMESTAMP, Kind::Gauge, &[], "When the config was last loaded without an error, in seconds of Unix time."),
    row(
        LIMIT_CHECKS,
        Kind::Counter,
        &["limit", "unit", "outcome"],
        "Requests that a limit of the running config was asked about, by what it counts and how it turned out: allowed, refused, shadowed (a limit with \
         `shadow: true` would have refused it).",
    ),
    row(
        LIMIT_SUBJECTS,
        Kind::Gauge,
        &["limit", "unit"],
        "Subjects (addresses, clients, sessions …) that a limit of the running config counts.",
    ),
    row(LIMIT_MEMORY, Kind::Gauge, &["limit", "unit"], "Bytes that the counters of a limit of the running config take."),
    row(
        LIMIT_SHARED,
        Kind::Counter,
        &["limit", "unit"],
        "Checks of a limit of the running config that found no room for a counter of their own, and shared one with their neighbours. \
         It grows when a million subjects are counted at once.",
    ),
    row(
        KEY_REQUESTS,
        Kind::Counter,
        &["provider", "key", "status"],
        "Requests that were sent with a key of the running config, by fingerprint and by what came of it: 2xx, 3xx, 4xx, 5xx, \
         failed (no reply), left (the client went away before).",
    ),
    row(KEY_IN_FLIGHT, Kind::Gauge, &["provider", "key"], "Requests in flight with a key of the running config."),
    row(
        KEY_TOKENS,
        Kind::Counter,
        &["provider", "key", "direction"],
        "Tokens that replies to a key of the running config told: in or out.",
    ),
    row(PROCESS_MEMORY, Kind::Gauge, &[], "Memory of the process that is resident, in bytes. On Linux."),
    row(PROCESS_CPU, Kind::Counter, &[], "Processor time of the process, in seconds."),
    row(PROCESS_DESCRIPTORS, Kind::Gauge, &[], "File descriptors that the process has open. On Linux."),
    row(PROCESS_START, Kind::Gauge, &[], "When the proxy started, in seconds of Unix time."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for metric in ALL {
            assert!(["sidegate_", "process_"].iter().any(|start| metric.name.starts_with(start)), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.kind != Kind::Histogram || metric.name.ends_with("_seconds"), "{}", metric.name);
        }
        let names: std::collections::HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
