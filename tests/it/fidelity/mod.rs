//! Byte fidelity: what a client sends is what the provider gets, and what the provider answers is what the client
//! gets, but for what [`permitted`] lists.

mod over_h2;
mod own_credentials;
mod pair;
mod permitted;
mod statuses;
mod text;

use pair::Pair;
use permitted::{body_difference, difference, reply_difference, request_difference, status_line};

use crate::support::{
    Client, Provider, Sidegate,
    client::Reply,
    provider::Request,
    proxy::POOL_KEY,
    show,
    wire::{End, Field},
};

const FAMILIES: [(&str, &str); 9] = [
    ("targets", include_str!("corpus/targets.pairs")),
    ("methods", include_str!("corpus/methods.pairs")),
    ("request_fields", include_str!("corpus/request_fields.pairs")),
    ("request_bodies", include_str!("corpus/request_bodies.pairs")),
    ("statuses", include_str!("corpus/statuses.pairs")),
    ("reply_fields", include_str!("corpus/reply_fields.pairs")),
    ("reply_bodies", include_str!("corpus/reply_bodies.pairs")),
    ("trailers", include_str!("corpus/trailers.pairs")),
    ("sizes", include_str!("corpus/sizes.pairs")),
];

fn corpus() -> Vec<Pair> {
    let pairs: Vec<_> = FAMILIES.iter().flat_map(|(family, text)| Pair::parse_all(family, text)).collect();
    assert!(pairs.len() >= 200, "the corpus has only {} pairs", pairs.len());
    pairs
}

/// Fails with every difference at once: a change that hurts one family hurts many, and the list tells which.
fn report(of: usize, differences: &[String]) {
    assert!(differences.is_empty(), "{} differences in {of} pairs:\n{}", differences.len(), differences.join("\n"));
}

#[tokio::test]
async fn every_pair_passes_unchanged() {
    every_pair_passes(Case::Small).await;
}

#[tokio::test]
async fn every_pair_passes_with_the_case_of_its_names() {
    every_pair_passes(Case::Kept).await;
}

/// In which case names arrive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Small,
    Kept,
}

async fn every_pair_passes(case: Case) {
    let pairs = corpus();
    let mut provider = Provider::start().await;
    let sidegate = match case {
        Case::Small => Sidegate::before(provider.address).await,
        Case::Kept => Sidegate::that_keeps_case_before(provider.address).await,
    };
    let authority = provider.address.to_string();
    let mut client = Client::connect(sidegate.address).await;
    let mut differences = Vec::new();
    for pair in &pairs {
        provider.script(pair.script());
        client.send(&pair.request.raw).await;
        let outcome = client.answer(&pair.method()).await;
        sidegate.forgets(pair.reply.head.status()).await;
        if provider.forget_scripts() {
            let instead =
                outcome.map_or_else(|instead| instead, |reply| format!("{}: {}", show(&reply.head.line), show(&reply.body.bytes)));
            differences.push(format!("{pair}: did not reach the provider; {instead}"));
            client = Client::connect(sidegate.address).await;
            continue;
        }
        let request = provider.request().await;
        differences.extend(request_differences((pair, case), &request, &authority).iter().map(|what| format!("{pair}: request: {what}")));
        match outcome {
            Ok(reply) => {
                differences.extend(reply_differences((pair, case), &reply).iter().map(|what| format!("{pair}: reply: {what}")));
                if reply.head.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                    client = Client::connect(sidegate.address).await;
                }
            }
            Err(instead) => {
                differences.push(format!("{pair}: reply: {instead}"));
                client = Client::connect(sidegate.address).await;
            }
        }
    }
    report(pairs.len(), &differences);
}

fn request_differences((pair, case): (&Pair, Case), arrived: &Request, authority: &str) -> Vec<String> {
    let line = (arrived.head.line != pair.request.head.line)
        .then(|| format!("{} became {}", show(&pair.request.head.line), show(&arrived.head.line)));
    let fields = request_difference(&pair.request.head.fields, &arrived.head.fields, false);
    let case = case_difference(case, &pair.request.head.fields, &arrived.head.fields);
    let body = body_difference(&pair.request.body, &arrived.body.bytes);
    let trailers = difference(&pair.request.trailers, &arrived.body.trailers);
    let host = (arrived.head.all("host") != [authority.as_bytes()]).then(|| format!("Host is {:?}", arrived.head.get("host")));
    let pool_key = format!("Bearer {POOL_KEY}");
    let key =
        (arrived.head.all("authorization") != [pool_key.as_bytes()]).then(|| format!("the key is {:?}", arrived.head.get("authorization")));
    [line, fields, case, body, trailers, host, key].into_iter().flatten().collect()
}

fn reply_differences((pair, case): (&Pair, Case), arrived: &Reply) -> Vec<String> {
    let line = status_line(&pair.reply.head.line);
    let line = (arrived.head.line != line).then(|| format!("{} became {}", show(&line), show(&arrived.head.line)));
    let fields = reply_difference(&pair.reply.head, &arrived.head.fields);
    let case = case_difference(case, &pair.reply.head.fields, &arrived.head.fields);
    let body = body_difference(&pair.reply.body, &arrived.body.bytes);
    let trailers = difference(&pair.reply.trailers, &arrived.body.trailers);
    let end = (arrived.body.end == End::Truncated).then(|| "breaks off".to_owned());
    [line, fields, case, body, trailers, end].into_iter().flatten().collect()
}

/// A name of which another case arrived. Names that repeat in several cases count as one.
fn case_difference(case: Case, sent: &[Field], arrived: &[Field]) -> Option<String> {
    sent.iter().find_map(|(name, _)| {
        let same = |(other, _): &&Field| other.eq_ignore_ascii_case(name);
        let ours =
            ["host", "authorization", "content-length", "te", "connection"].iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
        let (first, other) = (sent.iter().find(same)?, arrived.iter().find(same)?);
        let expected = if case == Case::Kept { first.0.clone() } else { first.0.to_ascii_lowercase() };
        (!ours && expected != other.0).then(|| format!("the name {} became {}", show(&first.0), show(&other.0)))
    })
}
