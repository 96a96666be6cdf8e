//! Taking the keys out of a query leaves every other parameter as it stands, and none that is a key.
//!
//! `cargo +nightly fuzz run query`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::provider::auth::without_query_keys;

fuzz_target!(|query: &str| {
    let left = without_query_keys(query);
    assert_eq!(without_query_keys(&left), left);
    let mut parameters = query.split('&');
    assert!(left.is_empty() || left.split('&').all(|kept| parameters.any(|given| given == kept)));
});
