//! A point in time on both clocks, as policies take it: they have no clock of their own.

/// Now, on the clock that only goes forward and on the one that says the date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since the process began.
    pub nanos: u64,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix: u64,
}
