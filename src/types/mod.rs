//! Layer 0: the words of the house. Plain values that parse and print and do nothing else.
//!
//! Everything here may be imported by every other layer and imports none of them.

pub mod address;
pub mod ask;
pub mod cached;
pub mod dialect;
pub mod digest;
pub mod ending;
pub mod fields;
pub mod foreign_name;
pub mod headroom;
pub mod moment;
pub mod money;
pub mod names;
pub mod object;
pub mod percent;
pub mod price;
pub mod question;
pub mod rate;
pub mod repeat;
pub mod secret;
pub mod subnet;
mod text;
pub mod trace_context;
pub mod unit;
pub mod units;
pub mod usage;
pub mod verdict;

pub use address::Address;
pub use ask::Ask;
pub use cached::Cached;
pub use dialect::{Dialect, RequestFormat};
pub use digest::Digest;
pub use ending::Ending;
pub use foreign_name::ForeignName;
pub use headroom::{Headroom, Room};
pub use moment::Moment;
pub use money::Money;
pub use names::{ClientName, LimitName, MasterKeyId, ProviderName, Region, Tier};
pub use object::{ObjectId, ObjectIds};
pub use percent::Percent;
pub use price::{LongPrice, PerMillion, Price};
pub use question::Question;
pub use rate::{CostRate, Rate, Window};
pub use repeat::Repeat;
pub use secret::{Fingerprint, Secret};
pub use subnet::Subnet;
pub(crate) use text::as_text;
pub use trace_context::{SpanId, TraceContext, TraceId};
pub use unit::Unit;
pub use units::{Period, Size};
pub use usage::Usage;
pub use verdict::{Action, Blame, Cause, Dimension, Verdict};
