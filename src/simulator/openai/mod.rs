//! OpenAI's surface: which endpoint answers, by method and path.

mod audio;
mod batches;
mod born;
mod chat;
mod collections;
mod completions;
pub(super) mod embeddings;
mod files;
mod images;
pub(super) mod models;
mod moderations;
mod responses;
mod runs;
pub(super) mod sse;
mod stored;
mod subtitles;
pub(super) mod tools;
mod uploads;

use http::Method;

use super::{
    answer::{Answer, Desk},
    ask::Ask,
};

/// Answers one request in OpenAI's formats.
pub(super) fn answer(desk: &Desk<'_>, ask: Ask) -> Answer {
    let get = desk.method == Method::GET;
    let post = desk.method == Method::POST;
    match desk.path {
        "models" if get => Ok(models::list()),
        "chat/completions" if post => chat::answer(desk, &ask),
        "responses" if post => responses::answer(desk, ask),
        "embeddings" if post => embeddings::answer(desk, &ask),
        "completions" if post => completions::answer(desk, &ask),
        "moderations" if post => moderations::answer(&ask),
        "images/generations" | "images/edits" | "images/variations" if post => images::answer(desk, &ask),
        "audio/speech" if post => audio::speech(desk, &ask),
        "audio/transcriptions" | "audio/translations" if post => audio::transcription(desk, &ask),
        "responses/input_tokens" if post => responses::count(desk, &ask),
        "files" if post => files::create(desk, &ask),
        "batches" if post => batches::create(desk, &ask),
        path => match path.strip_prefix("models/") {
            Some(id) if get => models::get(id),
            Some(_) => Err(desk.unknown()),
            None => collections::answer(desk, &ask),
        },
    }
}
