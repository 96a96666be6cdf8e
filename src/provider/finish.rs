//! Whether a reply is over and says that all of it went well: only such a one may answer somebody else.
//!
//! It is read beside its way down, frame by frame. Most events of a stream say nothing of an end: a search for the few words that
//! could tells them apart, and only what holds one of those is parsed. What a model writes stands inside of strings, where no
//! search of a whole name finds it as a member; and what a search does find, the parser puts into its place.
//!
//! Whatever is not understood, too long, or there twice is never good: then the reply is passed on and forgotten.

mod anthropic;
mod choices;
mod found;
mod gemini;
mod json;
mod responses;
mod vectors;

use self::found::Found;
use super::sse::{self, Splitter};
use crate::types::{Ending, Question, RequestFormat};

pub use super::verdict::is_callers_own;

/// What closes OpenAI's streams; it is no JSON.
const DONE: &[u8] = b"[DONE]";

/// What a reply comes as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Server-sent events.
    Events,
    /// One JSON value.
    Json,
}

/// Reads how one reply ends. It holds no more of a stream than [`sse::LONGEST`].
#[derive(Debug)]
pub struct Finish {
    format: RequestFormat,
    question: Question,
    media: Media,
    splitter: Splitter,
    found: Found,
}

impl Finish {
    /// For the reply to this question, which comes decoded.
    #[must_use]
    pub fn of(format: RequestFormat, question: Question, media: Media) -> Self {
        Self { format, question, media, splitter: Splitter::default(), found: Found::default() }
    }

    /// Takes the next bytes of a stream, wherever they are split.
    pub fn push(&mut self, data: &[u8]) {
        // What is lost stays so, whatever comes.
        if self.media != Media::Events || self.found.is_lost() {
            return;
        }
        let Self { format, question, splitter, found, .. } = self;
        splitter.push(data, |event| look(event, (*format, *question), found));
        self.found.unclear |= self.splitter.has_skipped();
    }

    /// Takes the whole of a JSON body.
    pub fn body(&mut self, whole: &[u8]) {
        if self.media != Media::Json {
            return;
        }
        let mut found = Found::default();
        let read = match (self.format, self.question) {
            (RequestFormat::Openai, Question::Chat | Question::Completion) => choices::object(whole, &mut found),
            (RequestFormat::Openai, Question::Response) => responses::object(whole, &mut found),
            (RequestFormat::Openai, Question::Embedding | Question::Moderation) => vectors::openai(self.question, whole, &mut found),
            (RequestFormat::Anthropic, Question::Message) => anthropic::object(whole, &mut found),
            (RequestFormat::Gemini, Question::Content) => gemini::body(whole, &mut found),
            (RequestFormat::Gemini, Question::ContentEmbedding) => vectors::gemini(whole, &mut found),
            _ => None,
        };
        // What a parser steps over it does not look at (RFC 8259 §8.1).
        found.unclear |= read.is_none() || std::str::from_utf8(whole).is_err();
        found.over = true;
        self.found = found;
    }

    /// How the reply has ended, by what has come of it until now.
    #[must_use]
    pub fn ending(&self) -> Ending {
        // Gemini's streams have no last event: the last that came has to end all that was begun.
        let over = self.found.over || self.media == Media::Events && self.question == Question::Content;
        let cut = self.media == Media::Events && !self.splitter.is_between_events();
        self.found.ending(over && !cut)
    }
}

/// Looks at one event of a stream.
fn look(event: &[u8], (format, question): (RequestFormat, Question), found: &mut Found) {
    if found.is_lost() {
        return;
    }
    let name = if event.starts_with(b"data:") && memchr::memchr2(b'\n', b'\r', event).is_none() { None } else { sse::name(event) };
    if name.is_some_and(|name| name.trim_ascii() == b"error") {
        found.error = true;
        return;
    }
    let Some(data) = sse::data(event) else { return };
    let data = data.trim_ascii();
    if data.is_empty() {
        return;
    }
    if found.over {
        // Some close a stream of responses as they close all others.
        let closes = question == Question::Response && data == DONE && !found.closed;
        found.unclear |= !closes;
        found.closed |= closes;
        return;
    }
    let is_object = data.starts_with(b"{") && data.ends_with(b"}");
    let read = match (format, question) {
        (RequestFormat::Openai, Question::Chat | Question::Completion) if data == DONE => {
            found.over = true;
            Some(())
        }
        _ if !is_object => None,
        (RequestFormat::Openai, Question::Chat | Question::Completion) => choices::event(data, found),
        (RequestFormat::Openai, Question::Response) => responses::event(name, data, found),
        (RequestFormat::Anthropic, Question::Message) => anthropic::event(name, data, found),
        (RequestFormat::Gemini, Question::Content) => gemini::object(data, found),
        _ => None,
    };
    found.unclear |= read.is_none();
}

#[cfg(test)]
mod tests;
