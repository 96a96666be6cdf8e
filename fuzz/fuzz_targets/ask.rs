//! Any body yields an ask or a reason why not, and a body that can be read whole tells the same by its whole as by its
//! first part.
//!
//! `cargo +nightly fuzz run ask`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::{
    provider::reader::{read, read_prefix},
    types::Ask,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ask) = read(bytes) {
        assert_eq!(read_prefix(bytes), Ok(Ask { goes_on: true, ..ask }));
    }
});
