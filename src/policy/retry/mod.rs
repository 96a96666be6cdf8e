//! What comes after an attempt that did not end well: another key, the same target again, the next target, or what there is.
//!
//! [`Course::next`] decides by this table, from the cause of the attempt's end. Each row holds only where nothing of the reply has
//! gone down, the request can be sent again as a whole, and there is time; else it is *pass*.
//!
//! | cause | counts | what is tried, in this order | sent again if it was [`crate::types::Repeat::Never`] | the next target takes over for |
//! | --- | --- | --- | --- | --- |
//! | served, refused, left, unknown model | no | – | – | – |
//! | unknown model, of a pool that has served it elsewhere | no | another key | no | – |
//! | context length | no | the next target | no | `context_length` |
//! | forbidden, invalid key, exhausted | no | another key, the next target | yes | `exhausted` |
//! | rate limited | yes | another key at once, the next target, the same again after the time told | yes | `rate_limited` |
//! | region | yes | the next target | no | `open` |
//! | unreachable | yes | the next target, the same again after a back-off | yes: nothing was done | `open`, `server_error` |
//! | unprocessed | yes | the same again after a back-off, the next target | yes: nothing was done | `open`, `server_error` |
//! | overloaded, server error | yes | the same again after a back-off, the next target | no | `server_error` |
//! | gateway timeout, no reply | yes | as [`Spec::ambiguous`] says: the same, the next target | no | `timeout` |
//! | malformed, broken off | yes | as [`Spec::ambiguous`] says: the same, the next target | no | `server_error` |
//!
//! - *Counts*: it is one of [`Spec::attempts`]. The last of these are kept for the targets that take over, one for each.
//! - *Another key* for a key or account that is no good is a swap: free, and once a key, since the pool offers none that has refused
//!   this request.
//! - *The same again*, with whichever key, is a retry: it takes from the [`Budget`], so that an outage is not multiplied. Whoever
//!   falls back takes nothing from it: `attempts` bounds that.
//! - Where a provider says how long to wait, the next target is asked instead, if it takes over; without one, the wait must fit
//!   into the time that is left.
//! - Where the client has retried by itself already, fewer attempts are left: its count and ours come to one more than `attempts` at
//!   most. One is always made.

mod budget;
mod course;
mod rule;

use std::time::Duration;

pub use budget::Budget;
pub use course::{Course, Next, Request, Stop, Tried};
pub use rule::{Occasion, When};

use crate::config::Ambiguous;

/// The numbers of a route's retries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// The most attempts of one request, the first included. Its keys that were swapped do not count.
    pub attempts: u32,
    /// Retries as a part of requests: 0 to 1.
    pub budget: f64,
    /// Retries a second that are free of that.
    pub floor: f64,
    /// Whether what was sent and not answered is sent again.
    pub ambiguous: Ambiguous,
    /// How long after a request's begin another attempt may begin.
    pub within: Duration,
}

#[cfg(test)]
mod tests;
