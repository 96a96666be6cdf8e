//! Whatever a trusted peer begins with, it is read in steps that end: within the bound, and at the end of a header that the
//! parser takes as a whole, not a byte later.
//!
//! `cargo +nightly fuzz run proxy_header`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::server::proxy_protocol::{LONGEST_V1, LONGEST_V2, Progress, progress};

fuzz_target!(|bytes: &[u8]| {
    let mut length = 0;
    while let Ok(Progress::Wants(more)) = progress(&bytes[..length]) {
        assert!(more > 0 && length + more <= LONGEST_V2);
        if length + more > bytes.len() {
            return;
        }
        // One byte fewer is no header yet, so what was asked for belongs to it.
        for shorter in length..length + more {
            assert!(!matches!(progress(&bytes[..shorter]), Ok(Progress::Whole(_))));
        }
        length += more;
    }
    if let Ok(Progress::Whole(source)) = progress(&bytes[..length]) {
        assert!(length <= if bytes.starts_with(b"PROXY ") { LONGEST_V1 } else { LONGEST_V2 });
        assert!(source.is_none_or(|ip| ip.to_canonical() == ip));
    }
});
