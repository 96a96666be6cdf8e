//! Clients that measure and do not mend.

mod h1;
pub(crate) mod h2;

pub(crate) use h1::{H1, Reply};
pub(crate) use h2::H2;
