//! Keys from where they live: variables, directories, files.

use std::fs;

use sidegate::config::{self, Environment, Loaded, Problems};

/// The names and secrets of the keys that a provider with these sources has.
fn read(sources: &str, environment: &Environment) -> Result<Vec<(String, String)>, Problems> {
    let text = format!("providers: {{ openai: {{ keys: [{sources}] }} }}\nroutes: [{{ path: /v1, targets: [openai] }}]");
    let Loaded { keys, .. } = config::from_text("proxy.yaml", &text, environment)?;
    Ok(keys.into_values().flatten().map(|key| (key.name, key.secret.expose().to_owned())).collect())
}

fn pairs<'k>(keys: impl IntoIterator<Item = (&'k str, &'k str)>) -> Vec<(String, String)> {
    keys.into_iter().map(|(name, secret)| (name.to_owned(), secret.to_owned())).collect()
}

#[test]
fn a_star_takes_the_name_and_its_numbers_in_their_order() {
    let environment = Environment::from([
        ("K_10", "d"),
        ("K_9", "c"),
        ("K_x", "no"),
        ("K_", "no"),
        ("K", "a\n"),
        ("KK", "no"),
        ("K_02", "b"),
        ("K_2_3", "no"),
    ]);
    assert_eq!(read("{ env: K* }", &environment).unwrap(), pairs([("K", "a"), ("K_02", "b"), ("K_9", "c"), ("K_10", "d")]));
    assert_eq!(read("{ env: K_9, name: nine }", &environment).unwrap(), pairs([("nine", "c")]));
    assert_eq!(read("{ env: K_9 }, { value: x }", &environment).unwrap(), pairs([("K_9", "c"), ("key-2", "x")]));
}

#[test]
fn keys_of_one_source_keep_their_names_apart() {
    let environment = Environment::from([("K", "a"), ("K_2", "b")]);
    assert_eq!(read("{ env: K*, name: burst }", &environment).unwrap(), pairs([("burst-K", "a"), ("burst-K_2", "b")]));
}

#[cfg(unix)]
#[test]
fn a_mounted_secret_gives_one_key_a_file_through_its_links() {
    let mount = tempfile::tempdir().unwrap();
    let version = mount.path().join("..2026_01_01");
    fs::create_dir(&version).unwrap();
    for (name, key) in [("b", "key-b\r\n"), ("a", "key-a\n")] {
        fs::write(version.join(name), key).unwrap();
        std::os::unix::fs::symlink(format!("..data/{name}"), mount.path().join(name)).unwrap();
    }
    std::os::unix::fs::symlink("..2026_01_01", mount.path().join("..data")).unwrap();
    fs::create_dir(mount.path().join("folder")).unwrap();

    let source = format!("{{ dir: {} }}", mount.path().display());
    assert_eq!(read(&source, &Environment::default()).unwrap(), pairs([("a", "key-a"), ("b", "key-b")]));

    std::os::unix::fs::symlink("..data/gone", mount.path().join("c")).unwrap();
    let refused = read(&source, &Environment::default()).unwrap_err().to_string();
    assert!(refused.contains("/c` can't be read: there is no such file"), "{refused}");
}

#[test]
fn paths_start_from_the_directory_of_the_config() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("proxy.yaml");
    fs::write(directory.path().join("key"), "from-file\n").unwrap();
    let text = "providers: { openai: { keys: [{ file: key }, { value: '${file:key}-2' }] } }\nroutes: [{ path: /v1, targets: [openai] }]";
    fs::write(&file, text).unwrap();

    let loaded = config::load(&file, &Environment::default()).unwrap();
    let secrets: Vec<_> = loaded.keys.values().flatten().map(|key| key.secret.expose()).collect();
    assert_eq!(secrets, ["from-file", "from-file-2"]);
    let key = directory.path().join("key");
    assert_eq!(loaded.files, [file, key.clone(), key.clone()]);
    assert_eq!(loaded.config.providers.values().next().unwrap().keys[0].file, Some(key));
}

#[test]
fn a_key_that_cannot_be_had_or_sent_is_refused_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let empty = format!("{{ dir: {} }}", directory.path().display());
    let environment =
        Environment::from([("EMPTY", "\n"), ("TWO", "hunter2\nhunter3"), ("UMLAUT", "hünter2"), ("A", "hunter2"), ("B", "hunter2")]);
    for (sources, words) in [
        ("{ env: NONE }", "`NONE` is not set"),
        ("{ env: NONE* }", "`NONE` is not set"),
        ("{ env: EMPTY }", "is empty"),
        ("{ env: TWO }", "white space"),
        ("{ env: UMLAUT }", "a header can't carry"),
        ("{ env: A }, { env: B }", "the key `B` is the same secret as `A`"),
        ("{ value: x, name: n }, { value: y, name: n }", "two keys have the name `n`"),
        ("{ env: hunter2-x }", "no name of an environment variable"),
        ("{ dir: /no/such }", "there is no such file"),
        ("{ file: / }", "it is a directory"),
        (empty.as_str(), "holds no key"),
    ] {
        let refused = read(sources, &environment).unwrap_err();
        assert_eq!(refused.iter().len(), 1, "{refused}");
        let refused = refused.to_string();
        assert!(refused.contains(words) && !refused.contains("nter"), "{words}: {refused}");
    }
}

#[test]
fn nothing_loaded_prints_a_secret() {
    let environment = Environment::from([("OPENAI_API_KEY", "hunter2")]);
    let loaded = config::from_environment(&environment).unwrap();
    let shown = format!("{environment:?} {loaded:?} {loaded} {}", serde_json::to_string(&loaded.config).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}
