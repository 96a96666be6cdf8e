//! The Dockerfile: what an engine would not complain about, and an operator would.

use std::{collections::BTreeSet, process::Command};

use super::files::{read, root, texts};

/// Its instructions, continued lines joined: a keyword and what stands behind it.
fn instructions(dockerfile: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = dockerfile.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let split = |line: &str| line.split_once(' ').map(|(keyword, rest)| (keyword.to_owned(), rest.trim().to_owned()));
    joined.lines().filter(|line| !line.trim().is_empty()).map(|line| split(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// What stands behind each of these keywords.
fn all<'i>(instructions: &'i [(String, String)], keyword: &str) -> Vec<&'i str> {
    instructions.iter().filter(|(found, _)| found == keyword).map(|(_, rest)| rest.as_str()).collect()
}

/// The instructions of the last stage.
fn last_stage(instructions: &[(String, String)]) -> &[(String, String)] {
    let from = instructions.iter().rposition(|(keyword, _)| keyword == "FROM").unwrap();
    &instructions[from..]
}

/// The value of `name = "…"` at the top of Cargo.toml.
fn of_manifest(name: &str) -> String {
    let manifest = read("Cargo.toml");
    let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{name} = \""))).unwrap();
    line.trim_end_matches('"').to_owned()
}

/// The paths that `.dockerignore` lets in.
fn let_in() -> Vec<String> {
    let ignore = read(".dockerignore");
    let lines: Vec<&str> = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", "everything stays out but what is named");
    lines[1..].iter().map(|line| line.strip_prefix('!').unwrap_or_else(|| panic!("{line}")).to_owned()).collect()
}

#[test]
fn what_ships_is_the_binary_alone_for_nobody_with_a_probe_of_its_own() {
    let instructions = instructions(&read("Dockerfile"));
    let last = last_stage(&instructions);
    assert_eq!(all(last, "FROM"), ["scratch"]);
    assert_eq!(all(last, "COPY"), ["--from=build /source/image/ /"]);
    assert_eq!(all(last, "USER"), ["65532:65532"]);
    assert_eq!(all(last, "WORKDIR"), ["/etc/sidegate"]);
    assert_eq!(all(last, "ENTRYPOINT"), [r#"["/sidegate"]"#]);
    assert_eq!(all(last, "STOPSIGNAL"), ["SIGTERM"]);
    let [health] = all(last, "HEALTHCHECK")[..] else { panic!("one health check") };
    let command: Vec<String> = serde_json::from_str(health.split_once(" CMD ").unwrap().1).unwrap();
    assert_eq!(command[..2], ["/sidegate", "health"]);
    // Without a shell there is nothing that could run a line of one.
    for keyword in ["RUN", "CMD", "SHELL", "ADD"] {
        assert_eq!(all(last, keyword), [""; 0]);
    }
    let help = Command::new(env!("CARGO_BIN_EXE_sidegate")).args(["health", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(command.iter().filter(|word| word.starts_with("--")).all(|flag| help.contains(flag.as_str())), "{command:?}");
}

#[test]
fn its_versions_are_those_of_the_manifest_and_every_base_has_one() {
    let instructions = instructions(&read("Dockerfile"));
    let argument = |name: &str| {
        let values = all(&instructions, "ARG");
        let value = values.iter().find_map(|argument| argument.strip_prefix(&format!("{name}=")));
        value.unwrap_or_else(|| panic!("no ARG {name}")).to_owned()
    };
    assert_eq!(argument("VERSION"), of_manifest("version"));
    let rust = argument("RUST");
    assert!(rust.starts_with(&format!("{}.", of_manifest("rust-version"))), "{rust}: the manifest asks for another");
    let named: BTreeSet<&str> =
        all(&instructions, "FROM").iter().filter_map(|from| from.split_once(" AS ").map(|(_, name)| name)).collect();
    let bases: Vec<&str> =
        all(&instructions, "FROM").iter().map(|from| from.split(' ').find(|word| !word.starts_with("--")).unwrap()).collect();
    for base in bases.iter().filter(|base| !named.contains(*base) && **base != "scratch" && !base.starts_with("build-$")) {
        assert_eq!(*base, "rust:${RUST}-slim-${DEBIAN}", "a base without a version, or one that is not known here");
    }
    let syntax = read("Dockerfile");
    let syntax = syntax.lines().next().unwrap().strip_prefix("# syntax=docker/dockerfile:").unwrap();
    assert!(syntax.contains('.') && syntax.chars().all(|letter| letter.is_ascii_digit() || letter == '.'), "{syntax}");
}

#[test]
fn both_platforms_are_compiled_alike_statically_and_after_the_fetch_without_a_network() {
    let instructions = instructions(&read("Dockerfile"));
    let stages: Vec<&str> = all(&instructions, "FROM");
    for (platform, target) in [("amd64", "x86_64-unknown-linux-gnu"), ("arm64", "aarch64-unknown-linux-gnu")] {
        assert!(stages.contains(&format!("crates AS build-{platform}").as_str()));
        let named = all(&instructions, "ENV").iter().any(|variables| variables.starts_with(&format!("CARGO_BUILD_TARGET={target} ")));
        assert!(named, "{platform} is not compiled for {target}");
        assert!(all(&instructions, "RUN").iter().any(|line| line.starts_with("cargo fetch ") && line.contains(target)), "{target}");
    }
    assert!(stages.contains(&"build-${TARGETARCH} AS build"));
    assert!(all(&instructions, "ENV").contains(&r#"RUSTFLAGS="-C target-feature=+crt-static""#));
    let compiling: Vec<&str> = all(&instructions, "RUN").into_iter().filter(|line| line.contains(" build ")).collect();
    assert_eq!(compiling.len(), 2, "the dependencies, then the whole");
    for line in compiling {
        for flag in ["--network=none", "--offline", "--locked", "--profile dist", "--bin sidegate"] {
            assert!(line.contains(flag), "`{line}` lacks {flag}");
        }
    }
}

/// A file that `include_str!` names from elsewhere has to come in too, or only the image's build would find out.
#[test]
fn all_that_the_sources_include_comes_into_the_build_and_nothing_private_does() {
    let allowed = let_in();
    let comes_in = |path: &str| allowed.iter().any(|entry| path == entry || path.starts_with(&format!("{entry}/")));
    let instructions = instructions(&read("Dockerfile"));
    let copied: Vec<&str> = all(&instructions, "COPY").into_iter().filter(|copy| !copy.starts_with("--from")).collect();
    let copied: BTreeSet<&str> = copied.iter().flat_map(|copy| copy.rsplit_once(' ').unwrap().0.split(' ')).collect();
    assert_eq!(copied, allowed.iter().map(String::as_str).collect(), "what comes in is what is copied");
    let mut included = 0;
    for (path, text) in texts().iter().filter(|(path, _)| path.starts_with("src/")) {
        for name in text
            .split("include_str!(\"")
            .chain(text.split("include_bytes!(\""))
            .filter_map(|rest| rest.split_once("\")"))
            .map(|(name, _)| name)
        {
            let file = root().join(path).parent().unwrap().join(name);
            let Ok(file) = file.canonicalize() else { continue };
            let file = file.strip_prefix(root().canonicalize().unwrap()).unwrap().to_str().unwrap().to_owned();
            assert!(comes_in(&file), "{path} includes {file}, which stays out of the image's build");
            included += usize::from(!file.starts_with("src/"));
        }
    }
    assert!(included >= 2, "found only {included} files that are included from outside of src/");
    for private in [".git/config", "target/debug/sidegate", "proxy.yaml", ".env", "tests/it/main.rs", "helm/sidegate/values.yaml"] {
        assert!(!comes_in(private), "{private} comes into the build");
    }
}

#[test]
fn no_secret_is_an_argument_or_a_variable_of_the_build() {
    let instructions = instructions(&read("Dockerfile"));
    let given = all(&instructions, "ARG").into_iter().chain(all(&instructions, "ENV"));
    let names: Vec<&str> = given.flat_map(|given| given.split(' ')).filter_map(|pair| pair.split('=').next()).collect();
    assert!(names.len() >= 6, "{names:?}");
    for word in ["KEY", "TOKEN", "SECRET", "PASSWORD"] {
        assert!(names.iter().all(|name| !name.contains(word)), "{names:?}: it would stand in the image's history");
    }
}
