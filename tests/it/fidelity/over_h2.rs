//! The same corpus with HTTP/2 on either side or both. Compared is what can be said in HTTP/2: no reasons, no case of
//! names, no fields of the connection.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

use super::{Pair, body_difference, corpus, permitted, reply_difference, report, request_difference};
use crate::support::{
    Client, H2Client, H2Provider, H2Script, Provider, Sidegate, h2_client::H2Reply, h2_provider::H2Request, proxy::POOL_KEY, show,
    wire::Field,
};

/// Fields that HTTP/2 forbids (RFC 9113 §8.2.2), and those whose place a pseudo-field takes.
const NOT_IN_H2: [&str; 6] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host"];

fn h2_fields(fields: &[Field]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    let nominated = permitted::nominated(fields);
    let forbidden = |name: &[u8]| NOT_IN_H2.iter().any(|other| other.as_bytes() == name) || nominated.iter().any(|other| other == name);
    for (name, value) in fields.iter().filter(|(name, _)| !forbidden(&name.to_ascii_lowercase())) {
        map.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    Some(map)
}

fn listed(fields: &HeaderMap) -> Vec<Field> {
    fields.iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().into())).collect()
}

/// The pair's request for HTTP/2, if it can be said there.
fn h2_request(pair: &Pair) -> Option<Request<Bytes>> {
    let target = [b"http://sidegate.test", pair.target().as_slice()].concat();
    let mut request = Request::builder().method(pair.method().as_str()).uri(target).body(pair.request.body.clone().into()).ok()?;
    *request.headers_mut() = h2_fields(&pair.request.head.fields)?;
    (pair.request.trailers.is_empty()).then_some(request)
}

/// The pair's reply for HTTP/2, if it can be said there.
fn h2_script(pair: &Pair) -> Option<H2Script> {
    let mut reply = Response::builder().status(pair.reply.head.status()).body(()).ok()?;
    *reply.headers_mut() = h2_fields(&pair.reply.head.fields)?;
    let bodiless = matches!(pair.reply.head.status(), 204 | 304) || pair.method() == "HEAD";
    let script = H2Script::on_request();
    Some(match (bodiless, pair.reply.trailers.is_empty()) {
        (true, _) => script.reply_without_body(reply),
        (_, true) => script.reply(reply).last(pair.reply.body.clone()),
        (_, false) => script.reply(reply).part(pair.reply.body.clone()).trailers(h2_fields(&pair.reply.trailers)?),
    })
}

fn arrived_at_h1(pair: &Pair, request: &crate::support::provider::Request) -> [Option<String>; 3] {
    let line = (request.head.line != pair.request.head.line).then(|| format!("became {}", show(&request.head.line)));
    let fields = request_difference(&pair.request.head.fields, &request.head.fields, true);
    [line, fields, body_difference(&pair.request.body, &request.body.bytes)]
}

fn arrived_at_h2(pair: &Pair, request: &H2Request, authority: &str) -> [Option<String>; 6] {
    let target = request.head.uri.path_and_query().map_or("", |target| target.as_str());
    let line = (target.as_bytes() != pair.target() || request.head.method != pair.method().as_str()).then(|| format!("became {target}"));
    let fields = listed(&request.head.headers);
    let host = (request.head.uri.authority().map(|authority| authority.as_str()) != Some(authority))
        .then(|| format!("went to {}", request.head.uri));
    let key = request.head.headers.get_all("authorization").iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    let key = (key != [format!("Bearer {POOL_KEY}").as_bytes()]).then(|| "the key is another".to_owned());
    let fields = request_difference(&pair.request.head.fields, &fields, true);
    let trailers = permitted::difference(&[], &request.trailers.as_ref().map(listed).unwrap_or_default());
    [line, fields, body_difference(&pair.request.body, &request.body), trailers, host, key]
}

fn came_back_by_h2(pair: &Pair, reply: &H2Reply) -> [Option<String>; 5] {
    let status = (reply.status.as_u16() != pair.reply.head.status()).then(|| format!("status became {}: {}", reply.status, reply.text()));
    let trailers = reply.trailers.as_ref().map(listed).unwrap_or_default();
    let end = reply.end.err().map(|reason| format!("ended by {reason}"));
    [
        status,
        reply_difference(&pair.reply.head, &listed(&reply.headers)),
        body_difference(&pair.reply.body, &reply.body),
        permitted::difference(&pair.reply.trailers, &trailers),
        end,
    ]
}

fn named(pair: &Pair, what: impl IntoIterator<Item = Option<String>>) -> impl Iterator<Item = String> {
    what.into_iter().flatten().map(move |what| format!("{pair}: {what}"))
}

#[tokio::test]
async fn an_h2_client_and_an_h1_provider_mean_the_same() {
    // First: to read it all may take longer than a connection without a request may stay.
    let pairs = corpus();
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let client = H2Client::connect(sidegate.address).await;
    let (mut tried, mut differences) = (0, Vec::new());
    for pair in &pairs {
        let Some(request) = h2_request(pair) else { continue };
        tried += 1;
        provider.script(pair.script());
        let reply = client.ask(request).await;
        sidegate.forgets(pair.reply.head.status()).await;
        if provider.forget_scripts() {
            differences.push(format!("{pair}: did not reach the provider; {}: {}", reply.status, reply.text()));
            continue;
        }
        differences.extend(named(pair, arrived_at_h1(pair, &provider.request().await)));
        differences.extend(named(pair, came_back_by_h2(pair, &reply)));
    }
    assert!(tried >= 200, "only {tried} pairs");
    report(tried, &differences);
}

#[tokio::test]
async fn an_h1_client_and_an_h2_provider_mean_the_same() {
    let pairs = corpus();
    let mut provider = H2Provider::start(h2::server::Builder::new()).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    let authority = provider.address.to_string();
    let (mut tried, mut differences) = (0, Vec::new());
    for pair in &pairs {
        let (Some(script), Some(_)) = (h2_script(pair), h2_request(pair)) else { continue };
        tried += 1;
        provider.script(script);
        let mut client = Client::connect(sidegate.address).await;
        client.send(&pair.request.raw).await;
        let reply = client.answer(&pair.method()).await;
        sidegate.forgets(pair.reply.head.status()).await;
        if provider.forget_scripts() {
            differences.push(format!("{pair}: did not reach the provider"));
            continue;
        }
        differences.extend(named(pair, arrived_at_h2(pair, &provider.request().await, &authority)));
        differences.extend(match reply {
            Ok(reply) => named(
                pair,
                [
                    reply_difference(&pair.reply.head, &reply.head.fields),
                    body_difference(&pair.reply.body, &reply.body.bytes),
                    permitted::difference(&pair.reply.trailers, &reply.body.trailers),
                    (!reply.is_complete()).then(|| "breaks off".to_owned()),
                ],
            )
            .collect::<Vec<_>>(),
            Err(instead) => vec![format!("{pair}: {instead}")],
        });
    }
    assert!(tried >= 200, "only {tried} pairs");
    report(tried, &differences);
}

#[tokio::test]
async fn an_h2_client_and_an_h2_provider_mean_the_same() {
    // First: to read it all may take longer than a connection without a request may stay.
    let pairs = corpus();
    let mut provider = H2Provider::start(h2::server::Builder::new()).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    let authority = provider.address.to_string();
    let client = H2Client::connect(sidegate.address).await;
    let (mut tried, mut differences) = (0, Vec::new());
    for pair in &pairs {
        let (Some(script), Some(request)) = (h2_script(pair), h2_request(pair)) else { continue };
        tried += 1;
        provider.script(script);
        let reply = client.ask(request).await;
        sidegate.forgets(pair.reply.head.status()).await;
        if provider.forget_scripts() {
            differences.push(format!("{pair}: did not reach the provider; {}: {}", reply.status, reply.text()));
            continue;
        }
        differences.extend(named(pair, arrived_at_h2(pair, &provider.request().await, &authority)));
        differences.extend(named(pair, came_back_by_h2(pair, &reply)));
    }
    assert!(tried >= 200, "only {tried} pairs");
    report(tried, &differences);
}
