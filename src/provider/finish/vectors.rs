//! Embeddings and moderations: numbers, which are there or not. They have no streams. API references as of 2026-11.

use serde::Deserialize;

use super::{
    found::Found,
    json::{self, Each, Given, Object, Tell, Text},
};
use crate::types::Question;

#[derive(Deserialize)]
struct Openai<'o> {
    #[serde(default)]
    error: Given,
    #[serde(borrow, default)]
    object: Option<Text<'o>>,
    #[serde(default)]
    data: Option<Each<Object<Embedding>>>,
    #[serde(default)]
    results: Option<Each<Object<Judgement>>>,
}

/// A list of numbers, or a text that encodes it.
#[derive(Deserialize)]
struct Embedding {
    #[serde(default)]
    embedding: Given,
}

#[derive(Deserialize)]
struct Judgement {
    #[serde(default)]
    categories: Given,
}

#[derive(Deserialize)]
struct Gemini {
    #[serde(default)]
    error: Given,
    #[serde(default)]
    embedding: Option<Object<Values>>,
    #[serde(default)]
    embeddings: Option<Each<Object<Values>>>,
}

#[derive(Deserialize)]
struct Values {
    #[serde(default)]
    values: Given,
}

impl Tell for Embedding {
    fn tell(&self, found: &mut Found) {
        found.unclear |= !self.embedding.0;
    }
}

impl Tell for Judgement {
    fn tell(&self, found: &mut Found) {
        found.unclear |= !self.categories.0;
    }
}

impl Tell for Values {
    fn tell(&self, found: &mut Found) {
        found.unclear |= !self.values.0;
    }
}

/// Takes OpenAI's answer to this question. `None` if it can't be read.
pub(super) fn openai(question: Question, json: &[u8], found: &mut Found) -> Option<()> {
    let reply: Openai<'_> = json::object(json)?;
    found.error |= reply.error.0 || json::str(reply.object.as_ref()) == Some("error");
    let told = match question {
        Question::Embedding => reply.data.filter(|data| !data.is_empty).map(|data| data.found),
        _ => reply.results.filter(|results| !results.is_empty).map(|results| results.found),
    };
    conclude(told, found)
}

/// Takes Gemini's embeddings: of one content, or of several. `None` if they can't be read.
pub(super) fn gemini(json: &[u8], found: &mut Found) -> Option<()> {
    let reply: Gemini = json::object(json)?;
    found.error |= reply.error.0;
    let one = reply.embedding.map(|one| {
        let mut found = Found::default();
        one.tell(&mut found);
        found
    });
    let several = reply.embeddings.filter(|several| !several.is_empty).map(|several| several.found);
    conclude(one.or(several), found)
}

fn conclude(told: Option<Found>, found: &mut Found) -> Option<()> {
    match told {
        Some(told) => {
            found.join(&told);
            found.end();
        }
        None => found.unclear = true,
    }
    Some(())
}
