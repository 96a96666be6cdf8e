//! What the members of a question mean to a cache: which make no difference, which forbid an answer from a cache, and where
//! the order of members is known to mean nothing.
//!
//! The fields are those of the providers' API references as of 2026-11. A member that is not known counts, in its order.

use super::{
    bypass::Bypass,
    json::{Quoted, Text},
    number::is_zero,
};
use crate::{config::Determinism, types::Question};

/// Members of OpenAI's requests that change who is billed, watched or served first, and nothing in the answer. `store` is told by
/// [`Asked::kept`].
const UNCOUNTED: [&[u8]; 6] = [b"user", b"safety_identifier", b"metadata", b"prompt_cache_key", b"prompt_cache_retention", b"service_tier"];

/// The same of Anthropic's.
const UNCOUNTED_IN_MESSAGES: [&[u8]; 2] = [b"metadata", b"service_tier"];

/// Where a value stands, which says what its members mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The whole body, or one of the requests of a batch.
    Top,
    /// A message, an item, or a part of one.
    Said,
    /// What a part shows: text, bytes, or where to find them.
    Shown,
    /// A tool that the model may ask for.
    Tool,
    /// The description of a function.
    Function,
    /// Gemini's `generationConfig`.
    Settings,
    /// What the answer is to be: words, sound or images.
    Modalities,
    /// Anywhere else: in schemas, arguments, and whatever is not known. Order and spelling of numbers count.
    Anywhere,
}

/// A member of an object whose order means nothing.
pub(super) struct Member<'m> {
    pub(super) name: &'m [u8],
    /// As it stands there, checked.
    pub(super) value: &'m [u8],
}

impl Member<'_> {
    /// `null` says as little as no member at all: it is the default, not a use.
    fn is_used(&self) -> bool {
        self.value != b"null"
    }

    fn is_number(&self) -> bool {
        matches!(self.value.first(), Some(b'-' | b'0'..=b'9'))
    }

    fn is_object(&self) -> bool {
        self.value.first() == Some(&b'{')
    }

    /// Looks at its text if it is one.
    fn text<T>(&self, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let text = Text::new(self.value).string().ok()?;
        Some(look(&text.bytes()))
    }

    /// Whether it is the address of something that is not in the request itself.
    fn is_remote(&self) -> bool {
        self.text(|address| !starts_with(address, b"data:")).unwrap_or_default()
    }
}

/// Schemes of addresses are in any letters (RFC 3986 §3.1).
fn starts_with(address: &[u8], scheme: &[u8]) -> bool {
    address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// What is known of a question while it is read.
#[derive(Debug)]
pub(super) struct Asked {
    question: Question,
    /// Whether it says how the answer is to be picked, so that there is one.
    is_settled: bool,
    /// Whether it says that the provider need not keep the answer.
    is_forgotten: bool,
}

impl Asked {
    pub(super) fn new(question: Question) -> Self {
        Self { question, is_settled: question.has_one_answer(), is_forgotten: false }
    }

    /// Whether its answer may be kept, once all of it is read.
    pub(super) fn judged(&self, determinism: Determinism) -> Result<(), Bypass> {
        if self.question == Question::Response && !self.is_forgotten {
            // Responses are kept unless the request says otherwise.
            return Err(Bypass::Kept);
        }
        match determinism {
            Determinism::Strict if !self.is_settled => Err(Bypass::Drawn),
            Determinism::Strict | Determinism::Any => Ok(()),
        }
    }

    /// Where the value of a member of an object at `place` stands, or nothing if it makes no difference.
    pub(super) fn meets(&mut self, place: Place, member: &Member<'_>) -> Result<Option<Place>, Bypass> {
        match place {
            Place::Top => self.top(member),
            Place::Said => self.said(member).map(Some),
            Place::Shown => shown(member).map(Some),
            Place::Tool => self.tool(member).map(Some),
            Place::Settings => self.settings(member).map(Some),
            Place::Function | Place::Modalities | Place::Anywhere => Ok(Some(Place::Anywhere)),
        }
    }

    /// A text at `place` that is no member of an object there.
    pub(super) fn hears(&self, place: Place, text: Quoted<'_>) -> Result<(), Bypass> {
        let is_fit = place != Place::Modalities || text.bytes().eq_ignore_ascii_case(b"text");
        if is_fit { Ok(()) } else { Err(Bypass::Output) }
    }

    /// A number there. ProtoJSON takes numbers for the names of modalities.
    pub(super) fn counts(&self, place: Place) -> Result<(), Bypass> {
        if place == Place::Modalities { Err(Bypass::Output) } else { Ok(()) }
    }

    fn top(&mut self, member: &Member<'_>) -> Result<Option<Place>, Bypass> {
        match self.question {
            Question::Chat | Question::Completion | Question::Response | Question::Embedding | Question::Moderation => self.openai(member),
            Question::Message => self.anthropic(member),
            Question::Content | Question::ContentEmbedding => self.gemini(member).map(Some),
        }
    }

    fn openai(&mut self, member: &Member<'_>) -> Result<Option<Place>, Bypass> {
        if UNCOUNTED.contains(&member.name) {
            return Ok(None);
        }
        self.picks(member);
        let refusal = match member.name {
            b"store" => return self.kept(member).map(|()| None),
            b"previous_response_id" | b"conversation" => Bypass::Refers,
            // A template that is kept and may be edited; in older requests it is the text.
            b"prompt" if self.question == Question::Response => Bypass::Refers,
            b"background" if member.value != b"false" => Bypass::Background,
            // The last two are extensions by providers of the same format.
            b"web_search_options" | b"search_parameters" | b"plugins" => Bypass::Tools,
            b"audio" => Bypass::Output,
            b"modalities" => return Ok(Some(Place::Modalities)),
            b"messages" | b"input" => return Ok(Some(Place::Said)),
            b"tools" => return Ok(Some(Place::Tool)),
            b"functions" => return Ok(Some(Place::Function)),
            _ => return Ok(Some(Place::Anywhere)),
        };
        unless_null(member, refusal).map(Some)
    }

    fn anthropic(&mut self, member: &Member<'_>) -> Result<Option<Place>, Bypass> {
        if UNCOUNTED_IN_MESSAGES.contains(&member.name) {
            return Ok(None);
        }
        self.picks(member);
        match member.name {
            b"messages" | b"system" => Ok(Some(Place::Said)),
            b"tools" => Ok(Some(Place::Tool)),
            b"mcp_servers" => unless_null(member, Bypass::Tools).map(Some),
            b"container" => unless_null(member, Bypass::Refers).map(Some),
            _ => Ok(Some(Place::Anywhere)),
        }
    }

    /// Its fields go by both of their names: ProtoJSON.
    fn gemini(&mut self, member: &Member<'_>) -> Result<Place, Bypass> {
        match member.name {
            b"contents" | b"content" | b"systemInstruction" | b"system_instruction" => Ok(Place::Said),
            b"tools" => Ok(Place::Tool),
            b"generationConfig" | b"generation_config" => Ok(Place::Settings),
            b"cachedContent" | b"cached_content" => unless_null(member, Bypass::Refers),
            b"requests" if self.question == Question::ContentEmbedding => Ok(Place::Top),
            _ => Ok(Place::Anywhere),
        }
    }

    fn settings(&mut self, member: &Member<'_>) -> Result<Place, Bypass> {
        self.picks(member);
        match member.name {
            b"responseModalities" | b"response_modalities" => Ok(Place::Modalities),
            b"speechConfig" | b"speech_config" => unless_null(member, Bypass::Output),
            _ => Ok(Place::Anywhere),
        }
    }

    /// The answer is the likeliest one, or the draw is fixed.
    fn picks(&mut self, member: &Member<'_>) {
        self.is_settled |= match member.name {
            b"temperature" => member.is_number() && is_zero(member.value),
            b"seed" => member.is_number(),
            _ => false,
        };
    }

    fn kept(&mut self, member: &Member<'_>) -> Result<(), Bypass> {
        self.is_forgotten |= member.value == b"false";
        if member.is_used() && member.value != b"false" { Err(Bypass::Kept) } else { Ok(()) }
    }

    fn said(&self, member: &Member<'_>) -> Result<Place, Bypass> {
        match member.name {
            b"content" | b"parts" | b"output" => Ok(Place::Said),
            b"file_id" | b"container_id" => unless_null(member, Bypass::Refers),
            b"type" if self.question == Question::Response => {
                let kind = |kind: &[u8]| matches!(kind, b"item_reference" | b"image_generation_call");
                if member.text(kind) == Some(true) { Err(Bypass::Refers) } else { Ok(Place::Anywhere) }
            }
            // An answer in sound, of which only the id is said again; elsewhere the sound itself.
            b"audio" if member.is_object() => Err(Bypass::Refers),
            b"audio" | b"image" | b"video" => {
                let is_fetched = |address: &[u8]| starts_with(address, b"http:") || starts_with(address, b"https:");
                if member.text(is_fetched) == Some(true) { Err(Bypass::Remote) } else { Ok(Place::Shown) }
            }
            b"image_url" | b"video_url" | b"audio_url" | b"file_url" if member.is_remote() => Err(Bypass::Remote),
            b"image_url" | b"video_url" | b"audio_url" | b"file_url" => Ok(Place::Shown),
            b"source" | b"file" | b"input_audio" => Ok(Place::Shown),
            b"fileData" | b"file_data" | b"inlineData" | b"inline_data" => Ok(Place::Shown),
            b"functionResponse" | b"function_response" => Ok(Place::Shown),
            _ => Ok(Place::Anywhere),
        }
    }

    /// Those that the caller runs itself are in the request whole. All others run at the provider.
    fn tool(&self, member: &Member<'_>) -> Result<Place, Bypass> {
        let is_gemini = matches!(self.question, Question::Content | Question::ContentEmbedding);
        match member.name {
            b"functionDeclarations" | b"function_declarations" if is_gemini => Ok(Place::Function),
            _ if is_gemini => unless_null(member, Bypass::Tools),
            b"type" => {
                let is_callers = |kind: &[u8]| matches!(kind, b"function" | b"custom");
                match member.text(is_callers) {
                    Some(true) => Ok(Place::Anywhere),
                    _ => unless_null(member, Bypass::Tools),
                }
            }
            b"function" => Ok(Place::Function),
            _ => Ok(Place::Anywhere),
        }
    }
}

fn shown(member: &Member<'_>) -> Result<Place, Bypass> {
    match member.name {
        b"file_id" => unless_null(member, Bypass::Refers),
        b"url" | b"fileUri" | b"file_uri" if member.is_remote() => Err(Bypass::Remote),
        b"content" | b"parts" => Ok(Place::Said),
        _ => Ok(Place::Anywhere),
    }
}

fn unless_null(member: &Member<'_>, bypass: Bypass) -> Result<Place, Bypass> {
    if member.is_used() { Err(bypass) } else { Ok(Place::Anywhere) }
}
