//! `POST /v1/images/generations`, `/edits` and `/variations`: one pixel each, plain and streamed.

use serde_json::{Value, json};

use super::{models::CREATED, sse};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    script::{Event, Script},
};

/// The most images that one request may ask for.
const MOST_IMAGES: usize = 10;

/// A PNG of one grey pixel, in Base64.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";

/// Answers one request for images.
pub(super) fn answer(desk: &Desk<'_>, ask: &Ask) -> Answer {
    ask.readable()?;
    if desk.path == "images/generations" {
        ask.text("prompt")?;
    } else {
        ask.file("image")?;
    }
    let count = ask.tokens("n").unwrap_or(1);
    if !(1..=MOST_IMAGES).contains(&count) {
        let message = format!("`n` is {count}; it must lie between 1 and {MOST_IMAGES}.");
        return Err(ApiError::parameter("n", "invalid_value", message));
    }
    let usage = json!({
        "input_tokens": 10, "output_tokens": count, "total_tokens": 10 + count,
        "input_tokens_details": { "text_tokens": 10, "image_tokens": 0 },
    });
    if ask.stream {
        return Ok(stream(desk, ask, usage));
    }
    let image = |n: usize| match ask.body["response_format"].as_str() {
        Some("url") => json!({ "url": format!("https://images.invalid/{n}.png") }),
        _ => json!({ "b64_json": PIXEL }),
    };
    let images: Vec<Value> = (0..count).map(image).collect();
    Ok(Script::whole(&json!({ "created": CREATED, "data": images, "usage": usage }), count))
}

/// Partial images, as many as are asked for, and the whole one.
fn stream(desk: &Desk<'_>, ask: &Ask, usage: Value) -> Script {
    let kind = if desk.path == "images/edits" { "image_edit" } else { "image_generation" };
    let partial = ask.tokens("partial_images").unwrap_or(0).min(3);
    let image = |word: &str| {
        json!({
            "type": format!("{kind}.{word}"), "b64_json": PIXEL, "created_at": CREATED,
            "size": "1024x1024", "quality": "low", "background": "auto", "output_format": "png",
        })
    };
    let mut events: Vec<Value> = (0..partial).map(|_| image("partial_image")).collect();
    events.iter_mut().enumerate().for_each(|(n, event)| event["partial_image_index"] = n.into());
    let mut last = image("completed");
    last["usage"] = usage;
    events.push(last);
    let count = events.len();
    Script::stream(events.into_iter().enumerate().map(|(n, event)| Event { at: n + 1, frame: sse::named(&event) }), count)
}
