//! Files that were cut off or damaged: each is taken whole or refused, soon, and no error shows a secret that stands in it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use fastrand::Rng;
use sidegate::{
    config::{self, Loaded, Problems},
    runtime::reload::Outcome,
};

use super::{environment, root};
use crate::support::{PATIENCE, Sidegate};

/// A key in the text itself. No word of a config has three letters of it in a row, so that any part of it that shows is seen.
const PLANTED: &str = "zqxjkvbwqzfxvkjq";

/// The letters of [`PLANTED`] that must not show in a row.
const SHOWN: usize = 4;

/// The example in the source's root and those of `examples/config`, with a key planted in the first pool.
fn samples() -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("examples/config")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(root().join("proxy.yaml"));
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    let planted = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let (head, tail) = text.split_once("\n    keys:\n").unwrap_or_else(|| panic!("{} has no pool", file.display()));
        let indent = " ".repeat(tail.len() - tail.trim_start().len());
        let text = format!("{head}\n    keys:\n{indent}- value: {PLANTED}\n{tail}");
        (file, text)
    };
    files.into_iter().map(planted).collect()
}

/// Loads these bytes, as a file where they are no text, and holds the answer against what must be true of each.
fn load(file: &Path, bytes: &[u8]) -> Result<Box<Loaded>, Problems> {
    let begun = Instant::now();
    let answer = match std::str::from_utf8(bytes) {
        Ok(text) => config::from_text("proxy.yaml", text, &environment()),
        Err(_) => {
            fs::write(file, bytes).unwrap();
            config::load(file, &environment())
        }
    };
    let text = String::from_utf8_lossy(bytes);
    assert!(begun.elapsed() < PATIENCE, "{:?} for {text}", begun.elapsed());
    match &answer {
        Ok(loaded) => is_whole(loaded, &text),
        Err(problems) => is_useful(problems, &text),
    }
    answer.map(Box::new)
}

/// Everything that the config names is there, and it can be shown without its keys.
fn is_whole(loaded: &Loaded, text: &str) {
    let Loaded { config, keys, .. } = loaded;
    assert!(!config.providers.is_empty() && !config.routes.is_empty(), "{text}");
    assert!(config.providers.keys().eq(keys.keys()), "{text}");
    for route in &config.routes {
        assert!(!route.targets.is_empty() && route.targets.iter().all(|target| keys.contains_key(&target.provider)), "{text}");
    }
    shows_nothing(&format!("{loaded:?} {loaded} {}", serde_json::to_string(config).unwrap()), text);
}

/// Each error says what is wrong and what to do.
fn is_useful(problems: &Problems, text: &str) {
    assert!(problems.iter().len() > 0, "{text}");
    assert!(problems.iter().all(|problem| !problem.message().is_empty() && !problem.fix().is_empty()), "{problems}");
    shows_nothing(&problems.to_string(), text);
}

fn shows_nothing(shown: &str, text: &str) {
    for secret in [PLANTED, "sk-first-0123456789", "sk-research-0123456789"] {
        let mut parts = (0..=secret.len() - SHOWN).map(|at| &secret[at..at + SHOWN]);
        // The names of variables and files have words in common with their values.
        let parts = parts.by_ref().filter(|part| secret == PLANTED || part.contains(|c: char| c.is_ascii_digit()) && part.starts_with('-'));
        for part in parts {
            assert!(!shown.contains(part), "{part} in:\n{shown}\nfor:\n{text}");
        }
    }
}

#[test]
fn every_beginning_of_every_sample_is_taken_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    for (name, text) in samples() {
        let taken = (0..text.len()).filter(|end| load(&file, &text.as_bytes()[..*end]).is_ok()).count();
        assert!(load(&file, text.as_bytes()).is_ok(), "{}", name.display());
        assert!(taken < text.len() / 2, "{taken} beginnings of {} are configs", name.display());
    }
}

#[test]
fn with_a_required_end_no_beginning_of_any_sample_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    for (name, text) in samples() {
        // Comments may stand before the first field.
        let first = text.lines().take_while(|line| line.starts_with('#') || line.is_empty()).map(|line| line.len() + 1).sum();
        let text = format!("{}require_end: true\n{}...\n", &text[..first], &text[first..]);
        assert!(load(&file, text.as_bytes()).is_ok(), "{}", name.display());
        let taken: Vec<_> = (0..text.len()).filter(|end| load(&file, &text.as_bytes()[..*end]).is_ok()).collect();
        assert_eq!(taken, [0; 0], "{}", name.display());
    }
}

/// What means something in YAML, and what has no place in it.
const SIGNIFICANT: [&str; 28] = [
    ":", ": ", "- ", "-", "{", "}", "[", "]", ",", "&a ", "*a", "<<: *a", "!", "!!str ", "|", ">", "'", "\"", "%", "@", "#", " #", "? ",
    "\t", "\n", "\r", "${", "\u{feff}",
];

/// The text with one thing changed.
fn damaged(mut bytes: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if bytes.is_empty() {
        return b"- ".to_vec();
    }
    let (at, line, other) = (rng.usize(..bytes.len()), rng.usize(..lines.len()), rng.usize(..lines.len()));
    match rng.u8(..8) {
        0 => bytes[at] ^= 1 << rng.u8(..8),
        1 => bytes[at] = rng.u8(..),
        2 => bytes.truncate(at),
        3 => drop(bytes.splice(at..at, SIGNIFICANT[rng.usize(..SIGNIFICANT.len())].bytes())),
        4 => drop(bytes.drain(at..(at + rng.usize(1..20)).min(bytes.len()))),
        change => {
            match change {
                5 => drop(lines.remove(line)),
                6 => lines.insert(line, lines[other].clone()),
                _ => lines.swap(line, other),
            }
            return lines.concat();
        }
    }
    bytes
}

/// A thousand files, each with one to three things changed; always the same ones.
fn mutations(seed: u64) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let (samples, mut rng) = (samples(), Rng::with_seed(seed));
    (0..1_000).map(move |turn| {
        let text = samples[turn % samples.len()].1.as_bytes().to_vec();
        let changed = (0..rng.usize(1..=3)).fold(text, |text, _| damaged(text, &mut rng));
        (turn, changed)
    })
}

#[test]
fn a_thousand_damaged_files_are_taken_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    let taken = mutations(4).filter(|(_, bytes)| load(&file, bytes).is_ok()).count();
    // Comments and texts may change; most of a config may not.
    assert!((100..900).contains(&taken), "{taken} of 1000 were taken");
}

/// The same to a proxy that serves: what it says of a file is what loading it says, and only a whole one is put in force.
#[tokio::test]
async fn a_proxy_that_is_given_a_thousand_damaged_files_serves_on_with_the_last_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    let good = "# What is said here changes nothing.
listen: { address: '127.0.0.1:0', workers: 1 }
admin: { address: '127.0.0.1:0' }
providers:
  one:
    base_url: http://127.0.0.1:1
    timeouts: { idle: 9m }
    keys:
      - value: zqxjkvbwqzfxvkjq
  two: { base_url: 'http://127.0.0.1:2', keys: [{ value: b }] }
routes:
  - { path: /v1, models: ['gpt-*'], targets: [one] }
  - { path: /v1, targets: [two] }
";
    fs::write(&file, good).unwrap();
    let sidegate = Sidegate::from_file(&file, false);
    let (mut rng, mut generation, mut applied, mut refused) = (Rng::with_seed(4), 1, 0, 0);
    for _ in 0..1_000 {
        let bytes = (0..rng.usize(1..=2)).fold(good.as_bytes().to_vec(), |text, _| damaged(text, &mut rng));
        let fine = load(&folder.path().join("other.yaml"), &bytes).is_ok();
        fs::write(&file, &bytes).unwrap();
        let report = sidegate.reload();
        let text = String::from_utf8_lossy(&bytes);
        match &report.outcome {
            Outcome::Applied { changed } => {
                assert!(fine && !changed.is_empty(), "{text}");
                generation += 1;
                applied += 1;
            }
            Outcome::Unchanged | Outcome::RestartRequired { .. } => assert!(fine, "{text}"),
            Outcome::Refused(problems) => {
                assert!(!fine, "{text}");
                is_useful(problems, &text);
                refused += 1;
            }
        }
        assert_eq!(report.generation, generation, "{text}");
    }
    assert!(applied > 20 && refused > 100, "{applied} applied, {refused} refused");
    fs::write(&file, good).unwrap();
    assert!(matches!(sidegate.reload().outcome, Outcome::Applied { .. } | Outcome::Unchanged));
}
