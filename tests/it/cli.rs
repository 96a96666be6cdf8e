//! The command line: which config is taken, and what the exit code says.

use std::{fs, process::ExitCode};

use clap::Parser;
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
