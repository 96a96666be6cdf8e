//! What `keys` and `outage` stand on: a simulated provider that can be hurt, open-loop load, and a comparison of what the provider did with
//! what Sidegate says of it.

mod call;
mod load;
mod simulated;
mod standing;
mod traces;

pub(crate) use call::{Ask, Caller, Outcome};
pub(crate) use load::{Bursts, arrivals, offer, steady};
pub(crate) use simulated::{Note, Simulated};
pub(crate) use standing::{Phase, breakers, counted, health};
pub(crate) use traces::{Bill, Reader, Traces};
