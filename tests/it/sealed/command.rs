//! `sidegate key` as a process: what it prints, what it refuses, and that a secret is in none of it.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use super::{CANARY, MASTER, opened, private};

/// Runs it in `folder` with nothing but the master key in its environment.
pub(super) fn sidegate(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_sidegate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("MASTER", MASTER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses before it has read closes its input.
    let _ = program.stdin.take().unwrap().write_all(input.as_bytes());
    program.wait_with_output().unwrap()
}

/// The two outputs as texts.
fn texts(output: &Output) -> (String, String) {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8(bytes.clone()).unwrap()).into()
}

#[test]
fn a_master_key_is_made_for_this_user_alone_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let output = sidegate(folder.path(), &["key", "master", "run"], "");
    let (file, (said, complained)) = (folder.path().join("run"), texts(&output));
    let key = fs::read_to_string(&file).unwrap();
    assert!(output.status.success(), "{complained}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(key.len() == 65 && key.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    assert!(said.starts_with("run: ") && !said.contains(key.trim_end()), "{said}");

    let again = sidegate(folder.path(), &["key", "master", "run"], "");
    assert_eq!((again.status.code(), fs::read_to_string(&file).unwrap()), (Some(64), key.clone()));
    assert!(texts(&again).1.contains("exists"), "{again:?}");
    sidegate(folder.path(), &["key", "master", "other"], "");
    assert_ne!(fs::read_to_string(folder.path().join("other")).unwrap(), key);
}

#[test]
fn what_is_sealed_is_one_line_and_another_each_time() {
    let folder = tempfile::tempdir().unwrap();
    private(&folder.path().join("master"), MASTER);
    // The rest of this config is not right, and need not be.
    let config = "sealing: { keys: [{ id: of-config, env: MASTER }] }\nproviders: { a: { keys: [{ env: NOT_SET }] } }\nrotes: ${NOT_SET}\n";
    fs::write(folder.path().join("proxy.yaml"), config).unwrap();
    fs::copy(folder.path().join("proxy.yaml"), folder.path().join("other.yaml")).unwrap();
    for (arguments, id) in [
        (vec!["--key-file", "master", "--id", "of-file"], "of-file"),
        (vec!["--key-env", "MASTER", "--id", "of-variable"], "of-variable"),
        (vec!["--config", "other.yaml"], "of-config"),
        (vec![], "of-config"),
    ] {
        let arguments = [vec!["key", "seal"], arguments].concat();
        let [first, second] = ["", "\n"].map(|end| {
            let output = sidegate(folder.path(), &arguments, &format!("{CANARY}{end}"));
            let (said, complained) = texts(&output);
            assert_eq!((output.status.code(), complained.as_str()), (Some(0), ""), "{arguments:?}");
            assert!(said.starts_with(&format!("sealed:{id}:")) && said.ends_with('\n') && said.lines().count() == 1, "{said}");
            assert_eq!(opened(&said, MASTER), CANARY);
            said
        });
        assert_ne!(first, second);
    }
}

#[test]
fn what_cannot_be_sealed_is_refused_with_a_reason_and_without_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    private(&folder.path().join("master"), MASTER);
    private(&folder.path().join("short"), &MASTER[..60]);
    private(&folder.path().join("empty"), "\n");
    fs::write(folder.path().join("open"), MASTER).unwrap();
    fs::set_permissions(folder.path().join("open"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(folder.path().join("none.yaml"), "providers: {}\n").unwrap();
    fs::write(folder.path().join("broken.yaml"), "sealing: { keys: [{ id: a, env: MASTR }] }\n").unwrap();
    let with_file = |file| vec!["--key-file", file, "--id", "a"];
    let long = "x".repeat((16 << 10) + 1);
    for (arguments, input, words) in [
        (with_file("master"), "", "no key to seal"),
        (with_file("master"), "\n", "no key to seal"),
        (with_file("master"), "sk-canary two", "one key alone"),
        (with_file("master"), "sk-canary\nsk-canary", "one key alone"),
        (with_file("master"), "sk-cänary", "printable ASCII"),
        (with_file("master"), "sealed:a:canary", "sealed already"),
        (with_file("master"), &long, "at most 16 KiB"),
        (with_file("gone"), CANARY, "`gone` can't be used: there is no such file"),
        (with_file("short"), CANARY, "30 bytes, not 32"),
        (with_file("empty"), CANARY, "it is empty"),
        (with_file("open"), CANARY, "other users may open it (its mode is 0644)"),
        (vec!["--key-env", "MASTR", "--id", "a"], CANARY, "did you mean `MASTER`?"),
        (vec!["--key-env", MASTER, "--id", "a"], CANARY, "no name of an environment variable"),
        (vec!["--key-file", "master"], CANARY, "--id"),
        (vec!["--key-file", "master", "--id", "a b"], CANARY, "not a name"),
        (vec!["--key-file", "master", "--key-env", "MASTER", "--id", "a"], CANARY, "cannot be used with"),
        (vec!["--id", "a"], CANARY, "`--key-file` or `--key-env`"),
        (vec![], CANARY, "there is no proxy.yaml here"),
        (vec!["--config", "none.yaml"], CANARY, "names no master key"),
        (vec!["--config", "broken.yaml"], CANARY, "field: sealing.keys[0].env"),
        (vec!["--config", "gone.yaml"], CANARY, "there is no such file"),
    ] {
        let output = sidegate(folder.path(), &[vec!["key", "seal"], arguments.clone()].concat(), input);
        let (said, complained) = texts(&output);
        assert_eq!((output.status.code(), said.as_str()), (Some(64), ""), "{arguments:?}");
        assert!(complained.contains(words), "{words}: {complained}");
        assert!(!complained.contains("canary") && !complained.contains(&MASTER[..16]), "{complained}");
    }
}

/// Arguments stand in the list of processes, which every user of the machine may read.
#[test]
fn a_key_is_never_an_argument() {
    let folder = tempfile::tempdir().unwrap();
    let output = sidegate(folder.path(), &["key", "seal", CANARY], "");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(64), b"".as_slice()));
}
