//! Sidegate.
pub mod cli;
pub mod config;
pub mod pipeline;
pub mod policy;
pub mod provider;
pub mod runtime;
pub mod server;
pub mod simulator;
pub mod telemetry;
pub mod types;
pub mod upstream;
