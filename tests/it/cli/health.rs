//! `sidegate health`: what a probe is told, and that nothing keeps it from ending.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Output},
    thread,
};

use rustix::process::Signal;

use crate::support::{Program, Provider, Refused, Script};

/// Runs a command of the program in `folder`, with no variable set, and says how it ended: code, standard output, standard error.
pub(super) fn told(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sidegate")).args(arguments).current_dir(folder).env_clear().output().unwrap();
    let Output { status, stdout, stderr } = output;
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The same where no file matters.
fn told_of(address: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    told(folder.path(), &[&["health", "--address", address], arguments].concat())
}

fn well(word: &str) -> (Option<i32>, String, String) {
    (Some(0), format!("{word}\n"), String::new())
}

#[tokio::test]
async fn a_probe_learns_whether_traffic_should_come_or_only_whether_the_process_runs() {
    let provider = Provider::always(Script::ok("served")).await;
    let program = Program::before(provider.address, "drain: { delay: 10m, timeout: 20m }").await;
    let admin = program.admin.to_string();
    for arguments in [&[][..], &["--ready"]] {
        assert_eq!(told_of(&admin, arguments), well("ready"));
    }
    assert_eq!(told_of(&admin, &["--live"]), well("ok"));

    program.signal(Signal::TERM);
    program.message("draining").await;
    let unready = (Some(1), String::new(), format!("sidegate health: {admin} answers 503: draining\n"));
    assert_eq!(told_of(&admin, &[]), unready);
    assert_eq!(told_of(&admin, &["--ready"]), unready);
    assert_eq!(told_of(&admin, &["--live"]), well("ok"));

    drop(program);
    let (code, said, complained) = told_of(&admin, &["--live"]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(complained.starts_with(&format!("sidegate health: {admin} can't be asked: ")), "{complained}");
}

#[tokio::test]
async fn the_config_says_whom_to_ask_whatever_else_is_wrong_with_it() {
    let provider = Provider::always(Script::ok("served")).await;
    let program = Program::before(provider.address, "").await;
    let port = program.admin.port();
    let folder = tempfile::tempdir().unwrap();
    let broken = format!(
        "admin: {{ address: \"0.0.0.0:{port}\", token: \"${{NOT_SET}}\", tokn: x }}\n\
         providers: {{ a: {{ keys: [{{ file: /no/such/file }}] }} }}\nroutes: 7\nroutes: ${{NOT_SET}}\nlistn: {{}}\n"
    );
    fs::write(folder.path().join("other.yaml"), &broken).unwrap();
    assert_eq!(told(folder.path(), &["health", "--config", "other.yaml"]), well("ready"));
    // It is taken by its usual name too.
    fs::rename(folder.path().join("other.yaml"), folder.path().join("proxy.yaml")).unwrap();
    assert_eq!(told(folder.path(), &["health"]), well("ready"));
    // An address that is given needs no file at all.
    fs::write(folder.path().join("proxy.yaml"), "admin: {").unwrap();
    assert_eq!(told(folder.path(), &["health", "--address", &program.admin.to_string()]), well("ready"));
}

#[test]
fn a_config_that_does_not_say_whom_to_ask_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for (text, words) in [
        ("admin: {", &["proxy.yaml", "no YAML"][..]),
        ("providers: {}\nadmin: { address: here }", &["proxy.yaml:2", "`here` is not an address"]),
        ("admin: { address: \"${ADMIN}\" }", &["proxy.yaml:1", "`ADMIN` is not set"]),
        ("admin: { address: \"127.0.0.1:1\" }\nadmin: {}", &["proxy.yaml:2", "admin"]),
    ] {
        fs::write(folder.path().join("proxy.yaml"), text).unwrap();
        let (code, said, complained) = told(folder.path(), &["health"]);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{text}");
        assert!(complained.starts_with("sidegate health: ") && words.iter().all(|word| complained.contains(word)), "{text}: {complained}");
    }
    let (code, _, complained) = told(folder.path(), &["health", "--config", "nowhere.yaml"]);
    assert!(code == Some(1) && complained.contains("nowhere.yaml"), "{complained}");
    let (code, ..) = told(folder.path(), &["health", "--ready", "--live"]);
    assert_eq!(code, Some(64));
}

#[tokio::test]
async fn what_answers_but_is_no_admin_listener_is_not_well() {
    let provider = Provider::always(Script::ok("served")).await;
    let program = Program::before(provider.address, "").await;
    // The port of the applications: there is no such path on it.
    let (code, said, complained) = told_of(&program.address.to_string(), &[]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(complained.contains("answers 404"), "{complained}");
    let nobody = Refused::new();
    assert_eq!(told_of(&nobody.address.to_string(), &[]).0, Some(1));
}

/// One byte now and then keeps every single read from taking too long.
#[test]
fn a_listener_that_never_comes_to_an_end_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dripping = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        while client.write_all(b"x").is_ok() {
            thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let (code, _, complained) = told_of(&address, &[]);
    assert_eq!((code, complained), (Some(1), format!("sidegate health: {address} takes too long\n")));
    dripping.join().unwrap();
}

#[test]
fn a_unix_socket_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("admin.sock")).unwrap();
    let answering = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut reader = BufReader::new(client.try_clone().unwrap());
        while !request.ends_with(b"\r\n\r\n") {
            reader.read_until(b'\n', &mut request).unwrap();
        }
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n").unwrap();
        String::from_utf8(request).unwrap()
    });
    assert_eq!(told(folder.path(), &["health", "--address", "unix:admin.sock"]), well("ready"));
    assert!(answering.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\nHost: localhost\r\n"));
}
