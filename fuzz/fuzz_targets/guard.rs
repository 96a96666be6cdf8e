//! Whatever bytes come, the guard gives the same verdict however reads split them, and hands on what it does not refuse.
//!
//! `cargo +nightly fuzz run guard`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::server::guard::Guard;

/// Whether something was refused, and what hyper would see up to there.
fn verdict(bytes: &[u8], split: usize) -> (bool, Vec<u8>) {
    let mut bytes = bytes.to_vec();
    let mut guard = Guard::default();
    let (first, second) = bytes.split_at_mut(split);
    guard.inspect(first);
    guard.inspect(second);
    (guard.refused().is_some(), bytes)
}

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, split) = input;
    let whole = verdict(&bytes, 0);
    assert_eq!(whole, verdict(&bytes, split % (bytes.len() + 1)));
    assert!(whole.0 || whole.1 == bytes);
});
