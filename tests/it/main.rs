//! The whole proxy in process, between scripted providers and exact clients, told as stories; and the rules that hold
//! its source together.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abuse;
mod accounts;
mod admin;
mod architecture;
mod canary;
mod cancel;
mod cli;
mod client_ip;
mod clients;
mod config;
mod cost;
mod descriptors;
mod dns;
mod dodges;
mod drain;
mod egress;
mod examples_limits;
mod expect;
mod fidelity;
mod jwt;
mod keys;
mod limit_answers;
mod limits;
mod listener;
mod load;
mod log;
mod outside;
mod project;
mod proxy_protocol;
mod regions;
mod rejects;
mod reload;
mod routing;
mod sealed;
mod settle;
mod simulator;
mod spoofing;
mod streams;
mod support;
mod surface;
mod timeouts;
mod tls;
mod tokens;
mod trace;
mod unix_upstream;
mod upgrade;
mod upstream_h1;
mod upstream_h2;
mod upstream_pool;
mod upstream_tls;
mod usage;
