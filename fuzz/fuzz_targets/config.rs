//! Any text given as a config loads, or is refused with at least one problem that prints.
//!
//! `cargo +nightly fuzz run config fuzz/corpus/config tests/it/broken` starts from the broken files of the tests.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::config::{self, Environment};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let environment = Environment::from([("OPENAI_API_KEY", "hunter2-hunter2"), ("X", "a: [b")]);
    if let Err(problems) = config::from_text("proxy.yaml", &text, &environment) {
        assert!(problems.iter().len() > 0);
        assert!(text.contains("hunter2") || !problems.to_string().contains("hunter2"));
    }
});
