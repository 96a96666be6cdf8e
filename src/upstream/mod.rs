//! Layer 2: sockets to providers. Our own connection pool on `hyper::client::conn`, one for each worker, so that a
//! request never changes threads.
//!
//! What belongs here and is no attempt of its own: sending a request again that the provider is known not to have
//! processed (RFC 9110 §9.2.2, RFC 9113 §8.7), or that is safe and was lost with a used connection (RFC 9112 §9.3.1). What is only *perhaps* unprocessed is left to the caller to judge.
//!
//! A request that asks for an upgrade has a connection of its own, which the pool lends only a place.
//!
//! Cancel: dropping the future of [`Upstream::send`] or the [`ReplyBody`] closes the HTTP/1 connection or resets the
//! HTTP/2 stream at once. Nothing waits.

mod addresses;
pub mod body;
pub mod client;
pub mod coalesce;
mod coarse;
pub mod connect;
pub mod dns;
pub mod endpoint;
pub mod error;
mod http2;
mod interim;
mod line;
mod patient;
mod pool;
mod proxy;
mod reply;
pub mod switch;
pub mod tls;

pub use body::Upload;
pub use client::{Outgoing, Upstream};
pub use dns::Resolver;
pub use endpoint::Endpoint;
pub use error::{Failure, Flaw, Phase, Reason};
pub use http2::LocalExecutor;
pub use reply::ReplyBody;
pub use switch::Switched;
