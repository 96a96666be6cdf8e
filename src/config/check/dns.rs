//! `dns:`.

use super::Review;
use crate::{
    config::{Config, NameResolution, path::field, problem::Fault},
    types::Period,
};

/// Times to live are whole seconds (RFC 1035 §3.2.1), and a name server is not to be asked without a pause.
const SHORTEST: Period = Period::secs(1);

/// More than any machine has.
const MAX_SERVERS: usize = 16;

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    let dns = &config.dns;
    for (field, period) in [("min_ttl", dns.min_ttl), ("max_ttl", dns.max_ttl)] {
        review.period(&field!["dns", field], period);
        if !period.0.is_zero() && period < SHORTEST {
            let fault = Fault::new("a time to live is at least a second", format!("write at least `{SHORTEST}`"));
            review.value(&field!["dns", field], fault);
        }
    }
    if dns.min_ttl > dns.max_ttl && review.intact(&field!["dns"]) {
        let fault = Fault::new(
            format!("an answer can't count for at least {} and at most {}", dns.min_ttl, dns.max_ttl),
            "raise `max_ttl`, or lower `min_ttl`",
        );
        let at = if review.was_written(&field!["dns", "min_ttl"]) { field!["dns", "min_ttl"] } else { field!["dns", "max_ttl"] };
        review.value(&at, fault);
    }
    if dns.servers.len() > MAX_SERVERS {
        let fault = Fault::new("so many name servers help nobody", format!("write at most {MAX_SERVERS}"));
        review.value(&field!["dns", "servers"], fault);
    }
    if dns.resolver == NameResolution::System && !dns.servers.is_empty() {
        let fault = Fault::new("the C library can't be told which name servers to ask", "remove `servers`, or write `resolver: builtin`");
        review.value(&field!["dns", "servers"], fault);
    }
}
