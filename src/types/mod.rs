//! Layer 0: the words of the house. Plain values that parse and print and do nothing else.
//!
//! Everything here may be imported by every other layer and imports none of them.

pub mod address;
pub mod ask;
pub mod dialect;
pub mod fields;
pub mod names;
pub mod percent;
pub mod secret;
pub mod subnet;
mod text;
pub mod trace_context;
pub mod units;
pub mod usage;

pub use address::Address;
pub use ask::Ask;
pub use dialect::{Dialect, RequestFormat};
pub use names::{ClientName, MasterKeyId, ProviderName, Tier};
pub use percent::Percent;
pub use secret::{Fingerprint, Secret};
pub use subnet::Subnet;
pub(crate) use text::as_text;
pub use trace_context::{SpanId, TraceContext, TraceId};
pub use units::{Period, Size};
pub use usage::Usage;
