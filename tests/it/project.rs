//! What stands around the code stays true to it: pages, links, commands, and what no file may say.

mod cache;
mod commands;
mod console;
mod deployments;
pub(crate) mod files;
mod operators;
mod pages;
mod resilience;
