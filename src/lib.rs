//! Sidegate.
pub mod config;
pub mod pipeline;
pub mod policy;
pub mod provider;
pub mod runtime;
pub mod telemetry;
pub mod types;
pub mod upstream;
