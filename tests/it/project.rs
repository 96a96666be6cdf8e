//! What stands around the code stays true to it: pages, links, commands, and what no file may say.

mod cache;
mod commands;
pub(crate) mod files;
mod image;
mod pages;
mod resilience;
