//! Tool calls: which tool, with arguments made up to fit its JSON Schema.

use serde_json::{Map, Value, json};

use crate::simulator::text::{Author, Text};

/// Schemas nested deeper than this get empty objects.
const DEPTH: usize = 8;

/// Characters of the arguments in one token.
const PIECE: usize = 4;

/// A call of a function.
pub(crate) struct ToolCall {
    /// What the result must refer to.
    pub(crate) id: String,
    /// The function's name.
    pub(crate) name: String,
    /// Its arguments: a JSON object as text, a piece a token.
    pub(crate) arguments: Vec<String>,
}

/// What the provider says: words, or a call.
pub(crate) enum Said {
    Words(Text),
    Call(ToolCall),
}

impl Said {
    /// A call where one is wanted, else words, no more of them than `most`.
    pub(crate) fn new(call: Option<ToolCall>, most: Option<usize>, author: &mut Author) -> Self {
        call.map_or_else(|| Self::Words(author.write(most)), Self::Call)
    }

    /// What a stream sends one by one.
    pub(crate) fn tokens(&self) -> &[String] {
        match self {
            Self::Words(text) => &text.tokens,
            Self::Call(call) => &call.arguments,
        }
    }

    /// The text, or the arguments.
    pub(crate) fn joined(&self) -> String {
        self.tokens().concat()
    }
}

/// Calls a tool where `tools` offers one and `choice` allows it; `None` means that words are wanted.
///
/// Takes both shapes of a tool: `{"type":"function","function":{…}}` of chat completions, and the flat one of responses.
pub(crate) fn call(tools: &Value, choice: &Value, author: &mut Author) -> Option<ToolCall> {
    if choice == "none" {
        return None;
    }
    let function = |tool: &'_ Value| tool.get("function").unwrap_or(tool).clone();
    let wanted = choice.is_object().then(|| function(choice)["name"].clone());
    let mut functions = tools.as_array()?.iter().filter(|tool| tool["type"] == "function").map(function);
    let function = functions.find(|function| wanted.as_ref().is_none_or(|name| function["name"] == *name))?;
    let arguments = match sample(&function["parameters"], author, 0) {
        Value::Object(arguments) => Value::Object(arguments),
        _ => json!({}),
    };
    Some(ToolCall { id: author.id("call_"), name: function["name"].as_str()?.to_owned(), arguments: pieces(&arguments.to_string()) })
}

/// A value that `schema` allows, as far as its `enum`, `type`, `properties` and `items` say.
fn sample(schema: &Value, author: &mut Author, depth: usize) -> Value {
    if let Some(values) = schema["enum"].as_array().filter(|values| !values.is_empty()) {
        return values[author.dice.usize(..values.len())].clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("string") => author.choose(&["Lisbon", "Oslo", "Kyoto", "Zürich"]).into(),
        Some("integer") => author.dice.u32(1..10).into(),
        Some("number") => (f64::from(author.dice.u32(1..100)) / 4.0).into(),
        Some("boolean") => author.dice.bool().into(),
        Some("array") => Value::Array(vec![sample(&schema["items"], author, depth + 1)]),
        Some("object") | None if depth < DEPTH => object(schema, author, depth),
        Some("null") => Value::Null,
        _ => json!({}),
    }
}

fn object(schema: &Value, author: &mut Author, depth: usize) -> Value {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fields: Map<String, Value> = properties.map(|(name, schema)| (name.clone(), sample(schema, author, depth + 1))).collect();
    fields.into()
}

/// `text` in pieces of some characters; a character is never cut in two.
fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(PIECE).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> Author {
        Author::new(1, 10, &Value::Null)
    }

    #[test]
    fn arguments_fit_the_schema_and_their_pieces_make_the_whole() {
        let schema = json!({ "type": "object", "properties": {
            "city": { "type": "string" },
            "unit": { "type": "string", "enum": ["celsius"] },
            "days": { "type": ["integer", "null"] },
            "where": { "type": "object", "properties": { "near": { "type": "array", "items": { "type": "boolean" } } } },
        }});
        let tools = json!([{ "type": "function", "function": { "name": "weather", "parameters": schema } }]);
        let call = call(&tools, &Value::Null, &mut author()).unwrap();
        assert_eq!(call.name, "weather");
        let arguments: Value = serde_json::from_str(&call.arguments.concat()).unwrap();
        assert!(arguments["city"].is_string() && arguments["days"].is_u64() && arguments["where"]["near"][0].is_boolean(), "{arguments}");
        assert_eq!(arguments["unit"], "celsius");
    }

    #[test]
    fn the_choice_is_obeyed() {
        let tools = json!([{ "type": "function", "name": "a" }, { "type": "function", "name": "b" }]);
        let name = |choice: Value| call(&tools, &choice, &mut author()).map(|call| call.name);
        assert_eq!(name(json!("none")), None);
        assert_eq!(name(json!("auto")).as_deref(), Some("a"));
        assert_eq!(name(json!("required")).as_deref(), Some("a"));
        assert_eq!(name(json!({ "type": "function", "name": "b" })).as_deref(), Some("b"));
        assert_eq!(name(json!({ "type": "function", "function": { "name": "b" } })).as_deref(), Some("b"));
        assert_eq!(name(json!({ "type": "function", "name": "c" })), None);
    }

    #[test]
    fn a_schema_that_never_ends_does() {
        let mut schema = json!({});
        for _ in 0..100 {
            schema = json!({ "type": "object", "properties": { "deeper": schema } });
        }
        let tools = json!([{ "type": "function", "name": "a", "parameters": schema }]);
        assert!(call(&tools, &Value::Null, &mut author()).is_some());
    }
}
