//! What stands around the code stays true to it: pages, links, commands, and what no file may say.

mod commands;
mod files;
mod pages;
