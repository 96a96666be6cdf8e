//! What the log says of one request.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use super::line::Line;
use crate::types::Money;

/// One request, as `docs/access-log.md` lists the fields. What is not known is left out.
#[derive(Debug)]
pub struct Entry<'a> {
    /// When the request's head came, RFC 3339 in UTC with milliseconds.
    pub time: SystemTime,
    /// The id that the client sent, or ours.
    pub request_id: &'a str,
    /// The trace that the request is part of, if it is.
    pub trace_id: Option<&'a str>,
    /// Our own span in it, if we have one.
    pub span_id: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The path without the query, which may hold credentials.
    pub path: &'a str,
    /// The status that went down; 499 if the client left before one did.
    pub status: u16,
    /// The client's name, where it has proved one.
    pub client: Option<&'a str>,
    /// The client's tier.
    pub tier: Option<&'a str>,
    /// The region that the request comes from.
    pub region: Option<&'a str>,
    /// The client's address; absent on a Unix socket.
    pub ip: Option<IpAddr>,
    /// The route's path prefix.
    pub route: Option<&'a str>,
    /// The provider.
    pub provider: Option<&'a str>,
    /// The fingerprint of the pool's key.
    pub key: Option<&'a str>,
    /// The name of the pool's key.
    pub key_name: Option<&'a str>,
    /// The model that was asked for, at most 256 bytes of it.
    pub model: Option<&'a str>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// What the cache had to do with it, in a word of [`crate::types::Cached`]; none where the route has no cache.
    pub cache: Option<&'static str>,
    /// Attempts made.
    pub attempts: u32,
    /// Attempts, and targets that were passed over; written only where that is more.
    pub tried: u32,
    /// What the end of the last attempt says; written only where it is not `served`.
    pub verdict: Option<&'static str>,
    /// Bytes of the request's body that were sent up.
    pub bytes_in: u64,
    /// Bytes of the reply's body that were handed down.
    pub bytes_out: u64,
    /// Tokens of the prompt, as the provider counted them.
    pub tokens_in: Option<u64>,
    /// Tokens of the reply, as the provider counted them.
    pub tokens_out: Option<u64>,
    /// What that cost; written in US dollars.
    pub cost: Option<Money>,
    /// Whether that is an estimate; written only where it is.
    pub cost_estimated: bool,
    /// From head to end; written in milliseconds.
    pub duration: Duration,
    /// From sending to the provider's first byte; written in milliseconds.
    pub first_byte: Option<Duration>,
    /// What Sidegate itself added before the first byte; written in milliseconds.
    pub overhead: Duration,
    /// `complete`, `left`, `truncated` or `rejected`.
    pub end: &'static str,
    /// The code of our own error, or why a reply was truncated.
    pub error: Option<&'a str>,
    /// The limit that refused the request.
    pub limit: Option<&'a str>,
    /// Why the provider gave no reply, such as `resolve`, `connect_refused`, `first_byte_timeout`, `tls` or
    /// `certificate_{expired,not_yet_valid,wrong_name,untrusted,invalid}`; or why a token was refused, such as `jwt_expired`.
    pub failure: Option<&'a str>,
}

/// A field's name as it stands in the line.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

impl Entry<'_> {
    /// Writes the fields in their order.
    pub(super) fn write(&self, line: &mut Line) {
        line.time(key!("time"), self.time);
        line.text(key!("request_id"), Some(self.request_id));
        line.word(key!("trace_id"), self.trace_id);
        line.word(key!("span_id"), self.span_id);
        line.word(key!("method"), Some(self.method));
        line.text(key!("path"), Some(self.path));
        line.number(key!("status"), self.status.into());
        line.text(key!("client"), self.client);
        line.word(key!("tier"), self.tier);
        line.word(key!("region"), self.region);
        line.ip(key!("ip"), self.ip);
        line.text(key!("route"), self.route);
        line.word(key!("provider"), self.provider);
        line.word(key!("key"), self.key);
        line.text(key!("key_name"), self.key_name);
        line.text(key!("model"), self.model);
        line.flag(key!("stream"), self.stream);
        line.word(key!("cache"), self.cache);
        line.number(key!("attempts"), self.attempts.into());
        if self.tried > self.attempts {
            line.number(key!("tried"), self.tried.into());
        }
        line.word(key!("verdict"), self.verdict);
        line.number(key!("bytes_in"), self.bytes_in);
        line.number(key!("bytes_out"), self.bytes_out);
        if let Some(tokens) = self.tokens_in {
            line.number(key!("tokens_in"), tokens);
        }
        if let Some(tokens) = self.tokens_out {
            line.number(key!("tokens_out"), tokens);
        }
        if let Some(cost) = self.cost {
            line.money(key!("cost_usd"), cost);
            if self.cost_estimated {
                line.flag(key!("cost_estimated"), true);
            }
        }
        line.millis(key!("duration_ms"), Some(self.duration));
        line.millis(key!("first_byte_ms"), self.first_byte);
        line.millis(key!("overhead_ms"), Some(self.overhead));
        line.word(key!("end"), Some(self.end));
        line.text(key!("error"), self.error);
        line.word(key!("limit"), self.limit);
        line.text(key!("failure"), self.failure);
    }
}

impl fmt::Display for Entry<'_> {
    /// Its line, as the log has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(Line::default().of(self)))
    }
}
