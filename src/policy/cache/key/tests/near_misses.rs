//! Bodies that are nearly the same: those that mean something else never share a key, and those that mean the same do.

use super::*;

/// Values of which no two mean the same, however little they differ.
const VALUES: &[&[&str]] = &[
    // Integers that are one double.
    &["9007199254740991", "9007199254740992", "9007199254740993", "9007199254740994", "9007199254740993.0", "9007199254740992.0"],
    &["-9007199254740992", "-9007199254740993", "-9007199254740993.0"],
    &["18446744073709551615", "18446744073709551616", "18446744073709551617", "1.8446744073709552e19"],
    &["123456789012345678901234567890", "123456789012345678901234567891", "1.2345678901234568e29"],
    // Fractions that are one double, and such that are no double.
    &["0.1", "0.10000000000000001", "0.1000000000000000055", "0.2", "0.30000000000000004", "0.3"],
    &["1e308", "1e309", "1e310", "1e400", "1e99999999999999999999", "1e-400", "1e-99999999999999999999", "0"],
    &["1e2147483647", "1e2147483648", "1e-2147483648", "1e4294967296"],
    // Kinds.
    &["1", "\"1\"", "true", "\"true\"", "[1]", "{\"1\":1}", "[[1]]", "[\"1\"]", "\"[1]\"", "1.1", "-1", "10", "11"],
    &["null", "\"null\"", "false", "0", "-0", "-0.0", "\"\"", "[]", "{}", "[null]", "[[]]", "[{}]", "{\"\":null}", "[\"\"]", "\" \""],
    // Where one ends and the next begins.
    &[r#"["ab","c"]"#, r#"["a","bc"]"#, r#"["abc",""]"#, r#"["","abc"]"#, r#"["abc"]"#, r#"["a","b","c"]"#, r#"[["ab"],"c"]"#],
    &["[12,3]", "[1,23]", "[123]", "[1,2,3]", "[12,\"3\"]", "[\"12\",3]", "[[12],3]", "[12,[3]]", "[3,12]"],
    &[r#"{"a":"bc"}"#, r#"{"ab":"c"}"#, r#"{"a":{"b":"c"}}"#, r#"{"a":["b","c"]}"#, r#"["a","bc"]"#, r#"{"abc":""}"#],
    &["[[],[]]", "[[[]]]", "[[],[],[]]", "[{},[]]", "[[],{}]", "[{},{}]"],
    &[r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#, r#"{"a":1}"#, r#"{"b":2}"#, r#"{"a":1,"b":null}"#, r#"{"a":{},"b":{}}"#],
    &[r#"[{"a":1},{"b":2}]"#, r#"[{"a":1,"b":2}]"#, r#"[{"b":2},{"a":1}]"#],
    // What a MAC that has no words for ends would take for the same.
    &[r#""s\u0000n""#, r#""s\u0000""#, r#""\u0000""#, r#"["s","n"]"#, r#""snull""#, r#""]""#, r#""ÿ""#, r#""\u00ff\u00ff""#],
    // Letters that look the same: composed and decomposed, of full width, with a mark that is not seen, of another alphabet.
    &["\"\u{e9}\"", "\"e\u{301}\"", "\"e\"", "\"\u{ff45}\"", "\"\u{435}\"", "\"E\"", "\"e\u{200b}\"", "\"\u{feff}e\""],
    &["\"\u{fb01}\"", "\"fi\"", "\"\u{66}\u{200d}i\""],
    &["\"\u{212b}\"", "\"\u{c5}\"", "\"A\u{30a}\""],
    // Escapes, and what only looks like one.
    &[r#""\n""#, r#""\\n""#, r#""n""#, r#""\r""#, r#""\r\n""#, r#"" ""#],
    &[r#""\u0041""#, r#""\\u0041""#, r#""u0041""#, r#""a""#],
    &[r#""\ud83d\ude00""#, r#""\\ud83d\\ude00""#, r#""\ud83d\ude01""#, "\"\u{fffd}\""],
    &[r#""a b""#, r#""a  b""#, r#""a b ""#, r#"" a b""#, r#""ab""#, r#""a\tb""#],
];

/// Pieces of a chat of which no two mean the same.
const CHATS: &[&[&str]] = &[
    // Order inside schemas, arguments and all that is not known.
    &[
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{},"b":{}}}}}]"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"b":{},"a":{}}}}}]"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{}}}}}]"#,
    ],
    &[
        r#""response_format":{"type":"json_schema","json_schema":{"schema":{"a":1,"b":2}}}"#,
        r#""response_format":{"type":"json_schema","json_schema":{"schema":{"b":2,"a":1}}}"#,
    ],
    &[r#""response_format":{"schema":{"minimum":1}}"#, r#""response_format":{"schema":{"minimum":1.0}}"#],
    &[r#""text":{"format":{"schema":{"a":1,"b":2}}}"#, r#""text":{"format":{"schema":{"b":2,"a":1}}}"#],
    &[r#""unknown":{"a":1,"b":2}"#, r#""unknown":{"b":2,"a":1}"#, r#""Unknown":{"a":1,"b":2}"#],
    &[
        r#""messages":[{"tool_calls":[{"function":{"arguments":{"a":1,"b":2}}}]}]"#,
        r#""messages":[{"tool_calls":[{"function":{"arguments":{"b":2,"a":1}}}]}]"#,
    ],
    &[
        r#""messages":[{"content":[{"type":"tool_use","input":{"a":1,"b":2}}]}]"#,
        r#""messages":[{"content":[{"type":"tool_use","input":{"b":2,"a":1}}]}]"#,
    ],
    // `null` and nothing.
    &[r#""temperature":null"#, r#""x":null"#, r#""temperature":0"#, r#""temperature":false"#],
    &[r#""messages":[{"content":null}]"#, r#""messages":[{}]"#, r#""messages":[{"content":""}]"#, r#""messages":[{"content":[]}]"#],
    &[r#""tools":[]"#, r#""tools":null"#, r#""tools":[{}]"#],
    // Whose words they are, in which order, how many messages.
    &[
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#,
        r#""messages":[{"role":"assistant","content":"a"},{"role":"user","content":"b"}]"#,
        r#""messages":[{"role":"user","content":"b"},{"role":"assistant","content":"a"}]"#,
        r#""messages":[{"role":"assistant","content":"b"},{"role":"user","content":"a"}]"#,
        r#""messages":[{"role":"user","content":"a"}]"#,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","name":"a"}]"#,
    ],
    &[
        r#""messages":[{"content":"ab"}]"#,
        r#""messages":[{"content":["ab"]}]"#,
        r#""messages":[{"content":[{"type":"text","text":"ab"}]}]"#,
        r#""messages":[{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#,
        r#""messages":[{"content":"a"},{"content":"b"}]"#,
        r#""messages":{"content":"ab"}"#,
    ],
    // What is not counted at the top is counted elsewhere.
    &[r#""messages":[{"user":"a"}]"#, r#""messages":[{"user":"b"}]"#, r#""messages":[{}]"#],
    &[r#""User":"a""#, r#""User":"b""#, r#""user ":"b""#],
    &[r#""x":{"metadata":1}"#, r#""x":{"metadata":2}"#, r#""x":{}"#],
    // The form of the reply.
    &[r#""stream":true"#, r#""stream":false"#, r#""stream":null"#, r#""n":1"#],
    &[
        r#""stream":true,"stream_options":{"include_usage":true}"#,
        r#""stream":true,"stream_options":{"include_usage":false}"#,
        r#""stream":true"#,
    ],
    &[r#""temperature":0.7"#, r#""temperature":0.70000001"#, r#""temperature":"0.7""#, r#""top_p":0.7"#, r#""seed":0.7"#],
    &[r#""max_tokens":10"#, r#""max_completion_tokens":10"#, r#""max_tokens":100"#],
    &[r#""stop":"a""#, r#""stop":["a"]"#, r#""stop":["a","a"]"#],
    &[r#""parallel_tool_calls":true"#, r#""parallel_tool_calls":false"#, r#""prediction":{"content":"x"}"#],
];

fn all_differ(bodies: &[String]) {
    for (at, body) in bodies.iter().enumerate() {
        for before in &bodies[..at] {
            assert_ne!(chat(body), chat(before), "{before}\n{body}");
        }
    }
}

#[test]
fn values_that_are_nearly_the_same_have_different_keys_wherever_they_stand() {
    let places = [
        r#"{"model":"m","x":VALUE}"#,
        r#"{"model":"m","logit_bias":{"x":VALUE}}"#,
        r#"{"model":"m","messages":[{"role":"user","content":VALUE}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":VALUE}]}]}"#,
        r#"{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":VALUE}}]}"#,
        r#"{"model":"m","response_format":{"type":"json_schema","json_schema":{"schema":{"const":VALUE}}}}"#,
        r#"{"model":"m","input":[VALUE,"and",VALUE]}"#,
    ];
    for values in VALUES {
        for place in places {
            all_differ(&values.iter().map(|value| place.replace("VALUE", value)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn names_that_are_nearly_the_same_have_different_keys() {
    for values in VALUES {
        let names: Vec<_> = values.iter().filter(|value| value.starts_with('"')).collect();
        all_differ(&names.iter().map(|name| format!(r#"{{{name}:1}}"#)).collect::<Vec<_>>());
        all_differ(&names.iter().map(|name| format!(r#"{{"x":{{{name}:1}}}}"#)).collect::<Vec<_>>());
    }
}

#[test]
fn chats_that_are_nearly_the_same_have_different_keys() {
    for pieces in CHATS {
        let mut bodies: Vec<_> = pieces.iter().map(|piece| format!(r#"{{"model":"m",{piece}}}"#)).collect();
        bodies.push(r#"{"model":"m"}"#.to_owned());
        all_differ(&bodies);
    }
}

#[test]
fn schemas_of_other_providers_keep_their_order_too() {
    use Question::*;
    for (question, one, other) in [
        (Message, r#""tools":[{"name":"f","input_schema":{"a":1,"b":2}}]"#, r#""tools":[{"name":"f","input_schema":{"b":2,"a":1}}]"#),
        (
            Response,
            r#""tools":[{"type":"function","parameters":{"a":1,"b":2}}]"#,
            r#""tools":[{"type":"function","parameters":{"b":2,"a":1}}]"#,
        ),
        (
            Content,
            r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{"a":1,"b":2}}]}]"#,
            r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{"b":2,"a":1}}]}]"#,
        ),
        (Content, r#""generationConfig":{"responseSchema":{"a":1,"b":2}}"#, r#""generationConfig":{"responseSchema":{"b":2,"a":1}}"#),
        (Content, r#""user":"a""#, r#""user":"b""#),
        (Message, r#""user":"a""#, r#""user":"b""#),
        (Content, r#""contents":[{"parts":[{"text":"a"},{"text":"b"}]}]"#, r#""contents":[{"parts":[{"text":"b"},{"text":"a"}]}]"#),
    ] {
        let key = |members: &str| key_of(question, format!(r#"{{"store":false,{members}}}"#)).unwrap();
        assert_ne!(key(one), key(other), "{question:?} {one}");
    }
}

#[test]
fn bodies_that_mean_the_same_share_a_key() {
    use Question::*;
    for (question, one, other) in [
        (Chat, r#"{"model":"m","n":1}"#, " {\r\n\t\"model\" : \"m\" ,\n \"n\" :\t1 } \n"),
        (Chat, r#"{"model":"m","n":1}"#, r#"{"n":1,"model":"m"}"#),
        (Chat, r#"{"model":"gé/😀"}"#, r#"{"\u006dod\u0065l":"g\u00e9\/\ud83D\uDe00"}"#),
        (Chat, r#"{"x":"\"\\\b\f\n\r\t"}"#, r#"{"x":"\u0022\u005c\u0008\u000C\u000a\u000d\u0009"}"#),
        (Chat, r#"{"n":1}"#, r#"{"n":1.0}"#),
        (Chat, r#"{"n":1}"#, r#"{"n":1e0}"#),
        (Chat, r#"{"n":1}"#, r#"{"n":0.01E+2}"#),
        (Chat, r#"{"n":100}"#, r#"{"n":1e2}"#),
        (Chat, r#"{"n":-100}"#, r#"{"n":-1.00e2}"#),
        (Chat, r#"{"n":0.7}"#, r#"{"n":7.0e-1}"#),
        (Chat, r#"{"n":0}"#, r#"{"n":0.000}"#),
        (Chat, r#"{"n":0}"#, r#"{"n":0e7}"#),
        (Chat, r#"{"n":999999999999999}"#, r#"{"n":999999999999999.0}"#),
        (Chat, r#"{"messages":[{"role":"user","content":"a"}]}"#, r#"{"messages":[{"content":"a","role":"user"}]}"#),
        (
            Chat,
            r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:,","detail":"low"}}]}]}"#,
            r#"{"messages":[{"content":[{"image_url":{"detail":"low","url":"data:,"},"type":"image_url"}]}]}"#,
        ),
        (
            Chat,
            r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"a":1}}}]}"#,
            r#"{"tools":[{"function":{"parameters":{"a":1},"name":"f"},"type":"function"}]}"#,
        ),
        (Chat, r#"{"functions":[{"name":"f","parameters":{}}]}"#, r#"{"functions":[{"parameters":{},"name":"f"}]}"#),
        (
            Chat,
            r#"{"model":"m"}"#,
            r#"{"model":"m","user":"u","safety_identifier":"s","metadata":{"a":[1]},"prompt_cache_key":"k","prompt_cache_retention":"24h","service_tier":"flex","store":false}"#,
        ),
        (Chat, r#"{"model":"m","user":1}"#, r#"{"us\u0065r":null,"model":"m","store":null}"#),
        (Message, r#"{"model":"m"}"#, r#"{"model":"m","metadata":{"user_id":"u"},"service_tier":"auto"}"#),
        (
            Message,
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"a"}]}]}]}"#,
            r#"{"messages":[{"content":[{"content":[{"text":"a","type":"text"}],"type":"tool_result"}],"role":"user"}]}"#,
        ),
        (Message, r#"{"tools":[{"name":"f","input_schema":{}}]}"#, r#"{"tools":[{"input_schema":{},"name":"f"}]}"#),
        (
            Response,
            r#"{"input":[{"role":"user","content":"a"}],"store":false}"#,
            r#"{"store":false,"input":[{"content":"a","role":"user"}]}"#,
        ),
        (
            Content,
            r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"m","data":"d"}}]}],"generationConfig":{"temperature":1,"topK":2}}"#,
            r#"{"generationConfig":{"topK":2.0,"temperature":1.0},"contents":[{"parts":[{"inlineData":{"data":"d","mimeType":"m"}}],"role":"user"}]}"#,
        ),
        (
            ContentEmbedding,
            r#"{"requests":[{"model":"m","content":{"parts":[{"text":"a"}],"role":"user"}}]}"#,
            r#"{"requests":[{"content":{"role":"user","parts":[{"text":"a"}]},"model":"m"}]}"#,
        ),
    ] {
        let (one_key, other_key) = (key_of(question, one), key_of(question, other));
        assert!(one_key.is_ok(), "{one_key:?} {one}");
        assert_eq!(one_key, other_key, "{question:?}\n{one}\n{other}");
    }
}
