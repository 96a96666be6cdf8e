//! What a status says where nothing else does, also of those who stand between us and the provider.

use super::Facts;
use crate::types::{Cause, Dimension};

/// Statuses about which the body has no say.
///
/// Something gave up waiting, and the provider may still be at work: 504 (RFC 9110 §15.6.5), 524 of Cloudflare, 598 and 599 of
/// proxies. With 520 of Cloudflare the origin took the request, and what it answered made no sense.
pub(super) fn settled(facts: &Facts<'_>) -> Option<Cause> {
    match facts.status? {
        504 | 520 | 524 | 598 | 599 => Some(Cause::GatewayTimeout),
        // A conflict with what another request of the caller does; its SDK comes again by itself.
        409 => Some(Cause::Refused),
        _ => None,
    }
}

/// The cause by the status alone; an error inside a stream that says nothing known is the provider's.
pub(super) fn cause(facts: &Facts<'_>) -> Cause {
    let Some(status) = facts.status else { return Cause::ServerError };
    match status {
        401 => Cause::InvalidKey,
        402 => Cause::Exhausted,
        // A page instead of an error comes from a firewall: it minds who calls from where, and what a caller wrote.
        403 if facts.told.speaks() => Cause::Forbidden,
        403 | 451 => Cause::Region,
        // The service itself timed out; without its words nobody has read the whole request (RFC 9110 §15.5.9).
        408 if facts.told.speaks() => Cause::GatewayTimeout,
        // RFC 9110 §15.5.8, §15.5.20 and RFC 8470 §5.2: sent by a way that was not taken.
        407 | 408 | 421 | 425 => Cause::Unprocessed,
        429 => Cause::RateLimited(Dimension::Unknown),
        // Groq's, for the tier that gets what is left over.
        498 => Cause::Overloaded,
        // Google's CANCELLED, nginx's for a client that left: not by us, who wait.
        499 => Cause::ServerError,
        400..500 => Cause::Refused,
        // What nobody implements will not work for a second one who asks.
        501 => Cause::Refused,
        503 | 529 => Cause::Overloaded,
        // 521, 522, 523, 525, 526 and 530 of Cloudflare too: it did not come as far as the provider.
        500..600 => Cause::ServerError,
        _ => Cause::Malformed,
    }
}
