//! Where a request comes from is what the connection says, and beyond that only what those say who are trusted.

use std::net::SocketAddr;

use tokio::net::UnixStream;

use crate::support::{Client, H2Client, Provider, Script, Sidegate};

/// How many forged claims are made.
const FORGERIES: usize = 1_000;

/// Listens at `address`; whom `trusted` covers may say where a request comes from.
async fn trusting(address: &str, trusted: &str, provider: SocketAddr) -> Sidegate {
    let config = format!(
        r#"
listen: {{ address: "{address}", workers: 1 }}
trust: {{ proxies: [{trusted}] }}
admin: {{ address: "127.0.0.1:0" }}
providers: {{ scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#
    );
    Sidegate::start(&config, provider).await
}

/// The fields in which somebody might claim to be at an address, `$` for it. No two of them are alike.
const CLAIMS: [&str; 25] = [
    "X-Forwarded-For: $\r\n",
    "x-forwarded-for: $\r\n",
    "X-FORWARDED-FOR: $, $\r\n",
    "X-Forwarded-For: $\r\nX-Forwarded-For: $\r\n",
    "X-Forwarded-For: $, 127.0.0.1\r\n",
    "X-Forwarded-For: 127.0.0.1, $\r\n",
    "X-Forwarded-For: $:443\r\n",
    "X-Forwarded-For: [::ffff:$]:443\r\n",
    "X-Forwarded-For: ::ffff:$\r\n",
    "X-Forwarded-For: , ,$,,\r\n",
    "X-Forwarded-For:\t$ \r\n",
    "X-Forwarded-For: \"$\"\r\n",
    "X_Forwarded_For: $\r\n",
    "X_Forwarded-For: $\r\n",
    "X-Real-IP: $\r\n",
    "X-Client-IP: $\r\n",
    "X-Cluster-Client-IP: $\r\n",
    "X-Original-Forwarded-For: $\r\n",
    "Forwarded: for=$\r\n",
    "Forwarded: for=\"$:80\";proto=https;by=127.0.0.1, for=$\r\n",
    "CF-Connecting-IP: $\r\n",
    "True-Client-IP: $\r\n",
    "Fastly-Client-IP: $\r\nFly-Client-IP: $\r\n",
    "X-Envoy-External-Address: $\r\nX-Appengine-User-IP: $\r\n",
    "Connection: X-Forwarded-For\r\nX-Forwarded-For: $\r\n",
];

#[tokio::test]
async fn a_thousand_forged_addresses_of_a_peer_that_is_not_trusted_are_all_seen_through() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = trusting("127.0.0.1:0", "10.0.0.0/8, 192.168.0.0/16, unix", provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for n in 0..FORGERIES {
        let claimed = format!("{}.{}.{}.9", [9, 10, 192][n % 3], n / 250, n % 250);
        let claim = CLAIMS[n % CLAIMS.len()].replace('$', &claimed);
        if n % 4 == 3 {
            let request = "Host: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-For, Forwarded\r\n";
            let trailers = format!("X-Forwarded-For: {claimed}\r\nForwarded: for={claimed}\r\n");
            client.send(format!("POST /v1/files HTTP/1.1\r\n{request}{claim}\r\n1\r\nx\r\n0\r\n{trailers}\r\n")).await;
        } else {
            client.get_with("/v1/models", &claim).await;
        }
        assert_eq!(client.reply("GET").await.status(), 200, "{claim}");
    }
    let lines = sidegate.log(FORGERIES).await;
    let wrong: Vec<_> = lines.iter().filter(|line| line["ip"] != "127.0.0.1").collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn forged_over_http_2_they_are_seen_through_as_well() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = trusting("127.0.0.1:0", "10.0.0.0/8", provider.address).await;
    let client = H2Client::connect(sidegate.address).await;
    let names = ["x-forwarded-for", "x_forwarded_for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"];
    for name in names {
        let request = http::Request::get("http://a/v1/models").header(name, "10.0.0.1").header(name, "9.9.9.9");
        assert_eq!(client.ask(request.body("").unwrap()).await.text(), "served", "{name}");
    }
    assert!(sidegate.log(names.len()).await.iter().all(|line| line["ip"] == "127.0.0.1"));
}

#[tokio::test]
async fn through_two_trusted_hops_the_address_before_them_is_the_clients_whatever_it_forged() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = trusting("127.0.0.1:0", "loopback, 10.0.0.0/8, \"fd00::/8\"", provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let hops = ["10.0.0.2", "::ffff:10.0.0.2", "fd00::2", "10.0.0.2:8443", "[fd00::2]:8443", "fd00::2%eth0"];
    let forged = ["", "10.6.6.6, ", "127.0.0.1, ", "unknown, ", "6.6.6.6, ", "1.2.3.4:5, fd00::1, ", "<script>, ", ", , "];
    let mut expected = Vec::new();
    for n in 0..FORGERIES {
        let ip = if n % 2 == 0 { format!("203.0.{}.{}", n / 250, n % 250) } else { format!("2001:db8::{:x}", n + 1) };
        // The client's own claim; what the first hop appended; what the second did.
        let (forged, hop) = (forged[n % forged.len()], hops[n % hops.len()]);
        let fields = match n % 3 {
            0 => format!("X-Forwarded-For: {forged}{ip}, {hop}\r\n"),
            1 => format!("X-Forwarded-For: {forged}{ip}\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-For: {hop}\r\n"),
            _ => format!("X_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-For: {forged}{ip},{hop}\r\n"),
        };
        client.get_with("/v1/models", &fields).await;
        assert_eq!(client.reply("GET").await.status(), 200, "{fields}");
        expected.push(ip);
    }
    let lines = sidegate.log(FORGERIES).await;
    for (line, ip) in lines.iter().zip(&expected) {
        assert_eq!(line["ip"], **ip, "{line}");
    }
}

#[tokio::test]
async fn a_hop_that_names_nobody_is_itself_the_last_that_is_known() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = trusting("127.0.0.1:0", "loopback, 10.0.0.0/8", provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let chains = [
        ("9.9.9.9, unknown, 10.0.0.2", "10.0.0.2"),
        ("9.9.9.9, _hidden", "127.0.0.1"),
        ("9.9.9.9, 10.0.0.300", "127.0.0.1"),
        ("9.9.9.9, localhost, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.4, 10.0.0.3, 10.0.0.2", "10.0.0.4"),
        ("", "127.0.0.1"),
        (",", "127.0.0.1"),
    ];
    for (chain, _) in chains {
        client.get_with("/v1/models", &format!("X-Forwarded-For: {chain}\r\n")).await;
        assert_eq!(client.reply("GET").await.status(), 200, "{chain}");
    }
    for (line, (chain, ip)) in sidegate.log(chains.len()).await.iter().zip(chains) {
        assert_eq!(line["ip"], ip, "{chain}");
    }
}

#[tokio::test]
async fn over_a_unix_socket_a_claim_counts_if_those_are_trusted_and_no_address_is_known_if_not() {
    let (provider, folder) = (Provider::always(Script::ok("served")).await, tempfile::tempdir().unwrap());
    let path = folder.path().join("sidegate.sock");
    for (trusted, ip) in [("unix", Some("9.9.9.9")), ("loopback", None)] {
        let sidegate = trusting(&format!("unix:{}", path.display()), trusted, provider.address).await;
        let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
        client.get_with("/v1/models", "X-Forwarded-For: 6.6.6.6, 9.9.9.9\r\n").await;
        assert_eq!(client.reply("GET").await.text(), "served");
        assert_eq!(sidegate.log(1).await[0]["ip"].as_str(), ip, "{trusted}");
    }
}
