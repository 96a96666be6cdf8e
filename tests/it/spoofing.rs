//! What a caller says of itself in the fields of trusted proxies changes nothing, however it is written; what a trusted proxy
//! says does, and neither goes up.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::support::{Client, H2Client, Provider, Script, Sidegate, h2_client, provider::Request, within};

/// The fields of trusted proxies, and what somebody might say in them to be somebody else.
const CLAIMS: [(&str, &str); 4] =
    [("X-Forwarded-For", "203.0.113.66"), ("X-API-Tier", "forged-tier"), ("X-Region", "forged-region"), ("X-Priority", "forged-priority")];

/// Whom `trusted` covers may make claims; all others are of the tier `free`, in the region `home`.
async fn trusting(trusted: &str, provider: SocketAddr) -> Sidegate {
    let sections = format!("trust: {{ proxies: [{trusted}] }}\nclients: {{ anonymous: free }}\nregions: {{ default: home }}\n");
    Sidegate::with(&sections, provider).await
}

/// All claims as fields, each written by `form` from a name and a value.
fn fields(form: impl Fn(&str, &str) -> String) -> String {
    CLAIMS.iter().map(|(name, value)| form(name, value)).collect()
}

/// Every way to write the claims into a head.
fn heads() -> Vec<String> {
    let line = |name: &str, value: &str| format!("{name}: {value}\r\n");
    let upper_case = |name: &str| {
        name.char_indices().map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect::<String>()
    };
    vec![
        fields(line),
        fields(|name, value| line(&name.to_lowercase(), value)),
        fields(|name, value| line(&name.to_uppercase(), value)),
        fields(|name, value| line(&upper_case(name), value)),
        fields(|name, value| line(name, value).repeat(2)),
        fields(|name, value| line(name, "127.0.0.1") + &line(name, value)),
        fields(|name, value| line(name, &format!("{value}, {value}"))),
        fields(|name, value| line(name, &format!("home,{value}"))),
        fields(|name, value| line(name, &format!("\t {value} \t"))),
        fields(|name, value| format!("Connection: {name}\r\n{}", line(name, value))),
        fields(|name, value| line(name, value)) + "Connection: keep-alive, X-Region, X-API-Tier, X-Forwarded-For, X-Priority\r\n",
    ]
}

/// The same with `_` somewhere: some servers read both as the same, here no peer is believed.
fn underscored() -> Vec<String> {
    vec![
        fields(|name, value| format!("{}: {value}\r\n", name.replace('-', "_"))),
        fields(|name, value| format!("{}: {value}\r\n", name.replacen('-', "_", 1).to_lowercase())),
        fields(|name, value| format!("{}: {value}\r\nConnection: {0}\r\n", name.replace('-', "_").to_uppercase())),
    ]
}

/// Nothing of a claim went up, neither its name nor its value.
fn assert_nothing_went_up(request: &Request, what: &str) {
    let bytes = request.bytes();
    for (_, value) in CLAIMS {
        assert!(memchr::memmem::find(&bytes, value.as_bytes()).is_none(), "{what}: {}", bytes.escape_ascii());
    }
    for (name, _) in request.head.fields.iter().chain(&request.body.trailers) {
        let name = String::from_utf8_lossy(name).replace('_', "-");
        assert!(CLAIMS.iter().all(|(claim, _)| !claim.eq_ignore_ascii_case(&name)), "{what}: {name} went up");
    }
}

/// Address, tier, region and name of the caller, as the access log has them.
fn caller(line: &Value) -> [Option<&str>; 4] {
    ["ip", "tier", "region", "client"].map(|field| line[field].as_str())
}

const NOBODY: [Option<&str>; 4] = [Some("127.0.0.1"), Some("free"), Some("home"), None];
const SOMEBODY: [Option<&str>; 4] = [Some("203.0.113.66"), Some("forged-tier"), Some("forged-region"), None];

/// Sends each of these on one connection; the caller of each must be `expected`, and nothing may go up.
async fn send_all(trusted: &str, requests: Vec<String>, expected: [Option<&str>; 4]) {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = trusting(trusted, provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for (n, request) in requests.iter().enumerate() {
        client.send(request).await;
        assert_eq!(client.reply("GET").await.text(), "served", "{request}");
        assert_nothing_went_up(&provider.request().await, request);
        assert_eq!(caller(&sidegate.log(n + 1).await[n]), expected, "{request}");
    }
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: sidegate.test\r\n{fields}\r\n")
}

/// The claims behind a chunked body, announced or not.
fn in_trailers() -> Vec<String> {
    let announced = "Trailer: X-Forwarded-For, X-API-Tier, X-Region, X-Priority\r\nTE: trailers\r\n";
    let with = |fields: &str, trailers: &str| {
        format!(
            "POST /v1/files HTTP/1.1\r\nHost: sidegate.test\r\nTransfer-Encoding: chunked\r\n{fields}\r\n4\r\nbody\r\n0\r\n{trailers}\r\n"
        )
    };
    let trailers = [heads(), underscored()].concat();
    trailers.iter().flat_map(|trailers| [with("", trailers), with(announced, trailers)]).collect()
}

#[tokio::test]
async fn a_caller_that_nobody_trusts_changes_nothing_by_a_claim_however_it_is_written() {
    let forms = [heads(), underscored()].concat();
    let origin = forms.iter().map(|fields| get("/v1/models", fields));
    let absolute = forms.iter().map(|fields| get("http://sidegate.test/v1/models", fields));
    send_all("10.0.0.0/8, unix", origin.chain(absolute).collect(), NOBODY).await;
}

#[tokio::test]
async fn nor_by_trailers_whoever_sends_them() {
    for trusted in ["10.0.0.0/8", "loopback"] {
        send_all(trusted, in_trailers(), NOBODY).await;
    }
}

#[tokio::test]
async fn a_trusted_proxys_claims_count_however_they_are_written_but_for_other_names() {
    send_all("loopback", heads().iter().map(|fields| get("/v1/models", fields)).collect(), SOMEBODY).await;
    send_all("loopback", underscored().iter().map(|fields| get("/v1/models", fields)).collect(), NOBODY).await;
}

#[tokio::test]
async fn of_what_a_trusted_proxy_passes_on_and_what_it_adds_only_the_latter_counts() {
    let requests = [
        "X-Region: mars\r\nX-Region: forged-region\r\nX-API-Tier: mars, forged-tier\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.66\r\n",
        "X-Region: mars,forged-region\r\nX-API-Tier: mars\r\nX-API-Tier: forged-tier\r\nX-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.66\r\n",
    ];
    send_all("loopback", requests.map(|fields| get("/v1/models", fields)).into(), SOMEBODY).await;
    let unfit = [
        "X-Region: forged region\r\nX-API-Tier: -forged-tier\r\nX-Forwarded-For: forged\r\n",
        "X-Region: \r\nX-API-Tier:\r\nX-Forwarded-For:\r\n",
        "X-Region: forged-region,\r\nX-API-Tier: forged-tier,\r\nX-Forwarded-For: ,\r\n",
        "X-Region: \u{e9}u\r\nX-API-Tier: \"forged-tier\"\r\nX-Forwarded-For: \"203.0.113.66\"\r\n",
    ];
    send_all("loopback", unfit.map(|fields| get("/v1/models", fields)).into(), NOBODY).await;
}

#[tokio::test]
async fn over_http_2_it_is_the_same() {
    let names = |underscore: bool| {
        CLAIMS.map(|(name, value)| {
            let name = name.to_lowercase();
            (if underscore { name.replacen('-', "_", 1) } else { name }, value)
        })
    };
    for (trusted, underscore, expected) in
        [("10.0.0.0/8", false, NOBODY), ("10.0.0.0/8", true, NOBODY), ("loopback", false, SOMEBODY), ("loopback", true, NOBODY)]
    {
        let mut provider = Provider::always(Script::ok("served")).await;
        let sidegate = trusting(trusted, provider.address).await;
        let client = H2Client::connect(sidegate.address).await;
        let plain = http::Request::get("http://sidegate.test/v1/models");
        let once = names(underscore).iter().fold(plain, |request, (name, value)| request.header(name, *value));
        let plain = http::Request::get("http://sidegate.test/v1/models");
        let list = |value: &str| format!("{value}, {value}");
        let twice = names(underscore).iter().fold(plain, |request, (name, value)| request.header(name, list(value)).header(name, *value));
        for (n, request) in [once, twice].into_iter().enumerate() {
            assert_eq!(client.ask(request.body("").unwrap()).await.text(), "served");
            assert_nothing_went_up(&provider.request().await, trusted);
            assert_eq!(caller(&sidegate.log(n + 1).await[n]), expected, "{trusted} {underscore}");
        }
        // As trailers.
        let request = http::Request::post("http://sidegate.test/v1/files").header("te", "trailers").body(()).unwrap();
        let (reply, mut upload) = client.open(request, false).await;
        upload.send_data(Bytes::from_static(b"body"), false).unwrap();
        let trailers = names(underscore).map(|(name, value)| (HeaderName::try_from(name).unwrap(), HeaderValue::from_static(value)));
        upload.send_trailers(HeaderMap::from_iter(trailers)).unwrap();
        assert_eq!(within("a reply", h2_client::read(reply)).await.text(), "served");
        assert_nothing_went_up(&provider.request().await, trusted);
        assert_eq!(caller(&sidegate.log(3).await[2]), NOBODY, "{trusted} {underscore}");
    }
}

#[tokio::test]
async fn a_chain_of_thousands_of_hops_is_read_from_its_end_as_far_as_trust_reaches() {
    let hops = |hop: &str| vec![hop; 4_000].join(", ");
    for (trusted, chain, ip) in [
        // Nobody reads it.
        ("10.0.0.0/8", hops("10.0.0.1"), "127.0.0.1"),
        ("loopback", format!("{}, 203.0.113.66", hops("forged")), "203.0.113.66"),
        ("loopback, 10.0.0.0/8", format!("203.0.113.66, {}", hops("10.0.0.1")), "203.0.113.66"),
        ("loopback, 10.0.0.0/8", format!("203.0.113.66{}", ",".repeat(40_000)), "203.0.113.66"),
    ] {
        let mut provider = Provider::always(Script::ok("served")).await;
        let sidegate = trusting(trusted, provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.get_with("/v1/models", &format!("X-Forwarded-For: {chain}\r\n")).await;
        assert_eq!(client.reply("GET").await.status(), 200);
        assert_nothing_went_up(&provider.request().await, trusted);
        assert_eq!(sidegate.log(1).await[0]["ip"], ip, "{trusted}");
    }
}
