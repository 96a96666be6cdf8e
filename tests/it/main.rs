//! The whole of Sidegate from the outside, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect stops there")]

mod cli;
mod config;
