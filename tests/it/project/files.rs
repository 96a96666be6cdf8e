//! Every file of the repository: where its links lead, and what it must not say.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder that holds everything.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a page, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file that belongs to the repository, with its path from the root.
pub(super) fn texts() -> Vec<(String, String)> {
    let listed =
        Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "git: {}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout).unwrap();
    let text = |path: &str| Some((path.to_owned(), fs::read_to_string(root().join(path)).ok()?));
    let texts: Vec<_> = paths.split_terminator('\0').filter_map(text).collect();
    assert!(texts.len() > 60, "found only {} files", texts.len());
    texts
}

/// Every page, with its path from the root.
pub(super) fn pages() -> Vec<(String, String)> {
    let pages: Vec<_> = texts().into_iter().filter(|(path, _)| path.ends_with(".md")).collect();
    assert!(pages.len() >= 9, "found only {} pages", pages.len());
    pages
}

/// The targets of the links in a page.
fn links(page: &str) -> Vec<&str> {
    page.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

/// The name by which a link finds a heading: small letters, blanks as `-`, no other punctuation.
fn anchor(heading: &str) -> String {
    let letters = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    letters.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Why a link on the page at `path` leads nowhere, if it does.
fn broken(path: &str, link: &str) -> Option<String> {
    if link.starts_with("https://") || link.starts_with("http://") {
        return None;
    }
    let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target: PathBuf = if file.is_empty() { root().join(path) } else { root().join(path).parent().unwrap().join(file) };
    if !target.exists() {
        return Some(format!("{path}: there is no {link}"));
    }
    let found = || {
        let page = fs::read_to_string(&target).unwrap();
        page.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line.trim_start_matches('#')) == fragment)
    };
    (!fragment.is_empty() && !found()).then(|| format!("{path}: {file} has no heading for #{fragment}"))
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let pages = pages();
    let links: Vec<_> = pages.iter().flat_map(|(path, page)| links(page).into_iter().map(move |link| (path, link))).collect();
    assert!(links.len() >= 15, "found only {} links", links.len());
    let broken: Vec<_> = links.into_iter().filter_map(|(path, link)| broken(path, link)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_page_can_be_found_from_the_front_page() {
    let front = read("README.md");
    let linked = links(&front);
    let lost: Vec<_> =
        pages().into_iter().map(|(path, _)| path).filter(|path| path.starts_with("docs/") && !linked.contains(&path.as_str())).collect();
    assert_eq!(lost, [""; 0], "README.md has no link to these");
}

#[test]
fn a_link_to_nowhere_is_found() {
    assert_eq!(links("[a](b.md) and ![c](d.png#e)"), ["b.md", "d.png#e"]);
    assert_eq!(anchor(" `x-request-id`, and more"), "x-request-id-and-more");
    for link in ["docs/no-such-page.md", "README.md#no-such-heading", "#no-such-heading"] {
        assert!(broken("README.md", link).is_some(), "{link}");
    }
    assert_eq!(broken("docs/errors.md", "../README.md"), None);
}

#[test]
fn no_file_speaks_of_the_machine_it_was_written_on() {
    // Put together here, so that this file does not say them.
    let paths = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/")];
    let texts = texts();
    let said =
        texts.iter().flat_map(|(path, text)| paths.iter().filter(|said| text.contains(**said)).map(move |said| format!("{path}: {said}")));
    assert_eq!(said.collect::<Vec<_>>(), [""; 0]);
}

/// What a lock file says of the places that packages come from, less what every copy of it would say.
fn places<'a>(path: &str, text: &'a str) -> Vec<&'a str> {
    let trimmed = text.lines().map(str::trim);
    match path.rsplit('/').next().unwrap_or_default() {
        "Cargo.lock" => {
            let ours = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
            trimmed.filter(|line| line.starts_with("source = ") && *line != ours).collect()
        }
        "package-lock.json" => trimmed.filter(|line| line.starts_with("\"resolved\": ")).collect(),
        "requirements.txt" => trimmed.filter(|line| line.contains("://") || line.starts_with('-')).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn lock_files_name_no_place_but_the_index_of_crates() {
    let texts = texts();
    let locks = texts
        .iter()
        .filter(|(path, _)| path.ends_with("Cargo.lock") || path.ends_with("package-lock.json") || path.ends_with("requirements.txt"));
    assert!(locks.count() >= 10, "lock files were not found");
    let named = texts.iter().flat_map(|(path, text)| places(path, text).into_iter().map(move |place| format!("{path}: {place}")));
    assert_eq!(named.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_place_in_a_lock_file_is_found() {
    assert_eq!(places("a/Cargo.lock", "[[package]]\nsource = \"registry+https://mirror.test/index\"\n").len(), 1);
    assert_eq!(places("package-lock.json", "      \"resolved\": \"https://mirror.test/ws.tgz\",\n").len(), 1);
    assert_eq!(places("requirements.txt", "--index-url https://mirror.test/simple\nopenai==3.3.0\n").len(), 1);
}

#[test]
fn scripts_can_be_run_and_stop_at_the_first_error() {
    use std::os::unix::fs::PermissionsExt;
    let scripts: Vec<_> = texts().into_iter().filter(|(_, text)| text.starts_with("#!/usr/bin/env bash")).collect();
    assert!(scripts.len() >= 4, "found only {} scripts", scripts.len());
    for (path, text) in scripts {
        let mode = fs::metadata(root().join(&path)).unwrap().permissions().mode();
        assert!(mode & 0o111 == 0o111, "{path} is not executable");
        assert!(text.contains("\nset -euo pipefail\n"), "{path} goes on after an error");
    }
}
