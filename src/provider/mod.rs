//! Layer 2: what is particular to a provider's dialect. One file a concern; one match a dialect.

pub mod auth;
pub mod endpoint;
pub mod finish;
pub mod objects;
pub mod prefix;
pub mod rate_headers;
pub mod reader;
pub mod repeat;
pub mod splice;
pub mod sse;
pub mod unasked;
pub mod usage;
pub mod verdict;

pub use auth::Credential;
pub use endpoint::{Endpoint, ModelIn};
pub use repeat::Repeat;
