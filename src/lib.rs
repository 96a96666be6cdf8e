//! Sidegate.
pub mod config;
pub mod simulator;
pub mod types;
