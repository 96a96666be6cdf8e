//! What is put into a request, between bytes that stay as they are: `stream_options.include_usage`, without which OpenAI's streams
//! of chat completions do not tell what they used, and the name that a target has for the model.

use std::{borrow::Cow, ops::Range};

use bytes::{Bytes, BytesMut};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Bytes to be put into a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// What they take the place of.
    at: Range<usize>,
    with: &'static str,
}

impl Splice {
    /// The body with these bytes in it.
    #[must_use]
    pub fn apply(&self, body: &[u8]) -> Bytes {
        let mut spliced = BytesMut::with_capacity(body.len() + self.with.len());
        spliced.extend_from_slice(&body[..self.at.start]);
        spliced.extend_from_slice(self.with.as_bytes());
        spliced.extend_from_slice(&body[self.at.end..]);
        spliced.freeze()
    }

    /// Where something stands behind it that stood at `place` before and is no part of what it replaces.
    #[must_use]
    pub fn moved(&self, place: &Range<usize>) -> Range<usize> {
        if place.start < self.at.start {
            return place.clone();
        }
        let moved = |at: usize| at + self.with.len() - self.at.len();
        moved(place.start)..moved(place.end)
    }
}

/// What makes a stream tell its usage: `body` is a JSON object, and the value of its `stream_options` stands at the place that
/// was read. `None` if the client has asked for it already, or if the value is none that could be added to: its provider says so.
#[must_use]
pub fn include_usage(body: &[u8], stream_options: Option<&Range<usize>>) -> Option<Splice> {
    let Some(place) = stream_options else {
        let open = body.iter().position(|byte| *byte == b'{')? + 1;
        let with = match is_empty(&body[open..]) {
            true => r#""stream_options":{"include_usage":true}"#,
            false => r#""stream_options":{"include_usage":true},"#,
        };
        return Some(Splice { at: open..open, with });
    };
    let value = body.get(place.clone())?;
    if value == b"null" {
        return Some(Splice { at: place.clone(), with: r#"{"include_usage":true}"# });
    }
    let Options(told) = serde_json::from_slice(value).ok()?;
    match told {
        Some("false" | "null") => {
            let told = told?;
            let start = place.start + (told.as_ptr() as usize).checked_sub(value.as_ptr() as usize)?;
            Some(Splice { at: start..start + told.len(), with: "true" })
        }
        Some(_) => None,
        None => {
            let open = place.start + 1;
            let with = if is_empty(&value[1..]) { r#""include_usage":true"# } else { r#""include_usage":true,"# };
            Some(Splice { at: open..open, with })
        }
    }
}

/// The body with this name in the place of its model's. `at` is where that value stands, quotation marks included.
#[must_use]
pub fn model(body: &[u8], at: &Range<usize>, name: &str) -> Bytes {
    let (Some(before), Some(behind)) = (body.get(..at.start), body.get(at.end..)) else { return Bytes::copy_from_slice(body) };
    // A text is always JSON.
    let value = serde_json::Value::from(name).to_string();
    let mut spliced = BytesMut::with_capacity(before.len() + value.len() + behind.len());
    for part in [before, value.as_bytes(), behind] {
        spliced.extend_from_slice(part);
    }
    spliced.freeze()
}

/// Whether an object ends here, behind its opening brace.
fn is_empty(rest: &[u8]) -> bool {
    rest.trim_ascii_start().first() == Some(&b'}')
}

/// What the options say of `include_usage`, as it stands there. One that stands there twice makes no options.
struct Options<'o>(Option<&'o str>);

impl<'de> Deserialize<'de> for Options<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Options<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut told = None;
                while let Some(Name(name)) = map.next_key()? {
                    let value: &RawValue = map.next_value()?;
                    if name == "include_usage" && told.replace(value.get()).is_some() {
                        return Err(serde::de::Error::duplicate_field("include_usage"));
                    }
                }
                Ok(Options(told))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[derive(Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::reader;

    fn spliced(body: &str) -> Option<String> {
        let ask = reader::read(body.as_bytes()).unwrap();
        let splice = include_usage(body.as_bytes(), ask.stream_options.as_ref())?;
        Some(String::from_utf8(splice.apply(body.as_bytes()).to_vec()).unwrap())
    }

    #[test]
    fn usage_is_asked_for_and_nothing_else_changes() {
        for (body, expected) in [
            (r#"{"model":"m","stream":true}"#, r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#),
            (" \n{ \"a\" : 1.50 } ", " \n{\"stream_options\":{\"include_usage\":true}, \"a\" : 1.50 } "),
            ("{ }", r#"{"stream_options":{"include_usage":true} }"#),
            (r#"{"stream_options": null ,"a":"é"}"#, r#"{"stream_options": {"include_usage":true} ,"a":"é"}"#),
            (r#"{"stream_options":{}}"#, r#"{"stream_options":{"include_usage":true}}"#),
            (r#"{"stream_options":{ "x":[1] }}"#, r#"{"stream_options":{"include_usage":true, "x":[1] }}"#),
            (r#"{"stream_options":{"include_usage" : false}}"#, r#"{"stream_options":{"include_usage" : true}}"#),
            (r#"{"stream_options":{"include_us\u0061ge":null,"x":1}}"#, r#"{"stream_options":{"include_us\u0061ge":true,"x":1}}"#),
        ] {
            assert_eq!(spliced(body).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn the_model_is_renamed_where_it_stands() {
        for (body, expected) in [
            (r#"{"model":"m","x":1.50}"#, r#"{"model":"a\"b","x":1.50}"#),
            (r#" { "x":{"model":"m"} , "mod\u0065l" : "\u006d" } "#, r#" { "x":{"model":"m"} , "mod\u0065l" : "a\"b" } "#),
        ] {
            let at = reader::read(body.as_bytes()).unwrap().model_at.unwrap();
            assert_eq!(model(body.as_bytes(), &at, "a\"b"), expected, "{body}");
        }
        for body in ["{}", r#"{"model":null}"#, r#"{"model":["m"]}"#] {
            assert_eq!(reader::read(body.as_bytes()).unwrap().model_at, None, "{body}");
        }
        assert_eq!(model(b"{}", &(3..9), "m"), "{}");
    }

    #[test]
    fn who_has_asked_or_asks_nonsense_is_left_alone() {
        for body in [
            r#"{"stream_options":{"include_usage":true}}"#,
            r#"{"stream_options":{"include_usage":"yes"}}"#,
            r#"{"stream_options":{"include_usage":false,"include_usage":false}}"#,
            r#"{"stream_options":[]}"#,
            r#"{"stream_options":"x"}"#,
            r#"{"stream_options":7}"#,
        ] {
            assert_eq!(spliced(body), None, "{body}");
        }
    }

    fn json_value() -> BoxedStrategy<Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from)
        ];
        let name = || prop_oneof![Just("include_usage".to_owned()), Just("stream_options".to_owned()), ".{0,4}"];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(name(), inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
        .boxed()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_body_is_the_same_but_for_that_member(
            members in prop::collection::btree_map(".{0,4}", json_value(), 0..5),
            options in prop_oneof![Just(None), json_value().prop_map(Some), any::<Option<bool>>().prop_map(|told| Some(json!({ "include_usage": told })))],
            pretty: bool,
        ) {
            let mut body: serde_json::Map<String, Value> = members.into_iter().filter(|(name, _)| name != "n").collect();
            body.extend(options.map(|options| ("stream_options".to_owned(), options)));
            let text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { serde_json::to_string(&body).unwrap() };
            let Some(text) = spliced(&text) else { return Ok(()) };
            let mut found: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&found["stream_options"]["include_usage"], &Value::Bool(true));
            match body.get("stream_options") {
                None | Some(Value::Null) => {
                    found["stream_options"].as_object_mut().unwrap().remove("include_usage");
                    prop_assert_eq!(&found["stream_options"], &json!({}));
                    found.as_object_mut().unwrap().remove("stream_options");
                    body.remove("stream_options");
                }
                Some(options) => match options.get("include_usage") {
                    Some(told) => found["stream_options"]["include_usage"] = told.clone(),
                    None => drop(found["stream_options"].as_object_mut().unwrap().remove("include_usage")),
                },
            }
            prop_assert_eq!(found, Value::Object(body));
        }

        #[test]
        fn the_body_is_the_same_but_for_its_model(
            members in prop::collection::btree_map(".{0,4}", json_value(), 0..5),
            (old, new) in (".{0,6}", ".{0,6}"),
            pretty: bool,
        ) {
            let mut body: serde_json::Map<String, Value> = members.into_iter().filter(|(name, _)| name != "n").collect();
            body.insert("model".to_owned(), old.clone().into());
            let text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { serde_json::to_string(&body).unwrap() };
            let ask = reader::read(text.as_bytes()).unwrap();
            prop_assert_eq!(ask.model.as_deref(), Some(&*old));
            let renamed = model(text.as_bytes(), &ask.model_at.unwrap(), &new);
            body.insert("model".to_owned(), new.clone().into());
            prop_assert_eq!(serde_json::from_slice::<Value>(&renamed).unwrap(), Value::Object(body));
            let read = reader::read(&renamed).unwrap();
            prop_assert_eq!(read.model.as_deref(), Some(&*new));
        }

        #[test]
        fn no_input_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..60), start in 0..70_usize, length in 0..70_usize) {
            let place = start..start + length;
            if let Some(splice) = include_usage(&body, Some(&place)) {
                let _ = splice.apply(&body);
            }
            let _ = model(&body, &place, "m");
            let _ = include_usage(&body, None).map(|splice| splice.apply(&body));
        }
    }
}
