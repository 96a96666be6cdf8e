//! What an operator may throw away.

