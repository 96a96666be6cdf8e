//! `sidegate key new` as a process: what it prints and where, and that a client is served with what it has made.

use std::process::{Command, Output, Stdio};

use sidegate::config::{self, Environment, KeyHash};

use super::ask;
use crate::support::{Provider, Script, Sidegate};

fn make(arguments: &[&str]) -> Output {
    let arguments = [&["key", "new"], arguments].concat();
    Command::new(env!("CARGO_BIN_EXE_sidegate")).args(arguments).env_clear().stdin(Stdio::null()).output().unwrap()
}

/// The key, and the entry of the config.
fn made(arguments: &[&str]) -> (String, String) {
    let output = make(arguments);
    let [key, entry] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    assert!(output.status.success(), "{entry}");
    (key.strip_suffix('\n').unwrap().to_owned(), entry)
}

/// The section of the config that these entries make.
fn section(entries: &[String]) -> String {
    let lines = entries.iter().flat_map(|entry| entry.lines()).map(|line| format!("    {line}\n")).collect::<String>();
    format!("clients:\n  keys:\n{lines}")
}

#[tokio::test]
async fn a_client_is_served_with_the_key_and_the_entry_that_were_made() {
    let provider = Provider::always(Script::ok("served")).await;
    let (key, entry) = made(&["--name", "web", "--tier", "premium"]);
    let (other, other_entry) = made(&["--name", "app", "--tier", "free", "--id", "app1"]);
    let sidegate = Sidegate::with(&section(&[entry, other_entry]), provider.address).await;
    for (n, (key, client, tier)) in [(&key, "web", "premium"), (&other, "app", "free")].into_iter().enumerate() {
        let (reply, line) = ask(&sidegate, "", &format!("Authorization: Bearer {key}\r\n"), n + 1).await;
        assert_eq!((reply.text().as_str(), line["client"].as_str(), line["tier"].as_str()), ("served", Some(client), Some(tier)));
    }
    assert!(other.starts_with("sg-app1-"), "{other}");
}

#[test]
fn the_key_goes_to_one_place_and_its_hash_to_the_other() {
    let (key, entry) = made(&["--name", "web", "--tier", "premium"]);
    let parts: Vec<&str> = key.split('-').collect();
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    assert!(parts.len() == 3 && parts[0] == "sg" && parts.iter().all(|part| plain(part)), "{key}");
    // 160 bits, five in a letter.
    assert_eq!((parts[1].len(), parts[2].len()), (8, 32), "{key}");
    let said = entry.lines().last().unwrap();
    assert_eq!(said, format!("- {{ name: web, sha256: {}, tier: premium }}", KeyHash::of(key.as_bytes())));
    assert!(entry.lines().next().unwrap().starts_with('#') && !entry.contains(parts[2]), "{entry}");
    let (another, _) = made(&["--name", "web", "--tier", "premium"]);
    assert!(parts.iter().skip(1).all(|part| !another.contains(part)), "{key} {another}");
}

#[test]
fn an_entry_says_what_it_was_told_whatever_yaml_thinks_of_the_words() {
    for name in ["null", "Null", "true", "no", "1", "0x10", "1e5", "1.5", "2026-11-22", "a.b_c-d"] {
        let (_, entry) = made(&["--name", name, "--tier", name]);
        let text =
            format!("providers: {{ a: {{ keys: [{{ value: x }}] }} }}\nroutes: [{{ path: /, targets: [a] }}]\n{}", section(&[entry]));
        let loaded = config::from_text("test", &text, &Environment::default()).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let client = &loaded.config.clients.unwrap().keys[0];
        assert_eq!((client.name.as_str(), client.tier.as_str()), (name, name));
    }
}

#[test]
fn what_can_be_no_key_is_refused_and_nothing_is_printed() {
    for (arguments, why) in [
        (&["--tier", "free"][..], "--name"),
        (&["--name", "web"], "--tier"),
        (&["--name", "two words", "--tier", "free"], "not a name"),
        (&["--name", "web", "--tier", "free", "--id", "Web"], "letters in lower case"),
        (&["--name", "web", "--tier", "free", "--id", "a-b"], "letters in lower case"),
        (&["--name", "web", "--tier", "free", "--id", ""], "letters in lower case"),
        (&["--name", "web", "--tier", "free", "--id", &"a".repeat(33)], "letters in lower case"),
        (&["--name", "web", "--tier", "free", "sg-web-secret"], "unexpected argument"),
    ] {
        let output = make(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{arguments:?}");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}

/// `sidegate key new … | head -0`: an entry for a key that nobody has would only stand in the way.
#[test]
fn where_nobody_takes_the_key_there_is_no_entry() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_sidegate"))
        .args(["key", "new", "--name", "web", "--tier", "free"])
        .env_clear()
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(1), &b""[..]));
}
