//! The memory of the cache: one for the process, whatever generation of the config is in force.

pub mod entry;
pub mod memory;
pub mod store;

pub use entry::{Entry, Pause};
pub use memory::Memory;
pub use store::{Purge, Store, Stored};
