//! Questions without a key.

use super::*;

/// A body of `question` that has a key, with `members` more.
fn body_with(question: Question, members: &str) -> String {
    let store = if question == Question::Response { r#""store":false,"# } else { "" };
    format!(r#"{{{store}{members}{}"model":"m"}}"#, if members.is_empty() { "" } else { "," })
}

#[test]
fn what_the_provider_keeps_or_does_beside_the_answer_has_no_key() {
    use Question::*;
    for (question, members, bypass) in [
        (Chat, r#""store":true"#, Bypass::Kept),
        (Chat, r#""store":"false""#, Bypass::Kept),
        (Chat, r#""st\u006fre":true"#, Bypass::Kept),
        (Response, r#""previous_response_id":"resp_1""#, Bypass::Refers),
        (Response, r#""conversation":"conv_1""#, Bypass::Refers),
        (Response, r#""conversation":{"id":"conv_1"}"#, Bypass::Refers),
        (Response, r#""prompt":{"id":"pmpt_1"}"#, Bypass::Refers),
        (Response, r#""input":[{"type":"item_reference","id":"msg_1"}]"#, Bypass::Refers),
        (Response, r#""background":true"#, Bypass::Background),
        (Response, r#""tools":[{"type":"web_search"}]"#, Bypass::Tools),
        (Response, r#""tools":[{"type":"function","name":"f"},{"type":"file_search","vector_store_ids":["vs_1"]}]"#, Bypass::Tools),
        (Response, r#""tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#, Bypass::Tools),
        (Response, r#""tools":[{"type":"computer_use_preview"}]"#, Bypass::Tools),
        (Response, r#""tools":[{"type":"mcp","server_url":"https://example.com"}]"#, Bypass::Tools),
        (Response, r#""tools":[{"type":"image_generation"}]"#, Bypass::Tools),
        (Response, r#""tools":[{"type":"what comes next year"}]"#, Bypass::Tools),
        (Response, r#""tools":[{"type":7}]"#, Bypass::Tools),
        (Chat, r#""web_search_options":{}"#, Bypass::Tools),
        (Message, r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#, Bypass::Tools),
        (Message, r#""mcp_servers":[{"type":"url"}]"#, Bypass::Tools),
        (Message, r#""container":"container_1""#, Bypass::Refers),
        (Content, r#""tools":[{"googleSearch":{}}]"#, Bypass::Tools),
        (Content, r#""tools":[{"functionDeclarations":[]},{"code_execution":{}}]"#, Bypass::Tools),
        (Content, r#""tools":{"url_context":{}}"#, Bypass::Tools),
        (Content, r#""cachedContent":"cachedContents/1""#, Bypass::Refers),
    ] {
        assert_eq!(key_of(question, body_with(question, members)), Err(bypass), "{question:?} {members}");
    }
}

#[test]
fn a_response_is_kept_unless_it_says_otherwise() {
    assert_eq!(key_of(Question::Response, r#"{"model":"m","input":"Hello"}"#), Err(Bypass::Kept));
    assert_eq!(key_of(Question::Response, r#"{"model":"m","input":"Hello","store":null}"#), Err(Bypass::Kept));
    assert_eq!(key_of(Question::Response, r#"{"model":"m","input":{"store":false}}"#), Err(Bypass::Kept));
    assert!(key_of(Question::Response, r#"{"model":"m","input":"Hello","store": false }"#).is_ok());
}

#[test]
fn sound_and_images_have_no_key() {
    use Question::*;
    for (question, members) in [
        (Chat, r#""modalities":["text","audio"]"#),
        (Chat, r#""modalities":["image"]"#),
        (Chat, r#""modalities":"audio""#),
        (Chat, r#""audio":{"voice":"alloy","format":"mp3"}"#),
        (Content, r#""generationConfig":{"responseModalities":["TEXT","IMAGE"]}"#),
        (Content, r#""generation_config":{"response_modalities":["AUDIO"]}"#),
        (Content, r#""generationConfig":{"responseModalities":[1,2]}"#),
        (Content, r#""generationConfig":{"speechConfig":{}}"#),
    ] {
        assert_eq!(key_of(question, body_with(question, members)), Err(Bypass::Output), "{question:?} {members}");
    }
    for (question, members) in [
        (Chat, r#""modalities":["text"]"#),
        (Chat, r#""modalities":["t\u0065xt"]"#),
        (Chat, r#""modalities":null,"audio":null"#),
        (Content, r#""generationConfig":{"responseModalities":["TEXT"]}"#),
    ] {
        assert!(key_of(question, body_with(question, members)).is_ok(), "{question:?} {members}");
    }
}

#[test]
fn what_is_looked_at_elsewhere_has_no_key() {
    use Question::*;
    let chat_part = |part: &str| format!(r#""messages":[{{"role":"user","content":[{{"type":"text","text":"?"}},{part}]}}]"#);
    let item_part = |part: &str| format!(r#""input":[{{"role":"user","content":[{part}]}}]"#);
    let gemini_part = |part: &str| format!(r#""contents":[{{"role":"user","parts":[{part}]}}]"#);
    for (question, members, bypass) in [
        (Chat, chat_part(r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#), Bypass::Remote),
        (Chat, chat_part(r#"{"type":"image_url","image_url":{"url":"HTTP://example.com/a.png"}}"#), Bypass::Remote),
        (Chat, chat_part(r#"{"type":"image_url","im\u0061ge_url":{"\u0075rl":"\u0068ttps://example.com/a.png"}}"#), Bypass::Remote),
        (Chat, chat_part(r#"{"type":"image_url","image_url":"https://example.com/a.png"}"#), Bypass::Remote),
        (Chat, chat_part(r#"{"type":"video_url","video_url":{"url":"https://example.com/a.mp4"}}"#), Bypass::Remote),
        (Chat, chat_part(r#"{"type":"file","file":{"file_id":"file-1"}}"#), Bypass::Refers),
        (Chat, r#""messages":[{"role":"assistant","audio":{"id":"audio_1"}}]"#.to_owned(), Bypass::Refers),
        (Response, item_part(r#"{"type":"input_image","image_url":"https://example.com/a.png"}"#), Bypass::Remote),
        (Response, item_part(r#"{"type":"input_image","file_id":"file-1"}"#), Bypass::Refers),
        (Response, item_part(r#"{"type":"input_file","file_url":"https://example.com/a.pdf"}"#), Bypass::Remote),
        (
            Response,
            r#""input":[{"type":"function_call_output","output":[{"type":"input_file","file_id":"file-1"}]}]"#.to_owned(),
            Bypass::Refers,
        ),
        (Moderation, r#""input":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]"#.to_owned(), Bypass::Remote),
        (Embedding, r#""input":[{"image":"https://example.com/a.png"}]"#.to_owned(), Bypass::Remote),
        (Message, chat_part(r#"{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}"#), Bypass::Remote),
        (Message, chat_part(r#"{"type":"document","source":{"type":"file","file_id":"file_1"}}"#), Bypass::Refers),
        (Message, chat_part(r#"{"type":"container_upload","file_id":"file_1"}"#), Bypass::Refers),
        (
            Message,
            chat_part(r#"{"type":"tool_result","content":[{"type":"image","source":{"type":"url","url":"https://example.com"}}]}"#),
            Bypass::Remote,
        ),
        (Content, gemini_part(r#"{"fileData":{"fileUri":"https://example.com/files/1"}}"#), Bypass::Remote),
        (Content, gemini_part(r#"{"file_data":{"file_uri":"gs://bucket/1"}}"#), Bypass::Remote),
        (ContentEmbedding, r#""requests":[{"content":{"parts":[{"fileData":{"fileUri":"gs://b/1"}}]}}]"#.to_owned(), Bypass::Remote),
    ] {
        assert_eq!(key_of(question, body_with(question, &members)), Err(bypass), "{question:?} {members}");
    }
}

#[test]
fn what_is_in_the_request_whole_has_a_key() {
    use Question::*;
    for (question, members) in [
        (Chat, r#""messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]"#),
        (Chat, r#""messages":[{"content":[{"type":"image_url","image_url":{"url":"\u0064ata:image\/png;base64,AAAA"}}]}]"#),
        (Chat, r#""messages":[{"content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA"}}]}]"#),
        (Chat, r#""messages":[{"content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]"#),
        (Chat, r#""messages":[{"content":"look at https://example.com","audio":null,"file_id":null}]"#),
        (Chat, r#""tools":[{"type":"function","function":{"name":"f","parameters":{"file_id":"file-1","url":"https://x"}}}]"#),
        (Chat, r#""tools":[{"type":"\u0066unction"},{"type":"custom","custom":{"name":"c"}},{}]"#),
        (Chat, r#""tools":null,"web_search_options":null,"store":null,"messages":null"#),
        (Chat, r#""store":false"#),
        (Message, r#""messages":[{"content":[{"type":"tool_use","id":"1","input":{"url":"https://x","file_id":"y"}}]}]"#),
        (Message, r#""messages":[{"content":[{"type":"image","source":{"type":"base64","data":"AAAA"}}]}]"#),
        (Message, r#""tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"custom","name":"g"},{"type":null}]"#),
        (Message, r#""mcp_servers":null,"container":null"#),
        (Content, r#""contents":[{"parts":[{"text":"Hello"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]"#),
        (Content, r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT"}}],"googleSearch":null}]"#),
        (Response, r#""previous_response_id":null,"conversation":null,"background":null,"prompt":null"#),
        (Response, r#""background":false,"tools":[{"type":"function","name":"f"}]"#),
        (Completion, r#""prompt":"once""#),
    ] {
        let key = key_of(question, body_with(question, members));
        assert!(key.is_ok(), "{key:?} {question:?} {members}");
    }
}

#[test]
fn strictly_only_what_is_not_drawn_has_a_key() {
    use Question::*;
    for (question, members, is_settled) in [
        (Chat, "", false),
        (Chat, r#""temperature":0.0001"#, false),
        (Chat, r#""temperature":null,"seed":null"#, false),
        (Chat, r#""temperature":"0""#, false),
        (Chat, r#""messages":[{"temperature":0,"seed":1}]"#, false),
        (Chat, r#""temperature":0"#, true),
        (Chat, r#""temperature":0.0"#, true),
        (Chat, r#""temperature":-0e7"#, true),
        (Chat, r#""temperature":1,"seed":42"#, true),
        (Completion, r#""seed":0"#, true),
        (Response, r#""temperature":0"#, true),
        (Message, r#""temperature":1"#, false),
        (Message, r#""temperature":0"#, true),
        (Content, r#""temperature":0"#, false),
        (Content, r#""generationConfig":{"temperature":0}"#, true),
        (Content, r#""generation_config":{"seed":5}"#, true),
        (Embedding, "", true),
        (Moderation, "", true),
        (ContentEmbedding, "", true),
    ] {
        let body = body_with(question, members);
        assert!(key_of(question, &body).is_ok(), "{question:?} {members}");
        let strictly = judged(question, &body, Determinism::Strict);
        assert_eq!(strictly.err(), (!is_settled).then_some(Bypass::Drawn), "{question:?} {members}");
    }
}

#[test]
fn what_can_be_understood_in_two_ways_has_no_key() {
    for (body, bypass) in [
        (r#"{"a":1,"a":1}"#, Bypass::Repeated),
        (r#"{"a":1,"b":2,"\u0061":1}"#, Bypass::Repeated),
        (r#"{"user":1,"user":2}"#, Bypass::Repeated),
        (r#"{"metadata":{"a":1,"a":2}}"#, Bypass::Repeated),
        (r#"{"messages":[{"role":"user","role":"user"}]}"#, Bypass::Repeated),
        (r#"{"tools":[{"function":{"parameters":{"type":1,"x":[{"y":0,"y":0}]}}}]}"#, Bypass::Repeated),
        (r#"{"x":{"":1,"":2}}"#, Bypass::Repeated),
        (r#"{"a":"\ud800"}"#, Bypass::Surrogate),
        (r#"{"a":"\udc00"}"#, Bypass::Surrogate),
        (r#"{"a":"\ud83d\u0041"}"#, Bypass::Surrogate),
        (r#"{"a":"\ud83d and on"}"#, Bypass::Surrogate),
        (r#"{"a":"\ud83d\ud83d\ude00"}"#, Bypass::Surrogate),
        (r#"{"\udead":0}"#, Bypass::Surrogate),
        (r#"{"user":"\udead"}"#, Bypass::Surrogate),
    ] {
        assert_eq!(key_of(Question::Chat, body), Err(bypass), "{body}");
    }
    let many: String = (0..100).map(|at| format!(r#""{at}":0,"#)).collect();
    assert!(key_of(Question::Chat, format!(r#"{{"x":{{{many}"100":0}}}}"#)).is_ok());
    assert_eq!(key_of(Question::Chat, format!(r#"{{"x":{{{many}"5":0}}}}"#)), Err(Bypass::Repeated));
    assert_eq!(key_of(Question::Chat, format!(r#"{{{many}"5":0}}"#)), Err(Bypass::Repeated));
}

#[test]
fn what_is_no_json_object_has_no_key() {
    for body in [
        "",
        " ",
        "[]",
        "null",
        "\"{}\"",
        "{",
        "{}{}",
        "{}x",
        "{},",
        "{,}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{"a"}"#,
        r#"{a:1}"#,
        r#"{"a":}"#,
        r#"{"a":01}"#,
        r#"{"a":-01}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":1.}"#,
        r#"{"a":-}"#,
        r#"{"a":1e}"#,
        r#"{"a":1e+}"#,
        r#"{"a":0x1}"#,
        r#"{"a":NaN}"#,
        r#"{"a":-Infinity}"#,
        r#"{"a":True}"#,
        r#"{"a":tru}"#,
        r#"{"a":truex}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a":[1}}"#,
        r#"{"a":{"b":1]}"#,
        r#"{"a":'x'}"#,
        r#"{"a":"x}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\"#,
        r#"{"a":"\u"#,
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        "{\"a\":\"a string that is long enough for the other way \n to look\"}",
        "\u{feff}{}",
        "{}\0",
        "{/**/}",
        "{}//",
        "{\u{a0}}",
    ] {
        assert_eq!(key_of(Question::Chat, body), Err(Bypass::Unreadable), "{body}");
        let excluded = body.replacen("\"a\"", "\"user\"", 1);
        assert_eq!(key_of(Question::Chat, &excluded), Err(Bypass::Unreadable), "{excluded}");
    }
    for body in [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":\"\xc0\x80\"}", b"{\"a\":\"\xed\xa0\x80\"}", b"{\"a\":\"\xe9\"}", b"\xff{}"] {
        assert_eq!(key_of(Question::Chat, body), Err(Bypass::Unreadable), "{}", body.escape_ascii());
    }
}

#[test]
fn depth_and_size_have_an_end() {
    let deep = |depth: usize, open: &str, close: &str| format!(r#"{{"x":{}1{}}}"#, open.repeat(depth), close.repeat(depth));
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        assert!(key_of(Question::Chat, deep(63, open, close)).is_ok());
        assert_eq!(key_of(Question::Chat, deep(64, open, close)), Err(Bypass::Deep));
        assert_eq!(key_of(Question::Chat, deep(100_000, open, close)), Err(Bypass::Deep));
    }
    let user = deep(64, "[", "]").replace("\"x\"", "\"user\"");
    assert_eq!(key_of(Question::Chat, user), Err(Bypass::Deep));
    // Messages within messages are read again at each level.
    let messages = |depth: usize| format!(r#"{{"messages":{}1{}}}"#, r#"{"content":"#.repeat(depth), "}".repeat(depth));
    assert!(key_of(Question::Chat, messages(11)).is_ok());
    assert_eq!(key_of(Question::Chat, messages(12)), Err(Bypass::Deep));

    let long = |length: usize| format!(r#"{{"x":"{}"}}"#, "a".repeat(length - 8));
    assert_eq!(long(LARGEST).len(), LARGEST);
    assert!(key_of(Question::Chat, long(LARGEST)).is_ok());
    assert_eq!(key_of(Question::Chat, long(LARGEST + 1)), Err(Bypass::Large));
}
