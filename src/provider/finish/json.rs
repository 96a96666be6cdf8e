//! JSON that is read for a few of its members. An object is an object, a list is told element by element and never kept, and a
//! member that stands there twice makes all of it unreadable.

use std::{borrow::Cow, fmt, marker::PhantomData};

use memchr::memchr2;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::found::Found;

/// Reads an object, which is all there is.
pub(super) fn object<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Option<T> {
    serde_json::from_slice::<Object<T>>(json).ok().map(|object| object.0)
}

/// Reads a list, which is all there is.
pub(super) fn list<'de, T: Deserialize<'de> + Tell>(json: &'de [u8]) -> Option<Each<T>> {
    serde_json::from_slice(json).ok()
}

/// The `type` of an event that begins with it, as the providers' do; read without what follows it.
pub(super) fn kind(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(b"{\"type\":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr2(b'"', b'\\', rest).filter(|end| rest[*end] == b'"')?;
    Some(&rest[..end])
}

/// A string.
#[derive(Deserialize)]
pub(super) struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The string, if there is one.
pub(super) fn str<'t>(text: Option<&'t Text<'_>>) -> Option<&'t str> {
    text.map(Text::as_str)
}

/// An object and nothing else: a list would be taken for one without names.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// What says something of an end.
pub(super) trait Tell {
    fn tell(&self, found: &mut Found);
}

impl<T: Tell> Tell for Object<T> {
    fn tell(&self, found: &mut Found) {
        self.0.tell(found);
    }
}

/// What may be anything says nothing.
impl Tell for IgnoredAny {
    fn tell(&self, _: &mut Found) {}
}

/// A list: what its elements say together.
pub(super) struct Each<T> {
    pub(super) found: Found,
    pub(super) is_empty: bool,
    element: PhantomData<T>,
}

impl<'de, T: Deserialize<'de> + Tell> Deserialize<'de> for Each<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Tell> Visitor<'de> for Elements<T> {
            type Value = Each<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Each<T>, A::Error> {
                let mut each = Each { found: Found::default(), is_empty: true, element: PhantomData };
                while let Some(element) = list.next_element::<T>()? {
                    element.tell(&mut each.found);
                    each.is_empty = false;
                }
                Ok(each)
            }
        }

        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

/// Whether a value says something: anything but null, false, nothing, an empty text, list or object. It is what SDKs go by.
#[derive(Clone, Copy, Default)]
pub(super) struct Given(pub(super) bool);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Given, E> {
        Ok(Given(false))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Given, E> {
        Ok(Given(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Given, E> {
        Ok(Given(number != 0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Given, E> {
        Ok(Given(true))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Given, E> {
        Ok(Given(true))
    }

    fn visit_str<E>(self, text: &str) -> Result<Given, E> {
        Ok(Given(!text.is_empty()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Given, A::Error> {
        let given = list.next_element::<IgnoredAny>()?.is_some();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Given(given))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let given = map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some();
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Given(given))
    }
}
