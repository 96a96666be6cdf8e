//! The commands that pages tell people to run exist, and so do their flags.

use std::{collections::BTreeMap, process::Command};

use super::files::{pages, root};

/// The command lines of a page's `sh` blocks, continued lines joined, prompts and comments gone.
fn command_lines(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    for block in blocks {
        let joined = block.replace("\\\n", " ");
        lines.extend(
            joined
                .lines()
                .map(|line| line.split(" #").next().unwrap().trim().to_owned())
                .filter(|line| !line.is_empty() && !line.starts_with('#')),
        );
    }
    lines
}

/// What follows the name of the program, if the line starts ours: `sidegate …`, `target/…/sidegate …`, `cargo run … -- …`.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> = line.split_whitespace().skip_while(|word| word.contains('=') && !word.starts_with('-')).collect();
    let behind = |at: usize| words[at..].iter().copied().take_while(|word| !matches!(*word, "|" | "&" | ">" | "&&")).collect();
    match words.as_slice() {
        [program, ..] if *program == "sidegate" || program.ends_with("/sidegate") => Some(behind(1)),
        ["cargo", "run", ..] if !line.contains("--example") => words.iter().position(|word| *word == "--").map(|at| behind(at + 1)),
        _ => None,
    }
}

/// What `sidegate … --help` prints; nothing if there is no such command.
fn help(command: &[&str]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_sidegate")).args(command).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// What is wrong with the arguments of a documented command, if anything is.
fn wrong(arguments: &[&str], helps: &mut BTreeMap<String, Option<String>>) -> Option<String> {
    // `key seal` is a command of a command; a file behind a command changes nothing about its help.
    let command: Vec<&str> = arguments.iter().copied().take_while(|word| !word.starts_with(['-', '<'])).collect();
    let name = command.join(" ");
    let Some(help) = helps.entry(name.clone()).or_insert_with(|| help(&command)) else {
        return Some(format!("there is no command `{name}`"));
    };
    let flags = arguments.iter().filter(|word| word.starts_with("--")).map(|flag| flag.split('=').next().unwrap());
    flags.filter(|flag| !help.contains(*flag)).map(|flag| format!("`{name}` has no `{flag}`")).next()
}

#[test]
fn every_command_of_a_page_exists() {
    let (mut checked, mut findings, mut helps) = (0, Vec::new(), BTreeMap::new());
    for (path, page) in pages() {
        for line in command_lines(&page) {
            let first = line.split_whitespace().next().unwrap();
            let in_tree = ["scripts/", "examples/"].iter().any(|folder| first.starts_with(folder));
            if in_tree && !root().join(first).exists() {
                findings.push(format!("{path}: there is no {first}"));
            }
            if let Some(arguments) = arguments(&line) {
                findings.extend(wrong(&arguments, &mut helps).map(|what| format!("{path}: {what}: {line}")));
                checked += 1;
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    assert!(checked >= 4, "found only {checked} commands");
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let page = "```sh\ncargo run --release -- \\\n  demo --once   # a comment\n```\n```yaml\nsidegate no\n```\n```sh\nKEY=x sidegate nonsense | cat\n```";
    let lines = command_lines(page);
    assert_eq!(lines, ["cargo run --release --    demo --once", "KEY=x sidegate nonsense | cat"]);
    assert_eq!(arguments(&lines[0]).unwrap(), ["demo", "--once"]);
    assert_eq!(arguments(&lines[1]).unwrap(), ["nonsense"]);
    assert_eq!(arguments("cargo run --example chat -- hello"), None);
    assert!(wrong(&["no-such-command"], &mut BTreeMap::new()).is_some());
    assert!(wrong(&["check", "--no-such-flag"], &mut BTreeMap::new()).is_some());
    assert!(wrong(&["key", "seal", "--no-such-flag"], &mut BTreeMap::new()).is_some());
    assert_eq!(wrong(&["key", "seal", "--key-file", "x"], &mut BTreeMap::new()), None);
}
