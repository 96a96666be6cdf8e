//! Tests of the whole, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it stands")]

mod architecture;
mod cli;
mod config;
mod project;
mod simulator;
