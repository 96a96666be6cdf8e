//! The whole proxy in process, and the rules that hold its source together.

mod architecture;
mod project;
