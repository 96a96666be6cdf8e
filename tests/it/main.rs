//! The whole proxy in process, between scripted providers and exact clients, told as stories; and the rules that hold
//! its source together.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abuse;
mod architecture;
mod cancel;
mod cli;
mod config;
mod expect;
mod fidelity;
mod project;
mod settle;
mod simulator;
mod streams;
mod support;
mod upstream_h1;
mod upstream_h2;
