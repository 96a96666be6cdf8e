//! The pool as its callers see it.

mod health;
mod hostile;
mod quotas;
mod simulation;
mod turns;
