use proptest::prelude::*;
use serde_json::json;

use super::*;

use RequestFormat::{Anthropic, Gemini, Openai};

fn usage(input: u64, output: u64, cached: impl Into<Option<u64>>, reasoning: impl Into<Option<u64>>) -> Usage {
    Usage { input: Some(input), output: Some(output), cached: cached.into(), reasoning: reasoning.into(), ..Usage::default() }
}

fn of_body(format: RequestFormat, body: &str) -> Usage {
    let mut meter = Meter::new(format);
    meter.body(body.as_bytes());
    meter.usage()
}

fn of_events(format: RequestFormat, events: &[&str]) -> Usage {
    let mut meter = Meter::new(format);
    events.iter().for_each(|event| meter.event(event.as_bytes()));
    meter.usage()
}

const CHAT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","choices":[{"message":{"content":"a \"usage\": {} {"}}],
    "usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},
    "completion_tokens_details":{"reasoning_tokens":3}},"service_tier":"default"}"#;

#[test]
fn each_dialect_has_its_words() {
    for (format, body, expected) in [
        (Openai, CHAT, usage(19, 10, 4, 3)),
        (
            Openai,
            r#"{"object":"response","output":[],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":0},"output_tokens":87,
               "output_tokens_details":{"reasoning_tokens":64},"total_tokens":123},"user":null,"metadata":{"usage":"x"}}"#,
            usage(36, 87, 0, 64),
        ),
        (
            Openai,
            r#"{"object":"list","data":[{"embedding":[0.1,-2e3]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            Usage { input: Some(8), ..Usage::default() },
        ),
        (Openai, r#"{"usage":{"prompt_tokens":3,"completion_tokens":1,"prompt_cache_hit_tokens":2}}"#, usage(3, 1, 2, None)),
        (Openai, r#"{"model":"m","usage":{"prompt_tokens":3,"completion_tokens":1},"choices":[{"a":[1]}]}"#, usage(3, 1, None, None)),
        (
            Anthropic,
            r#"{"type":"message","content":[],"usage":{"input_tokens":5,"cache_creation_input_tokens":100,"cache_read_input_tokens":20,"output_tokens":7}}"#,
            Usage { stored: Some(100), ..usage(125, 7, 20, None) },
        ),
        (
            Anthropic,
            r#"{"usage":{"input_tokens":5,"cache_creation_input_tokens":100,"output_tokens":7,
               "cache_creation":{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60}}}"#,
            Usage { stored: Some(100), stored_long: Some(60), ..usage(105, 7, None, None) },
        ),
        (
            Openai,
            r#"{"usage":{"prompt_tokens":30,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":20}}}"#,
            Usage { stored: Some(20), ..usage(30, 1, 4, None) },
        ),
        (
            Gemini,
            r#"{"candidates":[],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":7,
               "toolUsePromptTokenCount":2,"cachedContentTokenCount":4,"totalTokenCount":24},"modelVersion":"x"}"#,
            usage(12, 12, 4, 7),
        ),
        (
            Gemini,
            "[{\"usageMetadata\":{\"promptTokenCount\":1}},\n{\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":9}}]\n",
            usage(1, 9, None, None),
        ),
    ] {
        assert_eq!(of_body(format, body), expected, "{body}");
    }
}

#[test]
fn streams_tell_it_at_their_end_or_as_they_go() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n";
    let last = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":4}}\n";
    assert_eq!(of_events(Openai, &[chunk, chunk, last, "data: [DONE]\n"]), usage(16, 4, None, None));
    let created = "event: response.created\ndata: {\"response\":{\"usage\":null}}\n";
    let completed = "event: response.completed\r\ndata: {\"response\":{\"output\":[{\"usage\":{\"input_tokens\":9}}],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\r\n";
    assert_eq!(of_events(Openai, &[created, completed]), usage(1, 2, None, None));
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n";
    let delta = |count| {
        format!("event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{}},\"usage\":{{\"output_tokens\":{count}}}}}\n")
    };
    assert_eq!(of_events(Anthropic, &[start]), usage(30, 1, 5, None), "a client may leave here");
    assert_eq!(of_events(Anthropic, &[start, &delta(7), &delta(15)]), usage(30, 15, 5, None));
    let event = |count| format!("data: {{\"usageMetadata\":{{\"promptTokenCount\":3,\"candidatesTokenCount\":{count}}}}}\r\n");
    assert_eq!(of_events(Gemini, &[&event(2), &event(5)]), usage(3, 5, None, None));
    let two_lines = "data: {\"usage\":\ndata: {\"prompt_tokens\":1,\"completion_tokens\":2}}\n";
    assert_eq!(of_events(Openai, &[two_lines]), usage(1, 2, None, None));
}

#[test]
fn what_a_model_writes_is_not_taken_for_the_providers_word() {
    let call = r#""content":[{"type":"tool_use","input":{"usage":{"input_tokens":1,"output_tokens":1}}}]"#;
    let true_one = r#""usage":{"input_tokens":50,"output_tokens":60}"#;
    for body in [format!("{{{true_one},{call}}}"), format!("{{{call},{true_one}}}"), format!("{{{call},{true_one},{call}}}")] {
        assert_eq!(of_body(Anthropic, &body), usage(50, 60, None, None), "{body}");
        assert_eq!(of_events(Anthropic, &[&format!("data: {body}\n")]), usage(50, 60, None, None), "{body}");
    }
    for body in [
        format!("{{{call}}}"),
        r#"{"content":"\"usage\":{\"input_tokens\":1}"}"#.to_owned(),
        r#"{"content":"x","key":["usage",{"input_tokens":1}]}"#.to_owned(),
        // The end of a longer body, cut anywhere.
        r#"text \"usage\":{\"input_tokens\":1}","usage":{"input_tokens":1}}]}"#.to_owned(),
        r#"usage":{"input_tokens":1}}"#.to_owned(),
    ] {
        assert_eq!(of_body(Anthropic, &body), Usage::default(), "{body}");
    }
    let end = r#"e":1}}],"text":"} \\","stop":null,"usage":{"input_tokens":1,"output_tokens":2},"x":[{"usage":{}}]}"#;
    assert_eq!(of_body(Anthropic, end), usage(1, 2, None, None), "the end of a longer body");
}

#[test]
fn what_nobody_should_count_is_unknown() {
    for count in ["-1", "1000000001", "18446744073709551616", "1e3", "12.0", "\"7\"", "null", "[7]", "{}", "true"] {
        let object = format!(r#"{{"usage":{{"prompt_tokens":{count},"completion_tokens":{count}}}}}"#);
        assert_eq!(of_body(Openai, &object), Usage::default(), "{count}");
        assert_eq!(of_events(Openai, &[&format!("data: {object}\n")]), Usage::default(), "{count}");
    }
    assert_eq!(of_body(Openai, r#"{"usage":{"prompt_tokens":1000000000,"completion_tokens":-1}}"#).input, Some(MOST));
    let most = json!({ "usage": { "input_tokens": MOST, "cache_read_input_tokens": MOST, "cache_creation_input_tokens": MOST } });
    assert_eq!(of_body(Anthropic, &most.to_string()).input, Some(3 * MOST));
    for body in [
        "",
        "{",
        "\"usage\":{",
        "{\"usage\":",
        "{\"usage\":{\"prompt_tokens\":1}",
        "{\"usage\":[1]}",
        "{\"usage\":{\"type\":\"duration\",\"seconds\":3}}",
        "{\"usage\":{\"prompt_tokens\":1,\"prompt_tokens\":2}}",
        "{\"usage\":{\"prompt_tokens\":1}}}",
    ] {
        assert_eq!(of_body(Openai, body), Usage::default(), "{body}");
        assert_eq!(of_events(Openai, &[&format!("data: {body}\n")]), Usage::default(), "{body}");
    }
    let deep = format!("{{\"usage\":{{\"x\":{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(of_body(Openai, &deep), Usage::default());
    assert_eq!(of_events(Openai, &[&format!("data: {deep}\n")]), Usage::default());
}

#[test]
fn one_search_tells_whether_there_is_something_to_read() {
    let meter = Meter::new(Openai);
    for (text, named) in [
        ("{\"choices\":[]}", false),
        ("{\"usage\":null}", false),
        ("{\"usage\" : null}\n\n{\"usage\":null}", false),
        ("{\"usage\":null}\n\n{\"usage\":{}}", true),
        ("{\"usage\":{}}", true),
        ("{\"usage\"", true),
        ("{\"usage\":", true),
    ] {
        assert_eq!(meter.is_named_in(text.as_bytes()), named, "{text}");
    }
    assert!(Meter::new(Gemini).is_named_in(b"\"usageMetadata\":{}"));
}

/// JSON in which usage may stand anywhere, in names and in texts.
fn json_value() -> BoxedStrategy<serde_json::Value> {
    let word = || prop_oneof![Just("usage".to_owned()), Just("\"usage\":{".to_owned()), Just("\\".to_owned()), "[a-z\"\\\\{}\\[\\]]{0,6}"];
    let counts = (0..2_000u64, 0..2_000u64).prop_map(|(input, output)| json!({ "prompt_tokens": input, "completion_tokens": output }));
    let leaf = prop_oneof![word().prop_map(serde_json::Value::from), any::<i32>().prop_map(serde_json::Value::from), counts];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(word(), inner, 0..4).prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

/// What a parser of the whole says.
fn by_parsing(value: &serde_json::Value) -> Usage {
    let count = |name: &str| value["usage"][name].as_u64().filter(|count| *count <= MOST);
    Usage { input: count("prompt_tokens"), output: count("completion_tokens"), ..Usage::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_body_tells_what_a_parser_of_the_whole_finds(members in prop::collection::btree_map("[a-z]{0,3}|usage", json_value(), 0..6), pretty: bool) {
        let value = serde_json::Value::Object(members.into_iter().collect());
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        prop_assert_eq!(of_body(Openai, &text), by_parsing(&value), "{}", text);
        prop_assert_eq!(of_events(Openai, &[&format!("data: {value}\n")]), by_parsing(&value), "{}", text);
    }

    #[test]
    fn the_end_of_a_body_tells_the_same_or_nothing(value in json_value(), cut in any::<prop::sample::Index>()) {
        let body = json!({ "choices": value, "usage": { "prompt_tokens": 7, "completion_tokens": 8 }, "x": "y" }).to_string();
        let told = of_body(Openai, &String::from_utf8_lossy(&body.as_bytes()[cut.index(body.len())..]));
        prop_assert!([Usage::default(), usage(7, 8, None, None)].contains(&told), "{told:?} of {body}");
    }

    #[test]
    fn no_input_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), words in prop::collection::vec(prop::sample::select(vec!["\"usage\"", ":", "{", "}", "\"", "\\", " ", "[", "]", "1", ","]), 0..30)) {
        for format in [Openai, Anthropic, Gemini] {
            for bytes in [&bytes[..], words.concat().as_bytes()] {
                let mut meter = Meter::new(format);
                meter.body(bytes);
                meter.event(bytes);
                let _ = meter.usage();
            }
        }
    }
}
