//! A serde deserializer over the tree. Its errors carry the path to the node they are about.

use std::{fmt, slice};

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};

use super::{
    path::{FieldPath, Step},
    source::{Entry, Node, Scalar, Value},
};

/// What serde found wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A field that does not exist; the path leads to it.
    Unknown { field: String, known: &'static [&'static str] },
    /// A field that must be there; the path leads to what it is missing from.
    Missing { field: &'static str },
    /// A word that is none of the known ones.
    Variant { variant: String, known: &'static [&'static str] },
    /// A value of another kind than the field takes.
    Type { expected: String },
    /// What a type of ours says about a name.
    Name(String),
    /// What a type of ours says about a value.
    Custom(String),
}

/// An error with the way to it, innermost step first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Error {
    pub(super) kind: Kind,
    steps: Vec<Step>,
}

impl Error {
    fn new(kind: Kind) -> Self {
        Self { kind, steps: Vec::new() }
    }

    fn behind(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The path to the node the error is about.
    pub(super) fn path(&self) -> FieldPath {
        FieldPath(self.steps.iter().rev().cloned().collect())
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(Kind::Custom(text.to_string()))
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Kind::Type { expected: in_words(&expected.to_string()) })
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Kind::Type { expected: in_words(&expected.to_string()) })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::Unknown { field: field.to_owned(), known })
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::Variant { variant: variant.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::Missing { field })
    }
}

/// serde's names of Rust types, as an operator would say them.
fn in_words(expected: &str) -> String {
    match expected {
        "a nonzero usize" | "a nonzero u32" => "a whole number above zero".to_owned(),
        "u16" | "u32" | "u64" | "usize" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" => "a text".to_owned(),
        other => other.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.kind, self.path())
    }
}

impl std::error::Error for Error {}

/// Reads one node. A field asks for a type, and a plain scalar is read as that: `5` is a text where a text is asked for.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'t> {
    node: &'t Node,
}

impl<'t> Decoder<'t> {
    pub(super) fn new(node: &'t Node) -> Self {
        Self { node }
    }

    /// The scalar's text, where it is not nothing.
    fn text(self, expected: &str) -> Result<&'t Scalar, Error> {
        match &self.node.value {
            Value::Scalar(scalar) if !scalar.is_null() => Ok(scalar),
            _ => Err(Error::new(Kind::Type { expected: expected.to_owned() })),
        }
    }

    /// The scalar as a number or a truth value.
    fn plain<T: std::str::FromStr>(self, expected: &str) -> Result<T, Error> {
        let parsed = self.text(expected)?;
        let parsed = Some(parsed).filter(|scalar| scalar.may_be_number()).and_then(|scalar| scalar.text.parse().ok());
        parsed.ok_or_else(|| Error::new(Kind::Type { expected: expected.to_owned() }))
    }

    fn is_null(self) -> bool {
        matches!(&self.node.value, Value::Scalar(scalar) if scalar.is_null())
    }
}

/// The numeric types of serde, each read from a plain scalar.
macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty => $words:literal),* $(,)?) => {
        $(fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.plain::<$type>($words)?)
        })*
    };
}

impl<'t> Deserializer<'t> for Decoder<'t> {
    type Error = Error;

    numbers! {
        deserialize_bool visit_bool bool => "`true` or `false`",
        deserialize_u8 visit_u8 u8 => "a whole number",
        deserialize_u16 visit_u16 u16 => "a whole number",
        deserialize_u32 visit_u32 u32 => "a whole number",
        deserialize_u64 visit_u64 u64 => "a whole number",
        deserialize_i64 visit_i64 i64 => "a whole number",
        deserialize_f64 visit_f64 f64 => "a number",
    }

    /// Only values that may be written in several ways ask for no type; for those a scalar is its text.
    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.is_null() => visitor.visit_unit(),
            Value::Scalar(scalar) => visitor.visit_borrowed_str(&scalar.text),
            Value::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Map(entries) => visitor.visit_map(Fields { entries: entries.iter(), current: None }),
        }
    }

    fn deserialize_str<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(&self.text("a text")?.text)
    }

    fn deserialize_string<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A list whose items are all commented out is an empty one.
    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            _ if self.is_null() => visitor.visit_seq(Items([].iter().enumerate())),
            _ => Err(Error::new(Kind::Type { expected: "a list".to_owned() })),
        }
    }

    /// A section whose fields are all commented out is an empty one.
    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Fields { entries: entries.iter(), current: None }),
            _ if self.is_null() => visitor.visit_map(Fields { entries: [].iter(), current: None }),
            _ => Err(Error::new(Kind::Type { expected: "fields".to_owned() })),
        }
    }

    fn deserialize_struct<V: Visitor<'t>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'t>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let text: StrDeserializer<'_, Error> = self.text("a word")?.text.as_str().into_deserializer();
        visitor.visit_enum(text)
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <W: Visitor<'t>>
        i8 i16 i32 i128 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

/// The items of a list that are not pruned; errors name their place among all.
struct Items<'t>(std::iter::Enumerate<slice::Iter<'t, Node>>);

impl<'t> SeqAccess<'t> for Items<'t> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.0.find(|(_, node)| !node.pruned) else { return Ok(None) };
        seed.deserialize(Decoder { node }).map(Some).map_err(|error| error.behind(Step::Item(index)))
    }
}

/// The fields of a map that are not pruned.
struct Fields<'t> {
    entries: slice::Iter<'t, Entry>,
    current: Option<&'t Entry>,
}

impl<'t> MapAccess<'t> for Fields<'t> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self.entries.find(|entry| !entry.node.pruned);
        let Some(entry) = self.current else { return Ok(None) };
        let key: StrDeserializer<'t, Error> = entry.key.as_str().into_deserializer();
        let read = seed.deserialize(key).map_err(|mut error| {
            if let Kind::Custom(text) = error.kind {
                error.kind = Kind::Name(text);
            }
            error.behind(Step::Field(entry.key.as_str().into()))
        });
        read.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        // invariant: serde asks for a value only after the key that `next_key_seed` gave.
        let Some(entry) = self.current else { return Err(de::Error::custom("a value without a name")) };
        seed.deserialize(Decoder { node: &entry.node }).map_err(|error| error.behind(Step::Field(entry.key.as_str().into())))
    }
}
