//! Two ways of composing a head must not differ, and neither lets go what belongs here.

use std::sync::LazyLock;

use http::Request;
use proptest::prelude::*;

use super::*;
use crate::{
    config::{Environment, Listen, Trust, load::from_text},
    pipeline::admit::admit,
    runtime::{Registry, Snapshot, compile, compile::Ground},
    telemetry::Metrics,
};

/// A provider of each dialect, one of them with all that a key brings along.
static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let text = "
providers:
  plain: { base_url: 'http://plain.test/v1', keys: [{ value: ours-1 }] }
  scoped: { base_url: 'http://scoped.test/v1', keys: [{ value: ours-2, organization: ours-3, project: ours-4 }] }
  azure: { dialect: azure, base_url: 'http://azure.test/v1', keys: [{ value: ours-5 }] }
  anthropic: { dialect: anthropic, base_url: 'http://anthropic.test', keys: [{ value: ours-6 }] }
  gemini: { dialect: gemini, base_url: 'http://gemini.test', keys: [{ value: ours-7 }] }
routes: [{ path: /v1, targets: [plain] }]
";
    let loaded = from_text("test", text, &Environment::default()).unwrap();
    let (metrics, registry) = (Metrics::default(), Registry::default());
    compile(loaded, Ground { metrics: &metrics, registry: &registry, before: None }).unwrap()
});

const NAMES: &[&str] = &[
    "accept",
    "api-key",
    "api_key",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "http2_settings",
    "keep-alive",
    "keep_alive",
    "max-forwards",
    "openai-organization",
    "openai-project",
    "openai_project",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "proxy_authorization",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec_websocket_protocol",
    "sec-websocket_protocol",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-a",
    "x-api-key",
    "x_api_key",
    "x-api-tier",
    "x-forwarded-for",
    "x-forwarded_for",
    "x-goog-api-key",
    "x-priority",
    "x-region",
    "x_region",
    "x-request-id",
];

/// `5` is a length, `100-continue` an expectation: without them few heads would be let in.
const VALUES: &[&str] =
    &["theirs", "5", "0", "close, x-a", "authorization, te", "trailers, deflate", "chunked", "100-continue", "websocket"];
const PROTOCOLS: &str = "realtime, openai-insecure-api-key.theirs";

fn value_of(name: &str) -> BoxedStrategy<&'static str> {
    match name {
        "content-length" | "max-forwards" => Just("5").boxed(),
        "transfer-encoding" => Just("chunked").boxed(),
        "expect" => Just("100-continue").boxed(),
        "sec-websocket-protocol" | "sec_websocket_protocol" | "sec-websocket_protocol" => Just(PROTOCOLS).boxed(),
        _ => prop::sample::select(VALUES).boxed(),
    }
}

fn field() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(NAMES).prop_flat_map(|name| (Just(name), value_of(name)))
}

/// A request that was let in, if it is one that is.
fn admitted(method: Method, version: Version, fields: &[(&'static str, &'static str)]) -> Option<Admitted> {
    let mut request = Request::builder().method(method).version(version).uri("/v1/x?key=theirs&a=b");
    for (name, value) in fields {
        request = request.header(*name, HeaderValue::from_static(value));
    }
    let head = request.body(()).unwrap().into_parts().0;
    let present = Present::read(&head.headers);
    admit(Box::new(head), present, None, &Listen::default(), &Trust::default()).ok()
}

fn written(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}

/// What of the client's may not be in a head that carries the pool's key.
fn is_forbidden(line: &str) -> bool {
    let (name, value) = line.split_once(": ").unwrap();
    let name = HeaderName::from_bytes(name.replace('_', "-").as_bytes()).unwrap();
    let hidden = auth::is_credential(&name) && !value.contains("ours-") || value.contains("openai-insecure-api-key.");
    hidden || fields::is_claim(&name) || fields::is_hop_by_hop(&name) && line != "te: trailers"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_head_is_the_same_whether_it_is_changed_in_place_or_built_anew(
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::OPTIONS]),
        version in prop::sample::select(vec![Version::HTTP_10, Version::HTTP_11, Version::HTTP_2]),
        hosted in any::<bool>(),
        mut fields in prop::collection::vec(field(), 0..8),
        (whose, provider) in (0_usize..4, 0_usize..5),
        (size, framed) in (0_usize..9, any::<bool>()),
    ) {
        if hosted || version == Version::HTTP_11 {
            fields.retain(|(name, _)| *name != "host");
            fields.insert(fields.len() / 2, ("host", "theirs"));
        }
        let upload = || Upload::held(Bytes::from(vec![0; size]), framed.then(HeaderMap::new));
        let compose = |anew: bool| {
            let Admitted { head, present, nominated, .. } = admitted(method.clone(), version, &fields)?;
            let head = *head;
            let provider = SNAPSHOT.providers.values().nth(provider)?;
            let credentials = match whose {
                0 => Credentials::Client { ours: false },
                1 => Credentials::Client { ours: true },
                _ => Credentials::Pool(&provider.keys[0].credential),
            };
            let in_place = goes_as_it_is((present, head.version), credentials, &upload());
            Some(if in_place && !anew {
                replace(head.headers, present, provider, credentials, &upload())
            } else {
                filter(head.headers, (&head.method, head.version, present, &nominated), provider, credentials, &upload())
            })
        };
        let (Some(chosen), Some(anew)) = (compose(false), compose(true)) else { return Ok(()) };
        prop_assert_eq!(written(&chosen), written(&anew));
        prop_assert_eq!(chosen.get_all(HOST).iter().filter(|host| host.as_bytes().ends_with(b".test")).count(), 1);
        if whose != 0 {
            prop_assert!(!written(&chosen).iter().any(|line| is_forbidden(line)), "{:?}", written(&chosen));
        }
        if let Some(length) = upload().length() {
            prop_assert!(chosen.get_all(CONTENT_LENGTH).iter().all(|value| *value == HeaderValue::from(length)));
        }
    }
}
