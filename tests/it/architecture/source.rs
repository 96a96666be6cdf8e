//! Source files as the rules see them: production lines apart from tests, code apart from comments and strings.

use std::{fs, path::Path};

/// One line of production code.
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub(super) number: usize,
    /// The line as it stands.
    pub(super) text: String,
    /// The line without comments, and with nothing between its quotation marks.
    pub(super) code: String,
}

/// One file under `src/`.
pub(super) struct SourceFile {
    /// Its path from `src/` on, such as `policy/key_pool/mod.rs`.
    pub(super) path: String,
    /// Its lines, less tests.
    pub(super) lines: Vec<Line>,
}

impl SourceFile {
    /// Every Rust file under `src/`, in the order of their paths.
    pub(super) fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        walk(&root, &mut |path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            files.push(Self::new(name, &fs::read_to_string(path).unwrap()));
        });
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// A file of this path and text.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let only_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
        let lines = if only_tests { Vec::new() } else { production(text) };
        Self { path: path.to_owned(), lines }
    }

    /// The folder or file directly under `src/` that it belongs to, without `.rs`.
    pub(super) fn layer(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Modules between the crate's root and this file: 1 for `policy/mod.rs`, 2 for `policy/verdict.rs`.
    pub(super) fn depth(&self) -> usize {
        self.path.split('/').filter(|part| !matches!(*part, "mod.rs" | "lib.rs" | "main.rs")).count()
    }

    /// All code in one piece, for what spans lines.
    pub(super) fn code(&self) -> String {
        self.lines.iter().map(|line| line.code.as_str()).collect::<Vec<_>>().join("\n")
    }
}

fn walk(folder: &Path, found: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found(&path);
        }
    }
}

/// The lines that no `#[cfg(test)]` stands before. Relies on rustfmt: an item ends with a bracket at its own indentation.
fn production(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut all = text.lines().enumerate();
    while let Some((index, line)) = all.next() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            let indent = &line[..line.len() - line.trim_start().len()];
            for (_, item) in all.by_ref() {
                let at_its_indent = item.strip_prefix(indent).is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '));
                let attribute = item.trim_start().starts_with("#[");
                if at_its_indent && !attribute && !item.ends_with(['{', '(']) {
                    break;
                }
            }
        } else {
            lines.push(Line { number: index + 1, text: line.to_owned(), code: code_of(line) });
        }
    }
    lines
}

/// What is left of a line without comment and without the contents of its strings.
fn code_of(line: &str) -> String {
    let line = line.replace("'\"'", "' '").replace("\\\"", "");
    let mut code = String::with_capacity(line.len());
    for (index, piece) in line.split('"').enumerate() {
        // Every second piece stands between quotation marks.
        if index % 2 == 1 {
            code.push_str("\"\"");
        } else if let Some((before, _)) = piece.split_once("//") {
            code.push_str(before);
            break;
        } else {
            code.push_str(piece);
        }
    }
    code
}

#[test]
fn tests_and_comments_are_no_production_code() {
    let text = "fn a() {} // unwrap\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n\n    fn e() {}\n}\nfn c() {}\n#[cfg(test)]\nmod tests;\nfn d(x: &str) { x == \"// y\" }\n";
    let code = SourceFile::new("policy/x.rs", text).code();
    assert_eq!(code, "fn a() {} \nfn c() {}\nfn d(x: &str) { x == \"\" }");
    assert_eq!(SourceFile::new("policy/x/tests.rs", text).lines.len(), 0);
}
