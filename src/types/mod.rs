//! Layer 0: the words of the house. Plain values that parse and print and do nothing else.
//!
//! Everything here may be imported by every other layer and imports none of them.

pub mod address;
pub mod ask;
pub mod dialect;
pub mod fields;
pub mod names;
pub mod secret;
pub mod subnet;
pub mod units;
pub mod usage;

pub use address::Address;
pub use ask::Ask;
pub use dialect::{Dialect, RequestFormat};
pub use names::{ClientName, MasterKeyId, ProviderName, Tier};
pub use secret::{Fingerprint, Secret};
pub use subnet::Subnet;
pub use units::{Percent, Period, Size};
pub use usage::Usage;
