//! No reply makes the reading of its usage fail, and a reply whose usage can't be named tells none.
//!
//! `cargo +nightly fuzz run usage`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::{provider::usage::Meter, types::RequestFormat};

fuzz_target!(|bytes: &[u8]| {
    for format in [RequestFormat::Openai, RequestFormat::Anthropic, RequestFormat::Gemini] {
        let (mut of_body, mut of_event) = (Meter::new(format), Meter::new(format));
        of_body.body(bytes);
        of_event.event(bytes);
        let told = [of_body.usage(), of_event.usage()];
        assert!(of_body.is_named_in(bytes) || told.iter().all(|usage| usage.is_unknown()));
    }
});
