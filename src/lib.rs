//! Sidegate, a sidecar reverse proxy in front of AI providers.
//!
//! An application points the `base_url` of the SDK it already has at Sidegate and changes nothing else. Sidegate finds
//! out who calls, picks a provider and one of its keys, and streams the reply back unchanged.
//!
//! # Layers
//!
//! ```text
//! types ← config ← {policy, provider, upstream, telemetry} ← runtime ← pipeline ← server ← main
//! ```
//!
//! Each folder imports only from its left; the four in braces do not import each other. `tests/it/architecture.rs`
//! holds it so.
//!
//! | layer | what it is |
//! | --- | --- |
//! | [`types`] | words: names, secrets, units |
//! | [`config`] | what the operator wrote, checked |
//! | [`policy`] | decisions, without I/O or a clock |
//! | [`provider`] | what is particular to a provider's dialect |
//! | [`upstream`] | sockets to providers |
//! | [`telemetry`] | metrics, access log, log |
//! | [`runtime`] | the config made live |
//! | [`pipeline`] | the path of one request |
//! | [`server`] | sockets to clients, admin, threads |
//! | [`simulator`] | a simulated provider, beside all others |
//!
//! # Where to start
//!
//! The path of a request reads from top to bottom in [`pipeline::Pipeline`]; [`server::start`] shows what runs where.
//!
//! # Where to add things
//!
//! - A dialect: an arm in each match of [`provider`], and the compiler names the places; what its errors say goes into `tests/corpus/verdicts`.
//! - A config field: one field with a doc comment; its entry in the schema and the docs follows from it.
//! - A policy: a folder in [`policy`], a section in [`config`], a line in [`runtime::compile()`], a call in [`pipeline`].
//! - An answer of our own: a variant of [`pipeline::reject::Reject`] and a row in `docs/errors.md`.
//! - A metric: a constant and a row in [`telemetry::names`].
//! - An admin endpoint: a variant of [`server::admin::endpoint::Endpoint`], described in `docs/admin.openapi.json`.

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
