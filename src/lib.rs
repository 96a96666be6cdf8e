//! Sidegate.
pub mod cli;
pub mod config;
pub mod types;
