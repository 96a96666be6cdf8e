//! The command line: which config is taken, and what the exit code says.

mod drain;
mod health;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{self, ExitCode, Stdio},
};

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use sidegate::{
    cli::{self, Cli, Command},
    config::Environment,
};

fn parsed(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["sidegate"].iter().chain(arguments))
}

#[test]
fn a_config_that_works_exits_0_and_a_broken_one_64() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("proxy.yaml");
    let environment = Environment::from([("OPENAI_API_KEY", "sk-0123456789")]);
    for (text, code) in [(include_str!("../../proxy.yaml"), ExitCode::SUCCESS), ("listn: {}", ExitCode::from(64))] {
        fs::write(&file, text).unwrap();
        assert_eq!(cli::check(&file, &environment), code);
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(cli::check(&file, &environment), ExitCode::from(64));
}

#[test]
fn a_named_file_is_the_one_that_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("other.yaml");
    fs::write(&file, "providers: { a: { keys: [{ value: x }] } }\nroutes: [{ path: /, targets: [a] }]").unwrap();

    let cli = parsed(&["--config", file.to_str().unwrap()]).unwrap();
    let loaded = cli.load(&Environment::default()).unwrap();
    assert_eq!(loaded.config.routes[0].path, "/");

    fs::remove_file(&file).unwrap();
    assert!(cli.load(&Environment::default()).is_err());
}

#[test]
fn check_takes_the_default_file_and_an_unknown_word_is_refused() {
    assert!(matches!(parsed(&["check"]).unwrap().command, Some(Command::Check { file }) if file.ends_with(cli::DEFAULT_FILE)));
    assert!(matches!(parsed(&["schema"]).unwrap().command, Some(Command::Schema)));
    assert!(parsed(&["chek"]).is_err());
}

/// Whoever asks it to end finds everything written, and no error, also when nobody hears its own messages any more.
#[test]
fn a_signal_ends_it_with_every_line_of_the_log_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    let config = r#"
listen: { address: "127.0.0.1:0" }
admin: { address: "127.0.0.1:0" }
drain: { delay: 0s }
providers: { nobody: { base_url: "http://127.0.0.1:9", keys: [{ value: unused }] } }
routes: [{ path: /v1, targets: [nobody] }]
"#;
    std::fs::write(&file, config).unwrap();
    for ending in [Signal::TERM, Signal::INT] {
        let mut program = process::Command::new(env!("CARGO_BIN_EXE_sidegate"))
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(program.stderr.take().unwrap()).read_line(&mut first).unwrap();
        let address = serde_json::from_str::<serde_json::Value>(&first).unwrap()["address"].as_str().unwrap().to_owned();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
        kill_process(Pid::from_child(&program), ending).unwrap();
        let output = program.wait_with_output().unwrap();
        assert!(output.status.success(), "{ending:?}: {}", output.status);
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&line["path"], &line["status"]), (&"/nowhere".into(), &404.into()));
    }
}
