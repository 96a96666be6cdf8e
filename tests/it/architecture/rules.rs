//! The rules, each a function from one file to its findings.

#[cfg(test)]
mod tests;

use super::source::SourceFile;

type Rule = fn(&SourceFile) -> Vec<String>;

/// Every rule, in the order of `tests.rs`.
pub(super) const ALL: [Rule; 8] =
    [layers, size, pure_policy, no_surprise_panic, no_print, telling_file_names, telling_type_names, finished];

/// The most production lines of one file.
const LONGEST_FILE: usize = 350;

/// What each layer may import. A layer that is not named here may not exist.
const LAYERS: [(&str, &[&str]); 10] = [
    ("types", &[]),
    ("config", &["types"]),
    ("policy", &["types", "config"]),
    ("provider", &["types", "config"]),
    ("upstream", &["types", "config"]),
    ("telemetry", &["types", "config"]),
    ("runtime", &["types", "config", "policy", "provider", "upstream", "telemetry"]),
    ("pipeline", &["types", "config", "policy", "provider", "upstream", "telemetry", "runtime"]),
    ("server", &["types", "config", "policy", "provider", "upstream", "telemetry", "runtime", "pipeline"]),
    ("simulator", &["types"]),
];

/// The roof: it joins everything, and nothing joins it.
const ROOF: [&str; 3] = ["lib", "main", "cli"];

/// Crates that bring the wire, the log or the metrics into a policy.
const NOT_IN_POLICY: [&str; 10] =
    ["axum", "h2", "http", "http_body", "http_body_util", "hyper", "hyper_util", "metrics", "rustls", "tracing"];

/// Words that say nothing about what they name.
const EMPTY_WORDS: [&str; 14] = [
    "backend", "common", "data", "frontend", "handler", "handlers", "helper", "helpers", "info", "manager", "managers", "misc", "util",
    "utils",
];

/// Imports go downward only; neighbours never import each other.
fn layers(file: &SourceFile) -> Vec<String> {
    if ROOF.contains(&file.layer()) {
        return Vec::new();
    }
    let Some((layer, below)) = LAYERS.iter().find(|(layer, _)| *layer == file.layer()) else {
        return vec![format!("src/{}: `{}` has no place among the layers", file.path, file.layer())];
    };
    let code = file.code();
    let up = "super::".repeat(file.depth());
    ["crate::", "sidegate::", &up]
        .into_iter()
        .flat_map(|prefix| first_names(&code, prefix))
        .filter(|name| name != layer && !below.contains(&name.as_str()))
        .map(|name| format!("src/{}: `{layer}` must not import `{name}`", file.path))
        .collect()
}

/// A file that does not fit two screens holds more than one concept.
fn size(file: &SourceFile) -> Vec<String> {
    let lines = file.lines.len();
    (lines > LONGEST_FILE).then(|| format!("src/{}: {lines} production lines; at most {LONGEST_FILE}", file.path)).into_iter().collect()
}

/// A policy decides from its arguments: no clock, no wire, no log, no metric, nothing of tokio but `sync`.
fn pure_policy(file: &SourceFile) -> Vec<String> {
    if file.layer() != "policy" {
        return Vec::new();
    }
    let code = file.code();
    let crates = NOT_IN_POLICY.into_iter().filter(|name| !first_names(&code, &format!("{name}::")).is_empty()).map(str::to_owned);
    let runtime = first_names(&code, "tokio::").into_iter().filter(|name| name != "sync").map(|name| format!("tokio::{name}"));
    let system = first_names(&code, "std::")
        .into_iter()
        .filter(|name| matches!(name.as_str(), "env" | "fs" | "io" | "process" | "thread"))
        .map(|name| format!("std::{name}"));
    let clock = ["Instant::now", "SystemTime::now", ".elapsed()"].into_iter().filter(|call| code.contains(call)).map(str::to_owned);
    crates.chain(runtime).chain(system).chain(clock).map(|what| format!("src/{}: a policy must not use `{what}`", file.path)).collect()
}

/// A line that may panic says why it never does. What stands in a `const` block is checked by the compiler.
fn no_surprise_panic(file: &SourceFile) -> Vec<String> {
    let may_panic =
        |code: &str| [".unwrap()", ".expect(", ".unwrap_err()", "panic!(", "unreachable!("].iter().any(|call| code.contains(call));
    on_lines(file, "may panic without an `// invariant:`", |text, code| {
        may_panic(code) && !text.contains("// invariant:") && !code.contains("const {")
    })
}

/// Standard output belongs to the commands and to the access log.
fn no_print(file: &SourceFile) -> Vec<String> {
    if matches!(file.layer(), "main" | "cli" | "simulator") {
        return Vec::new();
    }
    on_lines(file, "prints past the log", |_, code| ["print!(", "println!(", "dbg!("].iter().any(|call| code.contains(call)))
}

/// The name of a file says which concept it holds.
fn telling_file_names(file: &SourceFile) -> Vec<String> {
    let names = file.path.trim_end_matches(".rs").split(['/', '_']);
    names.filter(|name| EMPTY_WORDS.contains(name)).map(|name| format!("src/{}: `{name}` says nothing about the file", file.path)).collect()
}

/// So does the name of a type or a module.
fn telling_type_names(file: &SourceFile) -> Vec<String> {
    let defines = |code: &str| {
        let mut words = code.split([' ', '<', '(', '{', ';', ':']).filter(|word| !word.is_empty());
        words.find(|word| matches!(*word, "struct" | "enum" | "trait" | "type" | "mod")).and_then(|_| words.next()).map(str::to_owned)
    };
    // An indented `type` belongs to a trait, and the trait may be another crate's: `http_body::Body::Data`.
    let of_a_trait = |code: &str| code.starts_with(' ') && code.trim_start().starts_with("type ");
    on_lines(file, "defines a name that says nothing", |_, code| {
        !of_a_trait(code) && defines(code).is_some_and(|name| words_of(&name).iter().any(|word| EMPTY_WORDS.contains(&word.as_str())))
    })
}

/// What is not finished is not on the main branch.
fn finished(file: &SourceFile) -> Vec<String> {
    on_lines(file, "is not finished", |text, _| {
        ["TODO", "FIXME", "XXX", "allow(dead_code", "allow(unused"].iter().any(|mark| text.contains(mark))
    })
}

fn on_lines(file: &SourceFile, what: &str, finds: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let found = file.lines.iter().filter(|line| finds(&line.text, &line.code));
    found.map(|line| format!("src/{}:{}: {what}: {}", file.path, line.number, line.text.trim())).collect()
}

/// `RequestInfo` and `request_info` as `request`, `info`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter == '_' || letter.is_uppercase() {
            words.push(String::new());
        }
        if letter != '_' {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
    }
    words
}

/// The names that stand right behind `prefix` in paths, those of `prefix{a, b::c}` one by one.
fn first_names(code: &str, prefix: &str) -> Vec<String> {
    let name_at = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let inside_a_path = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        if inside_a_path {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(group_members(group).iter().map(|member| name_at(member.trim_start()))),
            None => names.push(name_at(rest)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The members of a `{…}` group whose opening bracket is gone, each with what belongs to it.
fn group_members(group: &str) -> Vec<String> {
    let (mut members, mut depth) = (vec![String::new()], 0);
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            ',' if depth == 0 => members.push(String::new()),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                members.last_mut().unwrap().push(letter);
            }
        }
    }
    members
}
