//! The pool as its callers see it.

mod health;
mod simulation;
mod turns;
