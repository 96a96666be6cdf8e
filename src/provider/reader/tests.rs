use proptest::prelude::*;

use super::*;

fn ask(model: Option<&str>, stream: bool) -> Ask {
    Ask { model: model.map(Into::into), stream, ..Ask::default() }
}

/// Read, without the places of its values.
fn read(body: &[u8]) -> Result<Ask, Unreadable> {
    super::read(body).map(|ask| Ask { model_at: None, ..ask })
}

fn read_prefix(body: &[u8]) -> Result<Ask, Unreadable> {
    super::read_prefix(body).map(|ask| Ask { model_at: None, ..ask })
}

#[test]
fn what_stays_behind_and_what_refers_to_it_is_found() {
    for (body, store, refers) in [
        (r#"{"model":"m"}"#, None, false),
        (r#"{"model":"m","store":false}"#, Some(false), false),
        (r#"{"store":true}"#, Some(true), false),
        (r#"{"store":null,"conversation":null,"previous_response_id":null}"#, None, false),
        (r#"{"store":"yes"}"#, None, false),
        (r#"{"store":false,"previous_response_id":"resp_1"}"#, Some(false), true),
        (r#"{"conversation":{"id":"conv_1"}}"#, None, true),
        (r#"{"model":"ft:gpt-4o:acme"}"#, None, true),
        (r#"{"input":[{"content":[{"type":"input_file","file_id":"file-1"}]}]}"#, None, true),
        (r#"{"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#, None, true),
    ] {
        let ask = read(body.as_bytes()).unwrap();
        assert_eq!((ask.store, ask.refers), (store, refers), "{body}");
    }
    assert_eq!(read(br#"{"store":true,"store":false}"#), Err(Unreadable::Repeated("store")));
}

#[test]
fn model_and_stream_are_found_wherever_they_stand() {
    for (body, expected) in [
        (r#"{"model":"gpt-4o","stream":true}"#, ask(Some("gpt-4o"), true)),
        (r#" { "messages" : [{"model":"x","stream":true}], "model" : "gpt-4o" } "#, ask(Some("gpt-4o"), false)),
        (r#"{"model":"gpt\u002d4o"}"#, ask(Some("gpt-4o"), false)),
        (r#"{"mod\u0065l":"gpt-4o"}"#, ask(Some("gpt-4o"), false)),
        (r#"{"model":4,"stream":"yes"}"#, ask(None, false)),
        (r#"{"model":null}"#, ask(None, false)),
        ("{}", ask(None, false)),
    ] {
        assert_eq!(read(body.as_bytes()), Ok(expected), "{body}");
    }
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_an_error() {
    for body in [r#"{"model":"a","model":"b"}"#, r#"{"model":"a","x":1,"mod\u0065l":"a"}"#, r#"{"model":1,"model":"b"}"#] {
        assert_eq!(read(body.as_bytes()), Err(Unreadable::Repeated("model")), "{body}");
    }
    // Some readers don't tell capitals from small letters.
    for body in [r#"{"model":"a","Model":"b"}"#, r#"{"MODEL":"b","model":"a"}"#, r#"{"model":"a","\u004dodel":"b"}"#] {
        assert_eq!(read(body.as_bytes()), Err(Unreadable::Repeated("model")), "{body}");
        assert_eq!(read_prefix(body.as_bytes()), Err(Unreadable::Repeated("model")), "{body}");
    }
    assert_eq!(read(br#"{"Model":"a"}"#), Ok(ask(None, false)), "to us it is no model, so no rule lets it pass as one");
    assert_eq!(read(br#"{"stream":true,"stream":false}"#), Err(Unreadable::Repeated("stream")));
    for body in ["", "[]", "null", "{", r#"{"model":"a"}x"#, r#"{"model":"a",}"#, "\u{feff}{}"] {
        assert_eq!(read(body.as_bytes()), Err(Unreadable::NotJson), "{body}");
    }
}

#[test]
fn bounds_of_the_reply_are_found() {
    let bounds = |body: &str| {
        let ask = read(body.as_bytes()).unwrap();
        (ask.most_output, ask.choices)
    };
    for (body, expected) in [
        ("{}", (None, None)),
        (r#"{"max_tokens":50}"#, (Some(50), None)),
        (r#"{"max_completion_tokens":60,"n":3}"#, (Some(60), Some(3))),
        (r#"{"max_output_tokens":70,"n":null}"#, (Some(70), None)),
        (r#"{"max_tokens":50,"max_completion_tokens":60}"#, (Some(60), None)),
        (r#"{"max_tokens":null,"n":"3"}"#, (None, None)),
        (r#"{"max_tokens":1e3,"n":-1}"#, (None, None)),
        (r#"{"max_tokens":1.5,"m\u0061x_output_tokens":7}"#, (Some(7), None)),
        (r#"{"max_tokens":99999999999999999999}"#, (None, None)),
        (r#"{"a":{"max_tokens":9,"n":9}}"#, (None, None)),
    ] {
        assert_eq!(bounds(body), expected, "{body}");
    }
    for name in ["max_tokens", "max_completion_tokens", "max_output_tokens", "n", "stream_options"] {
        let body = format!(r#"{{"{name}":1,"x":2,"{name}":null}}"#);
        assert_eq!(read(body.as_bytes()), Err(Unreadable::Repeated(name)));
    }
}

#[test]
fn work_in_the_background_is_found() {
    for (body, background) in [
        (r#"{"model":"m"}"#, false),
        (r#"{"background":true}"#, true),
        (r#"{"b\u0061ckground":true}"#, true),
        (r#"{"background":false}"#, false),
        // Of a picture.
        (r#"{"background":"transparent"}"#, false),
    ] {
        assert_eq!(read(body.as_bytes()).unwrap().background, background, "{body}");
    }
    assert_eq!(read(br#"{"background":true,"background":false}"#), Err(Unreadable::Repeated("background")));
}

#[test]
fn the_place_of_the_model_is_found() {
    for (body, value) in [
        (r#"{ "model" : "m" }"#, Some(r#""m""#)),
        (r#"{"x":{"model":"n"},"m\u006fdel":"\u006d"}"#, Some(r#""\u006d""#)),
        (r#"{"model":7}"#, None),
        ("{}", None),
    ] {
        assert_eq!(super::read(body.as_bytes()).unwrap().model_at.map(|place| &body[place]), value, "{body}");
    }
    let long = r#"{"model":"m","messages":["#;
    assert_eq!(super::read_prefix(long.as_bytes()).unwrap().model_at.map(|place| &long[place]), Some(r#""m""#));
}

#[test]
fn the_place_of_stream_options_is_found() {
    for (body, value) in [
        (r#"{"model":"m"}"#, None),
        (r#"{"stream_options" : { "include_usage" : true } ,"model":"m"}"#, Some(r#"{ "include_usage" : true }"#)),
        (r#"{"messages":["stream_options"],"stream_options":null}"#, Some("null")),
        // Read by the parser, for its escape.
        (r#"{"a\u0061":1,"stream_options": {} }"#, Some("{}")),
    ] {
        let place = read(body.as_bytes()).unwrap().stream_options;
        assert_eq!(place.map(|place| &body[place]), value, "{body}");
    }
}

#[test]
fn the_head_of_a_long_body_tells_what_stands_in_it() {
    let prefix = |model| Ok(Ask { goes_on: true, ..ask(model, false) });
    assert_eq!(read_prefix(br#"{"model":"gpt-4o","messages":[{"con"#), prefix(Some("gpt-4o")));
    assert_eq!(read_prefix(br#"{"messages":[{"con"#), prefix(None));
    assert_eq!(read_prefix(br#"{"model":"a","model":"b","messages":[{"con"#), Err(Unreadable::Repeated("model")));
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
        let _ = read_prefix(&body);
    }
}
