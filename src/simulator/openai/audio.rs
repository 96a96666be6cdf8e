//! `POST /v1/audio/speech`, `/transcriptions` and `/translations`.

use std::iter;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{sse, subtitles};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    base64,
    error::ApiError,
    script::{Event, Script},
};

/// Bytes of sound in a frame; a frame takes the time of a token.
const FRAME: usize = 2048;

/// The longest text that is spoken.
const LONGEST_INPUT: usize = 4096;

/// Speaks a text: noise of the seed, a frame for every four bytes of it.
pub(super) fn speech(desk: &Desk<'_>, ask: &Ask) -> Answer {
    ask.model()?;
    let input = ask.text("input")?;
    if ask.body["voice"].is_null() {
        return Err(ApiError::missing("voice"));
    }
    if input.len() > LONGEST_INPUT {
        return Err(ApiError::parameter("input", "string_above_max_length", format!("`input` is longer than {LONGEST_INPUT} bytes.")));
    }
    let mut author = desk.author(&input.into());
    let count = author.prompt_tokens;
    let sound = move |n: usize| -> Bytes {
        // The head of a file of its kind, as far as a player looks at it.
        let head: &[u8] = if n == 0 { b"ID3\x04\0\0\0\0\0\0" } else { b"" };
        let noise = iter::repeat_with(|| author.dice.u8(..)).take(FRAME - head.len());
        head.iter().copied().chain(noise).collect()
    };
    if ask.body["stream_format"] == "sse" {
        return Ok(spoken_events(count, sound));
    }
    let content_type = match ask.body["response_format"].as_str() {
        None | Some("mp3") => "audio/mpeg",
        Some("opus") => "audio/opus",
        Some("aac") => "audio/aac",
        Some("flac") => "audio/flac",
        Some("wav") => "audio/wav",
        Some("pcm") => "audio/pcm",
        Some(other) => {
            return Err(ApiError::parameter("response_format", "invalid_value", format!("`{other}` is not a format of sound.")));
        }
    };
    let mut sound = sound;
    let events = (0..count).map(move |n| Event { at: n + 1, frame: sound(n) });
    Ok(Script::Stream { content_type, events: Box::new(events), tokens: count })
}

fn spoken_events(count: usize, mut sound: impl FnMut(usize) -> Bytes + 'static) -> Script {
    let deltas = (0..count).map(move |n| (n + 1, json!({ "type": "speech.audio.delta", "audio": base64::encode(&sound(n)) })));
    let usage = json!({ "input_tokens": count, "output_tokens": count, "total_tokens": 2 * count });
    let done = iter::once((count, json!({ "type": "speech.audio.done", "usage": usage })));
    Script::stream(deltas.chain(done).map(|(at, event)| Event { at, frame: sse::unnamed(&event) }), count)
}

/// Writes down what a recording says: words of the seed and of the recording.
pub(super) fn transcription(desk: &Desk<'_>, ask: &Ask) -> Answer {
    ask.model()?;
    let file = ask.file("file")?;
    let digest = format!("{:?}:{}", file.filename, file.content.len());
    let text = desk.author(&digest.into()).write(None);
    let (said, count) = (text.tokens.concat(), text.tokens.len());
    if ask.stream {
        let deltas = text.tokens.into_iter().enumerate();
        let deltas = deltas.map(|(n, token)| (n + 1, json!({ "type": "transcript.text.delta", "delta": token })));
        let done = iter::once((count, json!({ "type": "transcript.text.done", "text": said, "usage": usage(count) })));
        return Ok(Script::stream(deltas.chain(done).map(|(at, event)| Event { at, frame: sse::unnamed(&event) }), count));
    }
    let task = if desk.path.ends_with("translations") { "translate" } else { "transcribe" };
    Ok(match ask.body["response_format"].as_str() {
        None | Some("json" | "diarized_json") => Script::whole(&json!({ "text": said, "usage": usage(count) }), count),
        Some("text") => Script::content("text/plain; charset=utf-8", format!("{said}\n"), count),
        Some("verbose_json") => Script::whole(&subtitles::verbose(task, &said), count),
        Some("srt") => Script::content("text/plain; charset=utf-8", subtitles::srt(&said), count),
        Some("vtt") => Script::content("text/vtt; charset=utf-8", subtitles::vtt(&said), count),
        Some(other) => {
            return Err(ApiError::parameter("response_format", "invalid_value", format!("`{other}` is not a format of a transcript.")));
        }
    })
}

fn usage(count: usize) -> Value {
    json!({
        "type": "tokens", "input_tokens": 14, "output_tokens": count, "total_tokens": 14 + count,
        "input_token_details": { "text_tokens": 0, "audio_tokens": 14 },
    })
}
