//! Which trace a request is part of: what the provider sees of it, what the access log says, and what a collector is told.

use serde_json::{Value, json};
use sidegate::{telemetry::trace::names, types::Secret};

use crate::support::{Client, Provider, Script, Sidegate, eventually, provider::Request, proxy::POOL_KEY, within};

const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// The fields of a request that is part of a trace.
fn traced(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{SPAN}-{flags}\r\ntracestate: vendor=1\r\n")
}

/// Asks once; what the provider saw.
async fn ask(sidegate: &Sidegate, provider: &mut Provider, fields: &str) -> Request {
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/chat/completions", fields, ASK).await;
    client.reply("POST").await;
    provider.request().await
}

/// `traceparent` and `tracestate` as the provider saw them.
fn seen(request: &Request) -> (Option<String>, Option<String>) {
    (request.head.get("traceparent"), request.head.get("tracestate"))
}

#[tokio::test]
async fn by_default_a_trace_passes_untouched_none_is_made_and_the_log_names_it() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let request = ask(&sidegate, &mut provider, &traced("01")).await;
    assert_eq!(seen(&request), (Some(format!("00-{TRACE}-{SPAN}-01")), Some("vendor=1".to_owned())));
    let request = ask(&sidegate, &mut provider, "").await;
    assert_eq!(seen(&request), (None, None));
    let request = ask(&sidegate, &mut provider, "traceparent: nonsense\r\n").await;
    assert_eq!(seen(&request), (Some("nonsense".to_owned()), None));
    let lines = sidegate.log(3).await;
    let told: Vec<_> = lines.iter().map(|line| (line.get("trace_id").cloned(), line.get("span_id").cloned())).collect();
    assert_eq!(told, [(Some(json!(TRACE)), None), (None, None), (None, None)]);
}

#[tokio::test]
async fn a_trace_is_continued_begun_or_kept_from_the_provider_as_the_config_says() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::with("trace: { propagate: continue, create: true }", provider.address).await;
    let (parent, state) = seen(&ask(&sidegate, &mut provider, &traced("01")).await);
    let parent = parent.unwrap();
    assert_eq!((&parent[..36], &parent[52..], state.as_deref()), (&*format!("00-{TRACE}-"), "-01", Some("vendor=1")));
    assert_ne!(&parent[36..52], SPAN);
    let (begun, state) = seen(&ask(&sidegate, &mut provider, "tracestate: of=nothing\r\n").await);
    let begun = begun.unwrap();
    assert_eq!((begun.len(), &begun[52..], state), (55, "-00", None));
    let lines = sidegate.log(2).await;
    for (line, sent) in lines.iter().zip([&parent, &begun]) {
        assert_eq!((&line["trace_id"], &line["span_id"]), (&json!(sent[3..35]), &json!(sent[36..52])));
    }

    let sidegate = Sidegate::with("trace: { propagate: drop, create: true }", provider.address).await;
    for fields in [&traced("01"), ""] {
        assert_eq!(seen(&ask(&sidegate, &mut provider, fields).await), (None, None));
    }
    let lines = sidegate.log(2).await;
    assert_eq!((&lines[0]["trace_id"], lines[1]["trace_id"].as_str().map(str::len)), (&json!(TRACE), Some(32)));
}

/// A config that tells `collector` of requests.
fn telling(collector: &Provider, more: &str) -> String {
    let headers = "headers: [{ name: X-Collector-Key, value: of-the-collector }]";
    format!("trace: {{ otlp: {{ endpoint: \"http://{}/base\", {headers}, service: tested{more} }} }}", collector.address)
}

/// The spans of the next request to the collector.
async fn spans(collector: &mut Provider) -> (Request, Vec<Value>) {
    let request = collector.request().await;
    let told: Value = serde_json::from_slice(&request.body.bytes).unwrap();
    let spans = told["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    (request, spans)
}

/// What a span says under this name.
fn attribute(span: &Value, name: &str) -> Value {
    let found = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == name);
    found.map_or(Value::Null, |attribute| attribute["value"].clone())
}

const SENT: &str = r#"sidegate_trace_spans_total{result="sent"}"#;

#[tokio::test]
async fn a_collector_is_told_of_each_request_in_the_words_of_the_conventions() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let mut collector = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::with(&telling(&collector, ""), provider.address).await;
    let up = seen(&ask(&sidegate, &mut provider, &traced("01")).await).0.unwrap();
    let (request, told) = spans(&mut collector).await;
    assert_eq!(request.head.line, b"POST /base/v1/traces HTTP/1.1");
    assert_eq!(request.head.get("x-collector-key").as_deref(), Some("of-the-collector"));
    assert_eq!(request.head.get("content-type").as_deref(), Some("application/json"));
    let whole: Value = serde_json::from_slice(&request.body.bytes).unwrap();
    assert_eq!(
        whole["resourceSpans"][0]["resource"]["attributes"][0],
        json!({ "key": "service.name", "value": { "stringValue": "tested" } })
    );

    let [span] = told.as_slice() else { panic!("{told:?}") };
    let line = sidegate.log(1).await.remove(0);
    // The provider's own span, if it has one, stands in ours, and ours in the caller's.
    assert_eq!((&span["traceId"], &span["spanId"], &span["parentSpanId"]), (&json!(TRACE), &json!(up[36..52]), &json!(SPAN)));
    assert_eq!(
        (&span["name"], &span["kind"], &span["status"], &span["flags"]),
        (&json!("chat gpt-4o"), &json!(3), &json!({}), &json!(0x301))
    );
    let nanos = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("startTimeUnixNano") < nanos("endTimeUnixNano"));
    let text = |text: &str| json!({ "stringValue": text });
    let number = |number: u64| json!({ "intValue": number.to_string() });
    for (name, value) in [
        (names::OPERATION, text("chat")),
        (names::PROVIDER, text("openai")),
        (names::MODEL, text("gpt-4o")),
        (names::STREAM, json!({ "boolValue": true })),
        (names::ADDRESS, text("127.0.0.1")),
        (names::PORT, number(provider.address.port().into())),
        (names::METHOD, text("POST")),
        (names::STATUS, number(200)),
        (names::ERROR, Value::Null),
        (names::REQUEST_ID, text(line["request_id"].as_str().unwrap())),
        (names::ROUTE, text("/v1")),
        (names::TARGET, text("scripted")),
        (names::KEY, text(&Secret::new(POOL_KEY.to_owned()).fingerprint().to_string())),
        (names::ATTEMPTS, number(1)),
        (names::END, text("complete")),
        (names::BYTES_OUT, number(6)),
    ] {
        assert_eq!(attribute(span, name), value, "{name}");
    }
    assert!(span["attributes"].as_array().unwrap().iter().all(|attribute| names::ALL.contains(&attribute["key"].as_str().unwrap())));
    sidegate.metric_becomes(SENT, 1.0).await;
}

#[tokio::test]
async fn what_fails_is_an_error_and_what_the_caller_does_not_record_is_not_told() {
    let mut provider = Provider::start().await;
    let mut collector = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::with(&telling(&collector, ""), provider.address).await;
    provider.script(Script::ok("served"));
    ask(&sidegate, &mut provider, &traced("00")).await;
    provider.script(Script::on_request().close());
    ask(&sidegate, &mut provider, "").await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/nowhere").await;
    client.reply("GET").await;
    let (_, mut told) = spans(&mut collector).await;
    while told.len() < 2 {
        told.extend(spans(&mut collector).await.1);
    }
    let said: Vec<_> = told.iter().map(|span| (&span["name"], attribute(span, names::ERROR), &span["status"]["code"])).collect();
    let text = |text: &str| json!({ "stringValue": text });
    assert_eq!(said, [(&json!("chat gpt-4o"), text("closed"), &json!(2)), (&json!("GET"), text("route_not_found"), &json!(2))]);
    assert!(told.iter().all(|span| span["parentSpanId"].is_null() && span["traceId"] != TRACE));
    sidegate.metric_becomes(SENT, 2.0).await;
}

/// A collector that never answers takes no place from any request, and what is lost is counted.
#[tokio::test]
async fn a_collector_that_hangs_holds_nobody_up_and_the_loss_is_counted() {
    let provider = Provider::always(Script::ok("served")).await;
    let mut collector = Provider::always(Script::hang()).await;
    let sidegate = Sidegate::with(&telling(&collector, ""), provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    client.reply("GET").await;
    collector.request().await;
    // As many as may wait, and more.
    for _ in 0..2_100 {
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.status(), 200);
    }
    let lost = r#"sidegate_trace_spans_total{result="dropped"}"#;
    within("spans are dropped", async {
        while sidegate.metric(lost).await < 1.0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await;
    assert_eq!(sidegate.log(2_101).await.iter().filter(|line| line["status"] == 200).count(), 2_101);
}

#[tokio::test]
async fn a_collector_that_refuses_is_asked_again_only_where_that_may_help() {
    let provider = Provider::always(Script::ok("served")).await;
    let mut collector = Provider::start().await;
    let sidegate = Sidegate::with(&telling(&collector, ""), provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    collector.script(Script::reply("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"));
    collector.script(Script::ok("{}"));
    client.get("/v1/models").await;
    client.reply("GET").await;
    let (first, again) = (collector.request().await, collector.request().await);
    assert_eq!(first.body.bytes, again.body.bytes);
    sidegate.metric_becomes(SENT, 1.0).await;
    collector.script(Script::reply("HTTP/1.1 400 Never\r\nContent-Length: 0\r\n\r\n"));
    client.get("/v1/models").await;
    client.reply("GET").await;
    sidegate.metric_becomes(r#"sidegate_trace_spans_total{result="failed"}"#, 1.0).await;
    assert_eq!(collector.asked(), 3);
}

#[tokio::test]
async fn what_waits_is_sent_before_the_end() {
    let provider = Provider::always(Script::ok("served")).await;
    let mut collector = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::with(&telling(&collector, ""), provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    client.reply("GET").await;
    eventually("the line", || sidegate.log_lines(), |lines| lines.len() == 1).await;
    sidegate.stop();
    assert_eq!(spans(&mut collector).await.1.len(), 1);
}
