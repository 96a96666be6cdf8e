//! Broken files and, beside each, the whole of what `sidegate check` says. `UPDATE_SNAPSHOTS=1` writes it anew.

use std::{fs, path::PathBuf};

use sidegate::config;

use super::{environment, root};

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/it/broken")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    files
}

/// What `sidegate check` prints for the text of this file.
fn printed(file: &PathBuf) -> String {
    let name = file.file_name().unwrap().to_str().unwrap();
    match config::from_text(name, &fs::read_to_string(file).unwrap(), &environment()) {
        Ok(loaded) => panic!("{name} is broken, but it loads: {loaded}"),
        Err(problems) => format!("{problems}\n"),
    }
}

#[test]
fn each_broken_file_is_refused_in_the_words_beside_it() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut differ = Vec::new();
    for file in files() {
        let (printed, expected) = (printed(&file), file.with_extension("txt"));
        if update {
            fs::write(&expected, &printed).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != printed {
            differ.push(format!("{}:\n{printed}", file.display()));
        }
    }
    assert!(differ.is_empty(), "these outputs differ; UPDATE_SNAPSHOTS=1 writes them anew\n{}", differ.join("\n"));
}

#[test]
fn each_error_names_line_field_and_fix_and_shows_no_secret() {
    let files = files();
    assert!(files.len() >= 40, "only {} broken files", files.len());
    for file in files {
        let printed = printed(&file);
        let errors = printed.lines().filter(|line| line.starts_with("error: ")).count();
        let places = printed.lines().filter_map(|line| line.trim_start().strip_prefix("--> ")).filter(|place| {
            let mut numbers = place.rsplit(':').take(2).map(|number| number.parse::<usize>().is_ok_and(|number| number > 0));
            numbers.next() == Some(true) && numbers.next() == Some(true)
        });
        assert!(errors > 0, "{printed}");
        assert_eq!(places.count(), errors, "{printed}");
        assert_eq!(printed.matches(" = field: ").count(), errors, "{printed}");
        assert_eq!(printed.matches(" = fix: ").count(), errors, "{printed}");
        assert!(!printed.contains("sk-") && !printed.contains("hunter2"), "{printed}");
    }
}
