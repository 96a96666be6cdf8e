//! How many tokens a request will take, before anybody knows: what a token limit reserves.
//!
//! An estimate is never a result. It is what is taken before the call, and it is trued up to what the provider says. So it
//! need not be right, only cheap, bounded, and not for one client to move as it likes.
//!
//! What is learned belongs to the model, not to model and client: a client's own average would start cold with each of a
//! million clients, and an error costs nobody more than the time until the reply has ended. The price is that clients of
//! one model share what it learned; [`learned`] says what keeps one of them from spoiling it for others.

mod learned;

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use self::learned::Learned;
use crate::types::{Ask, Usage};

/// Bytes of a request's body for a token, until a model's own ratio is known: English in JSON, about.
pub const COLD_RATIO: f64 = 3.6;
/// Tokens of a reply, until a model's own are known.
pub const COLD_OUTPUT: u64 = 512;
/// Tokens of a prompt that can't be read: a form, or one whose length nobody said.
pub const COLD_PROMPT: u64 = 512;
/// Tokens of a picture, a sound or a document. OpenAI's pictures in high detail are 765 to 1,105, Anthropic's up to 1,600.
const ATTACHMENT: u64 = 1_000;
/// The most tokens that one choice is taken to have, whatever was asked: no model writes more at once.
const MOST_OUTPUT: u64 = 1 << 17;
/// The most choices that are believed: OpenAI's own bound.
const MOST_CHOICES: u64 = 128;
/// The most tokens that any prompt is taken to have: ten times the longest context there is.
const MOST_PROMPT: u64 = 10 << 20;

/// Models are kept in so many parts, each behind a lock of its own.
const SHARDS: usize = 16;
/// The most models that are known at once. The one that was asked for longest ago makes room.
const MOST_MODELS: usize = 512;
/// Longer names are no model's.
const LONGEST_NAME: usize = 128;

/// What a body weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// So many bytes of text, and so many attachments.
    Read {
        /// Bytes.
        text: u64,
        /// Pictures and the like.
        attachments: u64,
    },
    /// Nobody can say.
    Unread,
}

/// What a request is expected to take, in tokens. Nothing but a reservation is made of it.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Of the prompt.
    pub prompt: u64,
    /// Of the reply, all its choices.
    pub output: u64,
    /// Of what the prompt was estimated, if it may teach something.
    text: Option<u64>,
    choices: u64,
    model: Option<Arc<Learned>>,
}

impl Estimate {
    /// Both parts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.output)
    }
}

/// What is known of models.
pub struct Estimator {
    models: [Mutex<HashMap<Box<str>, Known>>; SHARDS],
    hasher: RandomState,
}

struct Known {
    learned: Arc<Learned>,
    /// Counts up with each look at this part, to tell who was asked for last.
    asked: u64,
}

impl Default for Estimator {
    fn default() -> Self {
        Self { models: Default::default(), hasher: RandomState::new() }
    }
}

impl fmt::Debug for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Estimator")
    }
}

impl Estimator {
    /// What a request will take.
    #[must_use]
    pub fn estimate(&self, ask: &Ask, prompt: Prompt) -> Estimate {
        let model = ask.model.as_deref().and_then(|model| self.find(model));
        let choices = ask.choices.unwrap_or(1).clamp(1, MOST_CHOICES);
        let expected = model.as_ref().and_then(|model| model.output()).unwrap_or(COLD_OUTPUT);
        let most = ask.most_output.unwrap_or(MOST_OUTPUT).min(MOST_OUTPUT);
        let ratio = model.as_ref().map_or(COLD_RATIO, |model| model.ratio());
        let (tokens, text) = match prompt {
            Prompt::Unread => (COLD_PROMPT, None),
            Prompt::Read { text, attachments } => {
                let tokens = (text as f64 / ratio).ceil() as u64 + attachments.saturating_mul(ATTACHMENT);
                (tokens.min(MOST_PROMPT), Some(text).filter(|_| attachments == 0))
            }
        };
        Estimate { prompt: tokens, output: choices * expected.min(most), text, choices, model }
    }

    /// Learns from a reply that came whole: what it used, beside what was expected of it. `who` tells clients apart; it need not
    /// be unique.
    pub fn learn(&self, ask: &Ask, estimate: &Estimate, usage: Usage, who: u16) {
        let Some(prompt) = usage.input else { return };
        let model = match (&estimate.model, ask.model.as_deref()) {
            (Some(model), _) => Arc::clone(model),
            // Only a name to which a provider has answered becomes a model, so nobody fills this with words.
            (None, Some(name)) if name.len() <= LONGEST_NAME => self.found(name),
            _ => return,
        };
        let ratio = estimate.text.filter(|_| prompt > 0).map(|text| text as f64 / prompt as f64);
        let output = usage.output.unwrap_or(0) / estimate.choices;
        model.learn(ratio, output.min(MOST_OUTPUT), who);
    }

    /// How many models are known.
    #[must_use]
    pub fn models(&self) -> usize {
        self.models.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn find(&self, name: &str) -> Option<Arc<Learned>> {
        let mut shard = self.shard(name).lock().unwrap_or_else(PoisonError::into_inner);
        let now = next(&shard);
        let known = shard.get_mut(name)?;
        known.asked = now;
        Some(Arc::clone(&known.learned))
    }

    /// The model of this name, which is new or was made by another request meanwhile.
    fn found(&self, name: &str) -> Arc<Learned> {
        let mut shard = self.shard(name).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shard.get(name) {
            return Arc::clone(&known.learned);
        }
        if shard.len() >= MOST_MODELS / SHARDS
            && let Some(oldest) = shard.iter().min_by_key(|(_, known)| known.asked).map(|(name, _)| name.clone())
        {
            shard.remove(&oldest);
        }
        let (learned, asked) = (Arc::<Learned>::default(), next(&shard));
        shard.insert(name.into(), Known { learned: Arc::clone(&learned), asked });
        learned
    }

    fn shard(&self, name: &str) -> &Mutex<HashMap<Box<str>, Known>> {
        &self.models[self.hasher.hash_one(name) as usize % SHARDS]
    }
}

/// At most 32 are in a part, so looking at all is as quick as counting beside.
fn next(shard: &HashMap<Box<str>, Known>) -> u64 {
    shard.values().map(|known| known.asked).max().unwrap_or(0) + 1
}

#[cfg(test)]
mod tests;
