//! `sidegate drain`: it begins, whoever may begin it, and `--wait` tells when it is over.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use sidegate::{
    config::MasterKey,
    types::{MasterKeyId, Secret},
};

use super::health::told;
use crate::support::{Client, Gate, Program, Provider, Script, eventually, program};

const TOKEN: &str = "correct-horse-battery";
const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// With a token in its config.
async fn guarded(provider: &Provider) -> Program {
    let plain = program::config(provider.address, "drain: { delay: 0s, timeout: 10m }");
    let config = plain.replace("admin: { address: \"127.0.0.1:0\" }", &format!("admin: {{ address: \"127.0.0.1:0\", token: {TOKEN} }}"));
    Program::with(&config, |file| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
        command.arg("--config").arg(file);
        command
    })
    .await
}

#[tokio::test]
async fn it_begins_a_drain_and_tells_when_that_takes_longer_than_was_waited() {
    let provider = Provider::always(Script::ok("served")).await;
    let mut program = Program::before(provider.address, "drain: { delay: 10m, timeout: 20m }").await;
    let folder = tempfile::tempdir().unwrap();
    let admin = program.admin.to_string();
    assert_eq!(told(folder.path(), &["drain", "--address", &admin]), (Some(0), "draining\n".to_owned(), String::new()));
    program.message("draining").await;
    let late = (Some(1), String::new(), format!("sidegate drain: {admin} still drains after 100ms\n"));
    assert_eq!(told(folder.path(), &["drain", "--address", &admin, "--wait", "100ms"]), late);
    assert!(!program.has_ended());

    drop(program);
    let (code, said, complained) = told(folder.path(), &["drain", "--address", &admin, "--wait", "5m"]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(complained.contains("can't be asked: "), "{complained}");
}

#[tokio::test]
async fn with_wait_it_ends_when_the_last_stream_has_and_the_process_too() {
    let (provider, go) = (Provider::start().await, Gate::new());
    provider.script(Script::on_request().write(CHUNKED).chunk("first").wait(&go).chunk("last").write("0\r\n\r\n"));
    let program = Program::before(provider.address, "drain: { delay: 0s, timeout: 10m }").await;
    let mut client = Client::connect(program.address).await;
    client.get("/v1/models").await;
    client.until("first").await;

    let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
    command.args(["drain", "--wait", "5m", "--address", &program.admin.to_string()]).stdout(Stdio::piped());
    let mut waiting = command.spawn().unwrap();
    program.message("draining").await;
    assert_eq!(program.ask_admin("GET", "/readyz").await.status(), 503);
    assert!(waiting.try_wait().unwrap().is_none());

    go.open();
    client.until("0\r\n\r\n").await;
    assert_eq!(program.end().await.status.code(), Some(0));
    let ended = eventually("the end of the wait", || waiting.try_wait().unwrap(), Option::is_some).await;
    assert_eq!(ended.unwrap().code(), Some(0));
    assert_eq!(waiting.wait_with_output().unwrap().stdout, b"ended\n");
}

#[tokio::test]
async fn the_token_comes_from_the_config_plain_put_in_or_sealed() {
    let provider = Provider::always(Script::ok("served")).await;
    let program = guarded(&provider).await;
    let admin = program.admin.to_string();
    let folder = tempfile::tempdir().unwrap();
    let put = |text: &str| fs::write(folder.path().join("proxy.yaml"), text).unwrap();
    let refused = |why: &str| {
        let (code, said, complained) = told(folder.path(), &["drain", "--address", &admin]);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{complained}");
        assert!(complained.contains(why) && !complained.contains(TOKEN), "{complained}");
    };
    refused("answers 401: ");
    put("admin: { token: another-horse-battery }");
    refused("answers 401: This is not");
    put("admin: { token: \"${file:token}\" }");
    refused("proxy.yaml:1");
    assert!(program.errors().lines().all(|line| !line.contains("draining")));

    // What is wrong elsewhere does not keep it from ending.
    fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    put(&format!("admin: {{ address: \"{admin}\", token: \"${{file:token}}\" }}\nroutes: 7\n"));
    assert_eq!(told(folder.path(), &["drain", "--wait", "5m"]), (Some(0), "ended\n".to_owned(), String::new()));
    assert_eq!(program.end().await.status.code(), Some(0));

    let program = guarded(&provider).await;
    let sealed = MasterKey::from_text(MASTER).unwrap().seal(&"a".parse::<MasterKeyId>().unwrap(), &Secret::new(TOKEN.to_owned())).unwrap();
    fs::write(folder.path().join("master"), MASTER).unwrap();
    fs::set_permissions(folder.path().join("master"), Permissions::from_mode(0o600)).unwrap();
    let plain = program::config(provider.address, "sealing: { keys: [{ id: a, file: master }] }\n");
    put(&plain.replace("admin: { address: \"127.0.0.1:0\" }", &format!("admin: {{ address: \"{}\", token: \"{sealed}\" }}", program.admin)));
    assert_eq!(told(folder.path(), &["drain", "--wait", "5m"]), (Some(0), "ended\n".to_owned(), String::new()));
    assert_eq!(program.end().await.status.code(), Some(0));
}
