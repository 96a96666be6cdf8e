use http::{HeaderValue, Request};

use super::*;
use crate::{
    config::{KeyHash, Listen, Mtls},
    pipeline::{admit::admit, client::Identity},
    runtime::snapshot::{Known, SessionIn},
};

const KEY: (&str, &str) = ("authorization", "Bearer sg-good");
const WRONG: (&str, &str) = ("x-api-key", "sg-bad");
const FOREIGN: (&str, &str) = ("authorization", "Bearer sk-whatever");
const CLAIM: (&str, &str) = ("x-api-tier", "claimed");

/// A client of the tier `keyed`.
fn clients(anonymous: Stranger) -> Clients {
    let known = Known { name: "web".parse().unwrap(), tier: "keyed".parse().unwrap() };
    Clients { by_hash: [(KeyHash::of(b"sg-good"), known)].into_iter().collect(), anonymous, ..Clients::default() }
}

fn tier(name: &str) -> Stranger {
    Stranger::Tier(name.parse().unwrap())
}

fn trust() -> Trust {
    Trust { proxies: vec!["10.0.0.0/8".parse().unwrap()] }
}

fn admitted(peer: &str, headers: &[(&'static str, &'static str)]) -> Admitted {
    let mut request = Request::builder().uri("/v1/x").header("host", "a");
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_static(value));
    }
    let head = request.body(()).unwrap().into_parts().0;
    let present = Present::read(&head.headers);
    admit(Box::new(head), present, Some(peer.parse().unwrap()), &Listen::default(), &trust()).unwrap()
}

fn call(peer: &str, headers: &[(&'static str, &'static str)], clients: &Clients) -> Result<Client, Box<Unproven>> {
    identify(&admitted(peer, headers), None, clients, (&trust(), &Regions::default()))
}

#[test]
fn a_key_of_ours_names_the_client_in_whichever_form_it_comes() {
    for headers in [[("authorization", "Bearer sg-good")], [("x-api-key", "sg-good")], [("api-key", "sg-good")]] {
        let client = call("1.2.3.4", &headers, &clients(Stranger::Denied)).unwrap();
        assert_eq!((client.name.unwrap().as_str(), client.tier.unwrap().as_str()), ("web", "keyed"));
    }
}

#[test]
fn a_wrong_key_fails_and_a_strangers_counts_as_none_where_strangers_are_let_in() {
    for (headers, anonymous, failed) in [
        (&[WRONG][..], tier("free"), Some(true)),
        (&[WRONG], Stranger::Local, Some(true)),
        (&[WRONG], Stranger::Denied, Some(true)),
        (&[FOREIGN, WRONG], tier("free"), Some(true)),
        (&[FOREIGN], tier("free"), None),
        (&[FOREIGN], Stranger::Local, None),
        (&[FOREIGN], Stranger::Denied, Some(true)),
        (&[], Stranger::Denied, Some(false)),
        (&[], tier("free"), None),
        // Beside one that is right nothing is wrong.
        (&[WRONG, KEY], Stranger::Denied, None),
        (&[KEY, WRONG], Stranger::Denied, None),
    ] {
        let verdict = call("1.2.3.4", headers, &clients(anonymous));
        assert_eq!(verdict.err().map(|unproven| unproven.reject.is_failed_proof()), failed, "{headers:?}");
    }
}

#[test]
fn who_is_not_let_in_has_a_place_and_no_tier() {
    let session = Some(SessionIn::Header("x-session-id".parse().unwrap()));
    let clients = Clients { session, ..clients(tier("free")) };
    let headers = [WRONG, CLAIM, ("x-forwarded-for", "9.9.9.9"), ("x-session-id", "one")];
    let client = call("10.0.0.1", &headers, &clients).unwrap_err().client;
    let nobody = Client { ip: Some([9, 9, 9, 9].into()), session: Some(Digest::of(b"one")), ..Client::default() };
    assert_eq!(client, nobody);
}

/// What a certificate's name becomes: one that a rule fits, one whose rule says no tier, and any other.
const RULED: &str = "spiffe://prod/batch/1";
const PLAIN: &str = "spiffe://prod/plain";
const OTHER: &str = "spiffe://prod/other";

fn mtls(tier: Option<&str>) -> Mtls {
    let names = serde_json::json!([{ "name": "*/batch/*", "client": "batch", "tier": "ruled" }, { "name": PLAIN }]);
    serde_json::from_value(serde_json::json!({ "tier": tier, "names": names })).unwrap()
}

#[test]
fn the_first_proof_names_the_client_and_the_first_word_on_it_is_its_tier() {
    let key = || Some(Name::Key("web".parse().unwrap()));
    let rule = || Some(Name::Rule("batch".parse().unwrap()));
    let certificate = |name: &str| Some(Name::Certificate(ForeignName::new(name).unwrap()));
    let (open, closed) = (|| tier("free"), || Stranger::Denied);
    for (headers, shown, mtls_tier, anonymous, expected) in [
        // A client key, whatever else there is.
        (&[KEY][..], None, None, closed(), Ok((key(), Some("keyed")))),
        (&[KEY, CLAIM], Some(RULED), Some("shown"), open(), Ok((key(), Some("keyed")))),
        // A certificate: by its rule, else as all certificates.
        (&[], Some(RULED), Some("shown"), open(), Ok((rule(), Some("ruled")))),
        (&[CLAIM], Some(RULED), Some("shown"), closed(), Ok((rule(), Some("ruled")))),
        (&[CLAIM], Some(PLAIN), Some("shown"), open(), Ok((certificate(PLAIN), Some("shown")))),
        (&[FOREIGN], Some(OTHER), Some("shown"), closed(), Ok((certificate(OTHER), Some("shown")))),
        // One that says no tier leaves it to a trusted proxy, and then to what strangers have.
        (&[CLAIM], Some(PLAIN), None, open(), Ok((certificate(PLAIN), Some("claimed")))),
        (&[], Some(PLAIN), None, open(), Ok((certificate(PLAIN), Some("free")))),
        (&[], Some(PLAIN), None, closed(), Ok((certificate(PLAIN), None))),
        // One that no rule fits is none, unless all count.
        (&[CLAIM], Some(OTHER), None, open(), Ok((None, Some("claimed")))),
        (&[], Some(OTHER), None, closed(), Err(false)),
        (&[FOREIGN], Some(OTHER), None, closed(), Err(true)),
        // A key that claims to be ours and is not, whatever else there is.
        (&[WRONG], Some(RULED), Some("shown"), open(), Err(true)),
        // A stranger.
        (&[CLAIM], None, Some("shown"), open(), Ok((None, Some("claimed")))),
        (&[], None, Some("shown"), open(), Ok((None, Some("free")))),
        (&[CLAIM], None, None, Stranger::Local, Ok((None, Some("claimed")))),
        (&[], None, None, Stranger::Local, Ok((None, None))),
        (&[CLAIM], None, None, closed(), Err(false)),
    ] {
        let clients = Clients { mtls: Some(mtls(mtls_tier)), ..clients(anonymous) };
        let certified = shown.map(|shown| ForeignName::new(shown).unwrap());
        let found = identify(&admitted("10.0.0.1", headers), certified.as_ref(), &clients, (&trust(), &Regions::default()));
        let found =
            found.map(|client| (client.name, client.tier, client.key_is_ours)).map_err(|unproven| unproven.reject.is_failed_proof());
        let ours = matches!(expected, Ok((Some(Name::Key(_)), _)));
        let expected = expected.map(|(name, tier)| (name, tier.map(|tier| tier.parse().unwrap()), ours));
        assert_eq!(found, expected, "{headers:?} {shown:?} {mtls_tier:?}");
    }
}

#[test]
fn without_a_section_for_them_certificates_name_nobody() {
    let certified = ForeignName::new(RULED).unwrap();
    let client = identify(&admitted("1.2.3.4", &[]), Some(&certified), &clients(tier("free")), (&trust(), &Regions::default())).unwrap();
    assert_eq!((client.name, client.tier.unwrap().as_str()), (None, "free"));
}

#[test]
fn a_stranger_is_known_by_the_key_that_its_provider_reads() {
    let open = clients(tier("free"));
    let holder = |headers: &[(&'static str, &'static str)]| {
        let request = admitted("1.2.3.4", headers);
        as_holder(identify(&request, None, &open, (&trust(), &Regions::default())).unwrap(), &request, Dialect::Openai)
    };
    let (plain, beside) = (holder(&[FOREIGN]), holder(&[("x-api-key", "another"), FOREIGN]));
    assert_eq!(plain.identity(), Identity::Holder(Digest::of(b"sk-whatever")));
    assert_eq!(beside.identity(), plain.identity());
    assert_eq!(holder(&[]).identity(), Identity::At("1.2.3.4".parse::<std::net::IpAddr>().unwrap().into()));
    assert_eq!(holder(&[KEY]).identity(), Identity::Named(&Name::Key("web".parse().unwrap())));
}

#[test]
fn a_tier_is_believed_from_a_trusted_peer_only() {
    let open = clients(tier("free"));
    let tier = |peer| call(peer, &[CLAIM], &open).unwrap().tier.unwrap().to_string();
    assert_eq!((tier("10.0.0.1").as_str(), tier("1.2.3.4").as_str()), ("claimed", "free"));
    let odd = call("10.0.0.1", &[("x-api-tier", "no tier")], &open).unwrap();
    assert_eq!(odd.tier.unwrap().as_str(), "free");
}
