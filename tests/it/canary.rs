//! A canary in every place where a secret may stand, on the way to every kind of end, and the loudest log there is: nothing that
//! Sidegate tells an operator may sing of it.
//!
//! Each secret begins and ends with the word, so that a part of it is found as well. The last request puts the word where
//! it is told, so that a search that finds nothing can't pass.

use std::{
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use sidegate::{
    config::{self, Environment, KeyHash, MasterKey, Proxy},
    provider::Credential,
    types::{Dialect, Secret},
    upstream::{Outgoing, Upload},
};

use crate::support::{
    Client, EgressProxy, Gate, H2Client, H2Provider, H2Script, Program, Provider, Script, eventually,
    program::Ended,
    tls::{Authority, TlsFront},
    within,
};

/// The word.
const CANARY: &str = "canary";

/// The secret of one place.
fn secret(place: &str) -> String {
    format!("sk-{CANARY}-{place}-0123456789abcdef-{CANARY}")
}

/// A master key, written as base64: it begins and ends with the word, as far as 32 bytes allow.
fn master(place: &str) -> String {
    format!("{CANARY}{place:0<30}{CANARY}A=")
}

/// A key as it stands in a config, under the first master key.
fn sealed() -> String {
    MasterKey::from_text(&master("one")).unwrap().seal(&"one".parse().unwrap(), &Secret::new(secret("sealed"))).unwrap()
}

/// A client's credentials of its own, in every field that may carry one.
fn credentials() -> Vec<(&'static str, String)> {
    let mut fields: Vec<_> = ["x-api-key", "api-key", "x-goog-api-key", "openai-organization", "openai-project", "x-unheard-of"]
        .map(|name| (name, secret(name)))
        .into();
    fields.push(("authorization", format!("Bearer {}", secret("authorization"))));
    fields.push(("cookie", format!("session={}", secret("cookie"))));
    fields.push(("proxy-authorization", format!("Basic {}", secret("proxy-authorization"))));
    fields
}

/// The query that may carry one.
fn query() -> String {
    ["key", "api-key", "access_token", "%6bey", "unheard_of"].map(|name| format!("{name}={}", secret(name))).join("&")
}

/// Where the requests go.
struct World {
    provider: Provider,
    h2: H2Provider,
    untrusted: TlsFront,
    egress: EgressProxy,
    collector: Provider,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let provider = Provider::always(Script::on_request().close()).await;
        let untrusted = TlsFront::before(provider.address, Authority::new().server("localhost", &["http/1.1"])).await;
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("keys/dir")).unwrap();
        for (file, place) in [("keys/one", "file"), ("keys/dir/two", "dir"), ("keys/expanded", "expanded")] {
            fs::write(folder.path().join(file), secret(place)).unwrap();
        }
        fs::write(folder.path().join("keys/master"), master("two")).unwrap();
        fs::set_permissions(folder.path().join("keys/master"), Permissions::from_mode(0o600)).unwrap();
        let world = Self {
            provider,
            h2: H2Provider::always(h2::server::Builder::new(), H2Script::ok("served")).await,
            untrusted,
            egress: EgressProxy::saying("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n").await,
            // It repeats what it is sent, as who debugs one may let it.
            collector: Provider::always(Script::reply(format!("HTTP/1.1 400 {0}\r\nContent-Length: 54\r\n\r\n{0}", secret("collector"))))
                .await,
            folder,
        };
        world.write(&world.config());
        world
    }

    fn config(&self) -> String {
        format!(
            r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0", token: "{token}" }}
sealing: {{ keys: [{{ id: one, env: MASTER_KEY }}, {{ id: two, file: keys/master }}] }}
log: {{ slow: 1ms }}
retry: {{ within: 1ms }}
trace: {{ create: true, otlp: {{ endpoint: "http://{collector}", headers: [{{ name: x-key, value: "{header}" }}] }} }}
providers:
  pool:
    base_url: http://{provider}/v1
    breaker: off
    keys: [{{ env: POOL_KEY* }}, {{ file: keys/one }}, {{ dir: keys/dir }}, {{ value: "${{file:keys/expanded}}" }}, {{ name: plain, value: "{value}" }}]
  sealed: {{ base_url: "http://{provider}/v1", keys: [{{ value: "{sealed}" }}] }}
  h2: {{ base_url: "http://{h2}/v1", http_version: 2, keys: [{{ value: "{over_h2}" }}] }}
  refused: {{ base_url: "http://127.0.0.1:9/v1", keys: [{{ value: "{value}" }}] }}
  untrusted: {{ base_url: "https://localhost:{untrusted}/v1", keys: [{{ value: "{value}" }}] }}
  behind: {{ base_url: "http://provider.test/v1", proxy: "http://user:{password}@{egress}", keys: [{{ value: "{value}" }}] }}
  azure: {{ dialect: azure, base_url: "http://{provider}/v1", keys: [{{ value: "{value}" }}] }}
routes:
  - {{ path: /v1, targets: [pool] }}
  - {{ path: /azure, targets: [azure] }}
  - {{ path: /sealed, targets: [sealed] }}
  - {{ path: /own, targets: [pool], credentials: client }}
  - {{ path: /h2, targets: [h2] }}
  - {{ path: /own-h2, targets: [h2], credentials: client }}
  - {{ path: /refused, targets: [refused] }}
  - {{ path: /untrusted, targets: [untrusted] }}
  - {{ path: /behind, targets: [behind] }}
clients: {{ anonymous: free, keys: [{{ name: web, sha256: {hash}, tier: premium }}], jwt: {{ audience: nobody, secret: {{ value: "{issuer}" }} }} }}
"#,
            collector = self.collector.address,
            provider = self.provider.address,
            h2 = self.h2.address,
            untrusted = self.untrusted.address.port(),
            egress = self.egress.address,
            header = secret("header"),
            token = secret("token"),
            issuer = secret("issuer"),
            sealed = sealed(),
            value = secret("value"),
            over_h2 = secret("over-h2"),
            password = secret("password"),
            hash = KeyHash::of(client_key().as_bytes()),
        )
    }

    fn write(&self, config: &str) {
        let new = self.folder.path().join("new.yaml");
        fs::write(&new, config).unwrap();
        fs::rename(new, self.folder.path().join("proxy.yaml")).unwrap();
    }

    async fn start(&self, level: &str) -> Program {
        let (first, second, master) = (secret("env"), secret("env-2"), master("one"));
        let variables = [("POOL_KEY", first.as_str()), ("POOL_KEY_2", &second), ("MASTER_KEY", &master), ("SIDEGATE_LOG", level)];
        Program::within(self.folder.path(), &variables).await
    }
}

/// The key by which Sidegate knows a client.
fn client_key() -> String {
    format!("sg-{CANARY}-client-0123456789-{CANARY}")
}

/// What a provider may answer, with what Sidegate makes of it. Some repeat the key that they were sent.
fn answers() -> Vec<(Script, u16)> {
    let echo = format!("X-Echo: {0}\r\nSet-Cookie: a={0}\r\nContent-Length: {1}\r\n\r\n{0}", secret("echo"), secret("echo").len());
    let status = |status: &str| Script::reply(format!("HTTP/1.1 {status} {}\r\n{echo}", secret("reason")));
    vec![
        (status("200"), 200),
        (status("401"), 401),
        (status("403"), 403),
        (status("404"), 404),
        (status("429"), 429),
        (status("500"), 500),
        (Script::on_request().close(), 502),
        (Script::on_request().reset(), 502),
        (Script::reply(format!("{0} {0}\r\n\r\n", secret("garbage"))).close(), 502),
        (Script::reply(format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n", secret("field"))).close(), 502),
        (Script::reply(format!("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: {}\r\n\r\n", secret("length"))).close(), 502),
    ]
}

/// One request over HTTP/1.1 with every credential there is, and `authorization` from `bearer`.
async fn ask(to: SocketAddr, method: &str, path: &str, bearer: Option<&str>, more: &str) -> Result<u16, String> {
    let mut client = Client::connect(to).await;
    let mut fields: String = credentials()
        .iter()
        .filter(|(name, _)| bearer.is_none() || *name != "authorization")
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    fields += &bearer.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    let body = format!(r#"{{"model":"gpt-4o","stream":true,"user":"{0}","messages":[{{"role":"user","content":"{0}"}}]}}"#, secret("body"));
    client
        .send(format!(
            "{method} {path}?{} HTTP/1.1\r\nHost: sidegate.test\r\n{fields}{more}Content-Length: {}\r\n\r\n{body}",
            query(),
            body.len()
        ))
        .await;
    client.answer(method).await.map(|reply| reply.status())
}

/// Every way of HTTP/1.1.
async fn drive(sidegate: &Program, world: &World) {
    let to = sidegate.address;
    for path in ["/v1", "/azure", "/sealed", "/own"].map(|route| format!("{route}/chat/completions")) {
        let path = path.as_str();
        for (script, status) in answers() {
            world.provider.forget_scripts();
            world.provider.script(script);
            let got = ask(to, "POST", path, None, "").await.unwrap();
            // A key that was refused or told to wait leaves the next ones to others, or to nobody.
            let is_for_another = path != "/own/chat/completions" && matches!(got, 429 | 502 | 503);
            assert!(got == status || is_for_another, "{path}: {got} for {status}");
        }
        world.provider.script(Script::reply(format!("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{}", secret("half"))).close());
        ask(to, "POST", path, None, "").await.unwrap();
    }
    world.provider.script(Script::ok("served"));
    assert_eq!(ask(to, "POST", "/v1/chat/completions", Some(&client_key()), "").await, Ok(200));
    world.provider.script(Script::ok("served"));
    assert_eq!(ask(to, "POST", "/own/chat/completions", Some(&client_key()), "").await, Ok(200));
    for (path, status) in [
        ("/refused/chat/completions", 502),
        ("/untrusted/chat/completions", 502),
        ("/behind/chat/completions", 502),
        ("/nowhere", 404),
        ("/v1/../x", 400),
    ] {
        assert_eq!(ask(to, "POST", path, None, "").await, Ok(status), "{path}");
    }
    assert_eq!(ask(to, "POST", "/v1/chat/completions", Some(&format!("sg-{}", secret("wrong"))), "").await, Ok(401));
    assert_eq!(ask(to, "TRACE", "/v1/models", None, "").await, Ok(405));
    let protocols = format!("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{}\r\n", secret("protocol"));
    let upgrade =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    world.provider.script(Script::on_head().write("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").close());
    let mut client = Client::connect(to).await;
    client.get_with(&format!("/v1/realtime?model=gpt-realtime&{}", query()), &format!("{upgrade}{protocols}")).await;
    assert_eq!(client.reply("GET").await.status(), 403);
    // What is no HTTP, and what breaks in the middle.
    for bytes in [
        format!("{0} {0} {0}\r\n{0}\r\n\r\n", secret("line")),
        format!("GET / HTTP/1.1\r\n{}\r\n\r\n", secret("no-field")),
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: {0}\r\nTransfer-Encoding: chunked\r\n\r\n{0}\r\n",
            secret("chunk")
        ),
    ] {
        let mut client = Client::connect(to).await;
        client.send(bytes).await;
        assert!(client.answer("GET").await.is_ok_and(|reply| reply.status() == 400));
    }
}

/// The same over HTTP/2, on which side the loudest log is that of the library.
async fn drive_h2(sidegate: &Program) {
    let h2 = H2Client::connect(sidegate.address).await;
    for (path, status) in
        [("/h2/chat/completions", 200), ("/own-h2/chat/completions", 200), ("/refused/chat/completions", 502), ("/nowhere", 404)]
    {
        let mut request = http::Request::post(format!("http://sidegate.test{path}?{}", query()));
        for (name, value) in credentials() {
            request = request.header(name, value);
        }
        let body = Bytes::from(format!(r#"{{"model":"gpt-4o","user":"{}"}}"#, secret("h2-body")));
        assert_eq!(h2.ask(request.body(body).unwrap()).await.status, status, "{path}");
    }
}

/// Configs that can't work, with secrets where they belong and where they don't.
fn broken(config: &str) -> Vec<String> {
    let with = |from: &str, to: &str| config.replacen(from, to, 1);
    vec![
        with("keys: [{ env", "kyes: [{ env"),
        with("base_url: http://", &format!("base_url: http://user:{}@", secret("userinfo"))),
        with("name: plain, value:", &format!("name: \"{}\", valu:", secret("name"))),
        with("value: \"", "value: \"\\q"),
        with("http_version: 2", &format!("http_version: {}", secret("version"))),
        with("proxy: \"http://", "proxy: \"socks5://"),
        with("sha256: ", &format!("sha256: {}", secret("sha256"))),
        with("log: { slow: 1ms }", &format!("log: {{ level: {} }}", secret("level"))),
        with("token: \"", &format!("token: \"{} ", secret("odd-token"))),
        with("env: MASTER_KEY", "env: POOL_KEY"),
        with("env: MASTER_KEY", &format!("env: {}", master("name"))),
        with("keys/master", "keys/one"),
        with("sealed:one:", "sealed:two:"),
        with("sealed:one:", &format!("sealed:one:{CANARY}")),
        with("name: x-key, value:", &format!("name: \"x {}\", value:", secret("header-name"))),
        with("endpoint: \"http://", &format!("endpoint: \"http://user:{}@", secret("collector-userinfo"))),
        format!("{config}\n{}: x\n", secret("field")),
        format!("{config}\n\"{}\n", secret("quote")),
        secret("everything"),
    ]
}

/// How many reloads were refused so far.
async fn refused(sidegate: &Program) -> u64 {
    sidegate.ask_admin("GET", "/config").await.json()["reload"]["refused"].as_u64().unwrap()
}

/// What the admin listener has to say.
async fn answers_of_admin(sidegate: &Program) -> String {
    let mut said = String::new();
    for path in ["/livez", "/readyz", "/health", "/stats", "/keys", "/config", "/metrics", "/autoscaling", "/", "/openapi.json", "/nowhere"]
    {
        said += &sidegate.ask_admin("GET", path).await.text();
    }
    said + &change(sidegate, "/reload", &secret("wrong-token")).await.unwrap()
}

/// Asks the admin listener for a change with this token; what it answers, or that it breaks off.
async fn change(sidegate: &Program, path: &str, token: &str) -> Result<String, String> {
    let mut client = Client::connect(sidegate.admin).await;
    let fields = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\nConnection: close");
    client.send(format!("POST {path}?{} HTTP/1.1\r\n{fields}\r\n\r\n", query())).await;
    client.answer("POST").await.map(|reply| reply.text())
}

/// The lines that hold the word, or a secret in another form.
fn singing(text: &str) -> Vec<&str> {
    let proxy: Proxy = format!("http://user:{}@proxy", secret("password")).parse().unwrap();
    let basic = proxy.authorization().unwrap().to_str().unwrap().trim_start_matches("Basic ");
    let forms = [CANARY, basic];
    let forms: Vec<String> = forms.iter().map(|form| form.to_ascii_lowercase()).collect();
    text.lines().filter(|line| forms.iter().any(|form| line.to_ascii_lowercase().contains(form.as_str()))).collect()
}

#[tokio::test]
async fn no_secret_is_sung_of_at_the_loudest() {
    let world = World::new().await;
    let sidegate = world.start("trace").await;
    drive(&sidegate, &world).await;
    drive_h2(&sidegate).await;
    let mut said = answers_of_admin(&sidegate).await;
    let config = world.config();
    for text in broken(&config) {
        let before = refused(&sidegate).await;
        world.write(&text);
        within("a refused reload", async {
            while refused(&sidegate).await == before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        said += &sidegate.ask_admin("GET", "/config").await.text();
        said += &change(&sidegate, "/reload", &secret("token")).await.unwrap();
    }
    // What is told on purpose is found, in each of the two logs.
    let (at, gate) = (Gate::new(), Gate::new());
    world.provider.script(Script::on_request().tell(&at).wait(&gate).close());
    let path = format!("/v1/{CANARY}");
    let slowly = async {
        at.reached("the provider").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(ask(sidegate.address, "POST", &path, None, "X-Request-Id: the-last\r\n"), slowly);
    assert_eq!(answer, Ok(502));
    eventually("the last line", || sidegate.output(), |lines| lines.contains("the-last")).await;
    eventually("the last slow line", || sidegate.errors(), |lines| lines.contains("\"path\":\"/v1/canary\"")).await;
    sidegate.signal(Signal::TERM);
    let Ended { errors, output, .. } = sidegate.end().await;
    assert!(errors.matches("\"level\":\"TRACE\"").count() > 500 && errors.contains("\"level\":\"WARN\""), "the log is not the loudest");

    assert_eq!(singing(&said), Vec::<&str>::new());
    let (output, errors) = (singing(&output), singing(&errors));
    assert!(matches!(output[..], [line] if line.contains("/v1/canary")), "{output:#?}");
    assert!(!errors.is_empty() && errors.iter().all(|line| line.contains("\"path\":\"/v1/canary\"")), "{errors:#?}");
}

/// A process that dies leaves nothing of its memory behind: neither limit nor flag of the kernel allows it.
#[tokio::test]
async fn no_secret_is_left_in_a_core_dump() {
    let world = World::new().await;
    let before = listed(world.folder.path());
    for signal in [Signal::ABORT, Signal::SEGV, Signal::QUIT] {
        let mut sidegate = world.start("info").await;
        let id = sidegate.id();
        let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
        let core: Vec<&str> = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
        assert_eq!(core[4..6], ["0", "0"], "{limits}");
        // The first SIGSEGV is heard by Rust's own watch on overflows of the stack, which then leaves the next to the kernel.
        let kill = || {
            sidegate.signal(signal);
            sidegate.has_ended()
        };
        eventually("the end", kill, |ended| *ended).await;
        let Ended { status, errors, output } = sidegate.end().await;
        let killed = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(killed, Some(signal.as_raw()));
        assert!(!std::os::unix::process::ExitStatusExt::core_dumped(&status), "{signal:?} left a core dump");
        assert_eq!((singing(&errors), singing(&output)), (Vec::new(), Vec::new()));
        assert_eq!(listed(world.folder.path()), before, "{signal:?}");
    }
}

fn listed(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// A panic of the process itself, while it has a secret in its hands: no thread can be had for what the operator asks for.
#[tokio::test]
async fn no_secret_is_in_a_panic() {
    let world = World::new().await;
    let sidegate = world.start("trace").await;
    world.provider.script(Script::ok("served"));
    assert_eq!(ask(sidegate.address, "POST", "/sealed/chat/completions", None, "").await, Ok(200));
    let status = fs::read_to_string(format!("/proc/{}/status", sidegate.id())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")).unwrap();
    // Less than the 2 MiB of a thread's stack, and enough for all else.
    let most = Some((size.parse::<u64>().unwrap() << 10) + (1 << 20));
    let pid = Pid::from_raw(i32::try_from(sidegate.id()).unwrap());
    prlimit(pid, Resource::As, Rlimit { current: most, maximum: most }).unwrap();
    assert!(change(&sidegate, "/reload", &secret("token")).await.is_err(), "it has answered");
    eventually("the panic", || sidegate.errors(), |errors| errors.contains("panicked at")).await;
    assert_eq!(sidegate.ask_admin("GET", "/livez").await.status(), 200);
    let said = sidegate.errors() + &sidegate.output();
    assert_eq!(singing(&said), Vec::<&str>::new());
}

/// A panic prints what somebody formats: so nothing that holds a secret may print it.
#[tokio::test]
async fn no_secret_is_in_what_a_panic_could_print() {
    let world = World::new().await;
    let environment = Environment::from([("POOL_KEY", secret("env")), ("MASTER_KEY", master("one"))]);
    let text = world.config().replace("keys/", &format!("{}/keys/", world.folder.path().display()));
    let loaded = config::from_text("proxy.yaml", &text, &environment).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.keys.values().flatten().filter(|key| key.secret.expose().contains(CANARY)).count(), 11);
    let held = loaded.keys.values().flatten().map(|key| Credential::new(Dialect::Openai, &key.secret, None, None).unwrap());
    let held: Vec<_> = held.collect();
    let printed = format!("{loaded:#?}{environment:#?}{loaded}{held:#?}");
    let path = format!("/v1/models?{}", query()).parse().unwrap();
    let headers = credentials().into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let body = Upload::held(Bytes::from(secret("body")), None);
    let outgoing = Outgoing { method: http::Method::GET, path, headers, extensions: http::Extensions::new(), body };
    let printed = printed + &format!("{outgoing:#?}");
    assert_eq!(singing(&printed), Vec::<&str>::new());
    assert!(printed.contains("[secret]"));
    for text in broken(&text) {
        let problems = config::from_text("proxy.yaml", &text, &environment).unwrap_err();
        assert_eq!(singing(&format!("{problems:?}\n{problems}")), Vec::<&str>::new());
    }
}
