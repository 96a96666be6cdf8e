//! Which region an address belongs to: by its network, or by the place that a GeoIP database tells.

pub mod networks;
pub mod places;

pub use networks::Networks;
pub use places::Places;
