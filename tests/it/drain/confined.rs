//! Behind the bounds of the systemd unit: the program runs with the system calls that the unit allows, and no others.

use std::{fs, path::Path, process::Command};

use rustix::process::Signal;

use super::is_refused;
use crate::support::{Client, NameServer, Program, Provider, Says, Script, client::Reply, proxy::POOL_KEY, tls::Authority, within};

/// Becomes the program behind the unit's `SystemCallFilter=`. A call that is not in it is the end of the process, which the unit
/// is milder about: so none goes unnoticed. Memory can't be made executable either. It exits with 77 where the machine lacks what it takes.
const CONFINE: &str = r##"
import ctypes, ctypes.util, os, subprocess, sys
unit, program = sys.argv[1], sys.argv[2:]
try:
    listed = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True).stdout
    seccomp = ctypes.CDLL("libseccomp.so.2")
except (OSError, subprocess.CalledProcessError) as error:
    print(error, file=sys.stderr)
    sys.exit(77)
sets, members = {}, []
for line in listed.splitlines():
    if line.startswith("@"):
        members = sets.setdefault(line.strip(), [])
    elif line.startswith(" ") and not line.strip().startswith("#"):
        members.append(line.strip())
def calls(name):
    return set().union(*map(calls, sets[name])) if name.startswith("@") else {name}
allowed = calls("@default")
for line in open(unit):
    key, _, value = line.strip().partition("=")
    if key == "SystemCallFilter":
        named = set().union(*map(calls, value.lstrip("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
assert 100 < len(allowed) < 400, len(allowed)
seccomp.seccomp_init.restype = ctypes.c_void_p
filter = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(0x80000000)))
for name in allowed:
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    # Not every kernel has every call.
    if number >= 0:
        assert seccomp.seccomp_rule_add(filter, ctypes.c_uint32(0x7FFF0000), number, ctypes.c_uint(0)) == 0, name
libc = ctypes.CDLL(None)
# PR_SET_MDWE of prctl(2), which kernels before 6.3 do not know: what MemoryDenyWriteExecute= asks for.
libc.prctl(65, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
assert seccomp.seccomp_load(filter) == 0
os.execv(program[0], program)
"##;

const HOST: &str = "api.provider.test";

/// The command that becomes this one behind the unit's bounds.
fn confined(words: &[&str]) -> Command {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd/sidegate.service");
    let mut command = Command::new("python3");
    command.args(["-c", CONFINE]).arg(unit).args(words);
    command
}

/// Whether this machine can confine at all; and that the bounds bite, or the story below proves nothing.
fn bites() -> bool {
    let allowed = confined(&["/bin/sh", "-c", "exit 0"]).output().unwrap();
    if allowed.status.code() == Some(77) {
        eprintln!("skipped: {}", String::from_utf8_lossy(&allowed.stderr));
        return false;
    }
    assert!(allowed.status.success(), "{}", String::from_utf8_lossy(&allowed.stderr));
    // setpriority(2) is one of those that the unit takes away again.
    let denied = confined(&["/usr/bin/env", "nice", "-n", "1", "true"]).status().unwrap();
    assert!(!denied.success(), "what is not allowed was done");
    true
}

async fn get(authority: &Authority, program: &Program) -> Reply {
    let mut client = Client::over(within("a handshake", authority.connect(program.address, &["http/1.1"])).await);
    client.get("/v1/models").await;
    client.reply("GET").await
}

#[tokio::test]
async fn it_lives_with_the_system_calls_that_the_unit_allows() {
    if !bites() {
        return;
    }
    let (provider, server, authority) = (Provider::always(Script::ok("served")).await, NameServer::start().await, Authority::new());
    server.say(HOST, Says::Addresses(vec![provider.address.ip()], 1));
    let (certificate, key) = authority.files("localhost");
    let keys = tempfile::tempdir().unwrap();
    fs::write(keys.path().join("first"), POOL_KEY).unwrap();
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", tls: {{ certificate: {certificate}, key: {key} }} }}
admin: {{ address: "127.0.0.1:0" }}
dns: {{ servers: ["{server}"] }}
drain: {{ delay: 100ms, timeout: 10m }}
cache: {{}}
limits: [{{ name: all, per: all, requests: 1000/min }}]
providers:
  scripted: {{ base_url: "http://{HOST}:{port}/v1", keys: [{{ dir: {keys} }}] }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#,
        certificate = certificate.display(),
        key = key.display(),
        server = server.address,
        port = provider.address.port(),
        keys = keys.path().display(),
    );
    let program = Program::with(&config, |file| confined(&[env!("CARGO_BIN_EXE_sidegate"), "--config", &file.to_string_lossy()])).await;
    assert_eq!(get(&authority, &program).await.text(), "served");
    // What it reads of itself, in /proc and in its control group.
    let figures = program.ask_admin("GET", "/metrics").await.text();
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"] {
        let value = figures.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{name}: {value:?}");
    }
    // A key that is added, a signal, and a request behind them.
    fs::write(keys.path().join("second"), "sk-second-of-the-pool").unwrap();
    program.message("the config changed and is in force").await;
    program.signal(Signal::HUP);
    program.message("the config is what is in force").await;
    assert_eq!(get(&authority, &program).await.text(), "served");
    program.signal(Signal::TERM);
    is_refused(program.address).await;
    let ended = program.end().await;
    assert_eq!(ended.status.code(), Some(0), "{} {}", ended.status, ended.errors);
}
