//! The rules of the house that neither rustc nor clippy can hold: layers, sizes, words, and what a policy may touch.
//!
//! Each rule is a function from one source file to its findings, so that each can be shown a bad
//! file (`rules/tests.rs`). Here they run over the whole of `src/`.

mod rules;
mod source;

use source::SourceFile;

/// Fewer files than this mean that the walk looked in the wrong place, and that nothing was checked.
const FEWEST_FILES: usize = 60;

#[test]
fn every_source_file_keeps_the_rules_of_the_house() {
    let files = SourceFile::all();
    assert!(files.len() >= FEWEST_FILES, "found only {} files under src/", files.len());

    let findings: Vec<String> = files.iter().flat_map(|file| rules::ALL.iter().flat_map(|rule| rule(file))).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
