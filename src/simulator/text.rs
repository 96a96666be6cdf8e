//! Seeded words: the same seed and the same request make the same reply, byte for byte.

use fastrand::Rng;
use serde_json::Value;

const NOUNS: [&str; 16] = [
    "river",
    "lantern",
    "café",
    "harbour",
    "orchard",
    "letter",
    "bridge",
    "piano",
    "glacier",
    "market",
    "compass",
    "garden",
    "Straße",
    "train",
    "island",
    "lighthouse",
];
const ADJECTIVES: [&str; 12] =
    ["quiet", "amber", "patient", "naïve", "distant", "curious", "gentle", "rusty", "bright", "hollow", "early", "crooked"];
const VERBS: [&str; 12] =
    ["follows", "remembers", "crosses", "answers", "carries", "hides", "finds", "draws", "watches", "mends", "measures", "keeps"];
const PLACES: [&str; 8] = ["behind", "beyond", "near", "under", "beside", "above", "before", "within"];
/// Beyond three bytes of UTF-8 and beyond the BMP: what a reader must not cut in two.
const MARKS: [&str; 4] = [" →", " ✨", " 東京", " 🚂"];

/// Something that was said, token by token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// Joined without anything between them they are the text.
    pub(super) tokens: Vec<String>,
    /// Whether it stops because the request asked for no more.
    pub(super) cut: bool,
}

/// Writes the reply to one request.
pub(super) struct Author {
    pub(super) dice: Rng,
    length: usize,
    /// A rough count of the tokens of the prompt.
    pub(super) prompt_tokens: usize,
}

impl Author {
    /// An author whose words depend on `seed` and on `prompt`, and who writes `length` tokens by default.
    pub(super) fn new(seed: u64, length: usize, prompt: &Value) -> Self {
        let prompt = prompt.to_string();
        let dice = Rng::with_seed(fnv1a(seed, prompt.as_bytes()));
        Self { dice, length: length.max(1), prompt_tokens: estimate(&prompt) }
    }

    /// An identifier with OpenAI's prefix, such as `chatcmpl-`.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        let tail: String = std::iter::repeat_with(|| self.dice.alphanumeric()).take(24).collect();
        format!("{prefix}{tail}")
    }

    /// Sentences of as many tokens as the provider writes, and no more than `most`.
    pub(super) fn write(&mut self, most: Option<usize>) -> Text {
        let length = most.map_or(self.length, |most| most.clamp(1, self.length));
        let mut tokens = Vec::with_capacity(length);
        while tokens.len() < length {
            self.sentence(&mut tokens);
        }
        tokens.truncate(length);
        Text { tokens, cut: length < self.length }
    }

    fn sentence(&mut self, tokens: &mut Vec<String>) {
        let start = if tokens.is_empty() { "The" } else { " The" };
        tokens.push(start.to_owned());
        let words = [&ADJECTIVES[..], &NOUNS, &VERBS, &["the"], &NOUNS, &PLACES, &["the"], &ADJECTIVES, &NOUNS];
        tokens.extend(words.map(|words| format!(" {}", self.choose(words))));
        if self.dice.u8(..) < 64 {
            tokens.push(self.choose(&MARKS).to_owned());
        }
        tokens.push(".".to_owned());
    }

    /// One of `words`, which are never none.
    pub(super) fn choose(&mut self, words: &[&'static str]) -> &'static str {
        words[self.dice.usize(..words.len())]
    }
}

/// A rough count of tokens: four bytes each, as English text has on average.
pub(super) fn estimate(text: &str) -> usize {
    text.len().div_ceil(4).max(1)
}

/// FNV-1a, 64 bits, with `seed` mixed into its offset basis: stable across versions and machines, as a
/// reproducible reply needs.
fn fnv1a(seed: u64, bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS ^ seed.wrapping_mul(PRIME), |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_prompt_say_the_same_and_another_of_either_does_not() {
        let say = |seed, prompt: &str| Author::new(seed, 30, &prompt.into()).write(None);
        assert_eq!(say(1, "hello"), say(1, "hello"));
        assert_ne!(say(1, "hello"), say(2, "hello"));
        assert_ne!(say(1, "hello"), say(1, "hullo"));
    }

    #[test]
    fn a_request_may_ask_for_fewer_tokens_but_not_for_more() {
        let write = |most| Author::new(1, 30, &Value::Null).write(most);
        for (most, tokens, cut) in [(None, 30, false), (Some(7), 7, true), (Some(30), 30, false), (Some(99), 30, false), (Some(0), 1, true)]
        {
            let text = write(most);
            assert_eq!((text.tokens.len(), text.cut), (tokens, cut), "{most:?}");
        }
    }
}
