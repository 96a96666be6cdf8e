//! The whole proxy in process, between scripted providers and exact clients, told as stories.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abuse;
mod cancel;
mod expect;
mod fidelity;
mod streams;
mod support;
mod upstream_h1;
mod upstream_h2;
