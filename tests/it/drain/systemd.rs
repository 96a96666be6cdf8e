//! What systemd passes and wants to be told: sockets, and the state of the service.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::net::{SocketAddr, UnixDatagram, UnixListener},
    path::Path,
    process::Command,
};

use rustix::process::Signal;
use tokio::net::UnixStream;

use super::is_refused;
use crate::support::{Client, Program, Provider, Script, program, within};

const AT_ONCE: &str = "drain: { delay: 0s, timeout: 10m }";

/// Becomes the program, with the sockets that it inherits at 3 and beyond as systemd passes them.
const LAUNCH: &str = r#"
import os, sys
names, *sockets = sys.argv[1].split(",")
held = [os.dup(int(socket)) for socket in sockets]
for at, socket in enumerate(held):
    os.dup2(socket, 100 + at)
for at in range(len(held)):
    os.dup2(100 + at, 3 + at, inheritable=True)
os.environ.update(LISTEN_FDS=str(len(held)), LISTEN_FDNAMES=names, LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"#;

/// A command that passes these sockets with these names.
fn passing(file: &Path, names: &str, sockets: &[i32]) -> Command {
    let sockets: String = sockets.iter().map(|socket| format!(",{socket}")).collect();
    let mut command = Command::new("python3");
    command.args(["-c", LAUNCH, &format!("{names}{sockets}"), env!("CARGO_BIN_EXE_sidegate"), "--config"]).arg(file);
    command
}

/// Lets a child inherit it.
fn inheritable(socket: impl std::os::fd::AsFd) -> i32 {
    use std::os::fd::AsRawFd;
    socket2::SockRef::from(&socket).set_cloexec(false).unwrap();
    socket.as_fd().as_raw_fd()
}

#[tokio::test]
async fn sockets_that_are_passed_are_served_and_outlive_it() {
    let provider = Provider::always(Script::ok("served")).await;
    let (listen, admin) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let sockets = [inheritable(&admin), inheritable(&listen)];
    // Before anybody serves it.
    let mut early = Client::connect(listen.local_addr().unwrap()).await;
    early.get("/v1/models").await;
    let program = Program::with(&program::config(provider.address, AT_ONCE), |file| passing(file, "admin:sidegate.socket", &sockets)).await;
    assert_eq!((program.address, program.admin), (listen.local_addr().unwrap(), admin.local_addr().unwrap()));
    assert_eq!(early.reply("GET").await.text(), "served");
    assert_eq!(program.ask_admin("GET", "/readyz").await.status(), 200);
    program.signal(Signal::TERM);
    assert_eq!(program.end().await.status.code(), Some(0));
    // Who comes between two lives waits for the second.
    let mut between = Client::connect(listen.local_addr().unwrap()).await;
    between.get("/v1/models").await;
    let second = Program::with(&program::config(provider.address, AT_ONCE), |file| passing(file, "sidegate.socket", &sockets[1..])).await;
    assert_eq!(between.reply("GET").await.text(), "served");
    drop((second, listen, admin));
}

#[tokio::test]
async fn a_unix_socket_that_is_passed_keeps_its_file() {
    let provider = Provider::always(Script::ok("served")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passed.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let socket = inheritable(&listener);
    let program = Program::with(&program::config(provider.address, AT_ONCE), |file| passing(file, "", &[socket])).await;
    assert_eq!(program.message("listening").await["address"], format!("unix:{}", path.display()));
    let mut client = Client::over(within("a connection", UnixStream::connect(&path)).await.unwrap());
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.text(), "served");
    program.signal(Signal::TERM);
    assert_eq!(program.end().await.status.code(), Some(0));
    assert!(path.exists());
}

/// Starts it with what it must refuse; what it said.
fn refusal(names: &str, sockets: &[i32]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    fs::write(&file, "admin: { address: \"127.0.0.1:0\" }\nproviders: { a: { base_url: \"http://127.0.0.1:9\", keys: [{ value: x }] } }\nroutes: [{ path: /, targets: [a] }]\n").unwrap();
    let output = passing(&file, names, sockets).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_socket_opens_no_door_that_the_config_keeps_shut() {
    let open = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let socket = inheritable(&open);
    let said = refusal("", &[socket]);
    assert!(said.contains("other machines can reach") && said.contains("`clients:`"), "{said}");
    let said = refusal("admin", &[socket]);
    assert!(said.contains("the admin listener"), "{said}");
    let said = refusal("a:b", &[socket, socket]);
    assert!(said.contains("more sockets"), "{said}");
}

/// What the service says of itself next.
async fn told(by: &UnixDatagram) -> Vec<String> {
    by.set_nonblocking(true).unwrap();
    let receiving = async {
        let mut buffer = [0; 512];
        loop {
            match by.recv(&mut buffer) {
                Ok(length) => return String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned).collect(),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
            }
        }
    };
    within("a word of the service", receiving).await
}

#[tokio::test]
async fn the_service_tells_when_it_is_ready_and_when_it_stops() {
    let provider = Provider::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.sock");
    let name = format!("sidegate-test-{}", std::process::id());
    let abstract_name = <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name).unwrap();
    for (socket, address) in [
        (UnixDatagram::bind(&path).unwrap(), path.display().to_string()),
        (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}")),
    ] {
        let program = Program::with(&program::config(provider.address, AT_ONCE), |file| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
            command.arg("--config").arg(file).env("NOTIFY_SOCKET", &address);
            command
        })
        .await;
        assert_eq!(told(&socket).await, ["READY=1".to_owned(), format!("STATUS=serving on {}", program.address)]);
        program.signal(Signal::HUP);
        assert_eq!(told(&socket).await[0], "RELOADING=1");
        assert_eq!(told(&socket).await, ["READY=1", "STATUS=reload unchanged, generation 1"]);
        program.signal(Signal::TERM);
        assert_eq!(told(&socket).await, ["STOPPING=1", "STATUS=draining"]);
        is_refused(program.address).await;
        assert_eq!(program.end().await.status.code(), Some(0));
    }
}

#[tokio::test]
async fn a_reload_is_told_with_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    let notify = sidegate::server::systemd::Notify::to(path.as_os_str());
    let uptime: f64 = fs::read_to_string("/proc/uptime").unwrap().split_whitespace().next().unwrap().parse().unwrap();
    notify.reloading();
    let words = told(&socket).await;
    let micros: f64 = words[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert_eq!(words[0], "RELOADING=1");
    // Of the same clock but for time asleep, which neither a test machine nor its clock has.
    assert!((micros / 1e6 - uptime).abs() < 3600.0, "{micros} µs and {uptime} s");
    notify.ready("generation 2");
    assert_eq!(told(&socket).await, ["READY=1", "STATUS=generation 2"]);
}

#[test]
fn the_units_of_the_examples_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for name in ["sidegate.service", "sidegate.socket", "sidegate-admin.socket"] {
        let unit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd").join(name)).unwrap();
        let unit = unit.replace("/usr/local/bin/sidegate", env!("CARGO_BIN_EXE_sidegate"));
        assert!(unit.contains("[Unit]\n"), "{name}");
        paths.push(folder.path().join(name));
        fs::write(paths.last().unwrap(), unit).unwrap();
    }
    match Command::new("systemd-analyze").arg("verify").args(["--man=no", "--recursive-errors=no"]).args(&paths).output() {
        Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("skipped: systemd-analyze: {error}"),
    }
}
