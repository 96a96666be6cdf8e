//! The pool as its callers see it.

mod health;
mod quotas;
mod simulation;
mod turns;
