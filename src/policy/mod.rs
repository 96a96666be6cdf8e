//! Layer 2: decisions. No HTTP, no I/O, no clock, no log, no metric; time comes in as an argument.
//!
//! A policy has four words: *spec* (numbers from the config), *state* (counters only), *permit* (taken,
//! given back once, also by `Drop`) and *refusal* (why not). Numbers come with the call and counters
//! stay, so a reload never touches a state.

pub mod autoscaling;
pub mod breaker;
pub mod cache;
pub mod estimate;
pub mod jwt;
pub mod key_pool;
pub mod limits;
pub mod pace;
pub mod prices;
pub mod queue;
pub mod regions;
pub mod retry;
