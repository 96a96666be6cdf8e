//! A transcript with its times: a sentence is a segment of three seconds.

use std::fmt::Write;

use serde_json::{Value, json};

/// Seconds of a segment.
const SEGMENT: usize = 3;

fn segments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('.').enumerate()
}

/// The format `verbose_json`.
pub(super) fn verbose(task: &str, text: &str) -> Value {
    let segment = |(n, said): (usize, &str)| {
        json!({
            "id": n, "seek": 0, "start": n * SEGMENT, "end": (n + 1) * SEGMENT, "text": said, "tokens": [],
            "temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.01,
        })
    };
    let all: Vec<Value> = segments(text).map(segment).collect();
    json!({ "task": task, "language": "english", "duration": (all.len() * SEGMENT), "text": text, "segments": all })
}

/// The format of SubRip, whose fractions stand behind a comma.
pub(super) fn srt(text: &str) -> String {
    segments(text).fold(String::new(), |mut file, (n, said)| {
        let (from, to) = (n * SEGMENT, (n + 1) * SEGMENT);
        let _ = writeln!(file, "{}\n{},000 --> {},000\n{}\n", n + 1, clock(from), clock(to), said.trim());
        file
    })
}

/// The format WebVTT.
pub(super) fn vtt(text: &str) -> String {
    segments(text).fold("WEBVTT\n\n".to_owned(), |mut file, (n, said)| {
        let (from, to) = (n * SEGMENT, (n + 1) * SEGMENT);
        let _ = writeln!(file, "{}.000 --> {}.000\n{}\n", clock(from), clock(to), said.trim());
        file
    })
}

fn clock(seconds: usize) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
