//! Operations, known and unknown, with the bytes that they send and get.

use crate::support::{Client, Provider, Script, Sidegate, show};

/// What is sent: method, target, fields with their line ends, body.
type Sent = (&'static str, &'static str, &'static str, Vec<u8>);

/// What comes back: the head behind the status line with its line ends, and the body as it stands on the wire.
type Got = (&'static str, &'static str, Vec<u8>);

const JSON: &str = "Content-Type: application/json\r\n";
const AUDIO: &str = "Content-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n";
const BETA: &str = "Content-Type: application/json\r\nOpenAI-Beta: assistants=v2\r\n";
const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=\"--=_Part 7;x\"\r\n";

/// Bytes that no text has: every one of them, and what looks like the end of a line, a chunk and a part.
fn noise(length: usize) -> Vec<u8> {
    let odd = (0..=255_u8).chain(*b"\r\n0\r\n\r\n----=_Part 7;x\r\n");
    odd.cycle().take(length).collect()
}

/// A form as SDKs write it, with a file of noise; line ends of its own kind at the end.
fn form(fields: &[(&str, &str)], file: &str, length: usize) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, value) in fields {
        form.extend(format!("----=_Part 7;x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    form.extend(format!("----=_Part 7;x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n\r\n").bytes());
    form.extend(noise(length));
    form.extend(b"\r\n----=_Part 7;x--\r\nan epilogue\n");
    form
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn json() -> Got {
    ("200 OK", JSON, text("{ \"id\" : \"obj_1\",\n\t\"object\":\"list\" }\n"))
}

/// Chunks of noise as they stand on the wire.
fn chunks(length: usize) -> Vec<u8> {
    let part = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    [noise(length).chunks(4096).flat_map(part).collect(), text("0\r\n\r\n")].concat()
}

fn files() -> Vec<(&'static str, Sent, Got)> {
    let none = Vec::new;
    let picture = || form(&[("prompt", "a hat"), ("n", "2")], "mask é.png", 70_000);
    vec![
        ("a file goes up", ("POST", "/v1/files", MULTIPART, form(&[("purpose", "batch")], "in.jsonl", 300_000)), json()),
        ("files are listed", ("GET", "/v1/files?purpose=batch&after=file-1&limit=2", "", none()), json()),
        ("a file is described", ("GET", "/v1/files/file-abc", "", none()), json()),
        ("a file goes", ("DELETE", "/v1/files/file-abc", "", none()), json()),
        (
            "a file comes down",
            ("GET", "/v1/files/file-abc/content", "", none()),
            ("200 OK", "Content-Type: application/octet-stream\r\n", noise(200_000)),
        ),
        (
            "a part of a file",
            ("GET", "/v1/files/file-abc/content", "Range: bytes=5-9\r\n", none()),
            ("206 Partial Content", "Content-Range: bytes 5-9/200\r\n", noise(5)),
        ),
        ("an upload begins", ("POST", "/v1/uploads", JSON, text(r#"{"purpose":"batch","bytes":9}"#)), json()),
        ("its part", ("POST", "/v1/uploads/upload_1/parts", MULTIPART, form(&[], "data", 100_000)), json()),
        ("its end", ("POST", "/v1/uploads/upload_1/complete", JSON, text(r#"{"part_ids":["a"]}"#)), json()),
        (
            "a picture is made",
            ("POST", "/v1/images/generations", JSON, text(r#"{"model":"gpt-image-1","prompt":"é"}"#)),
            ("200 OK", JSON, text(&format!(r#"{{"data":[{{"b64_json":"{}"}}]}}"#, "QUJD".repeat(80_000)))),
        ),
        ("a picture is changed", ("POST", "/v1/images/edits", MULTIPART, picture()), json()),
        ("a picture is varied", ("POST", "/v1/images/variations", MULTIPART, picture()), json()),
        (
            "speech is made",
            ("POST", "/v1/audio/speech", JSON, text(r#"{"model":"tts-1","input":"hi"}"#)),
            ("200 OK", AUDIO, chunks(100_000)),
        ),
        (
            "speech is written down",
            ("POST", "/v1/audio/transcriptions", MULTIPART, form(&[("model", "whisper-1")], "a.wav", 150_000)),
            ("200 OK", "Content-Type: text/plain; charset=utf-8\r\n", text("1\n00:00 --> 00:01\nhé\n")),
        ),
        ("speech is translated", ("POST", "/v1/audio/translations", MULTIPART, form(&[("model", "whisper-1")], "a.mp3", 9)), json()),
    ]
}

fn objects() -> Vec<(&'static str, Sent, Got)> {
    let none = Vec::new;
    vec![
        (
            "a batch",
            ("POST", "/v1/batches", JSON, text(r#"{"input_file_id":"f","endpoint":"/v1/chat/completions","completion_window":"24h"}"#)),
            json(),
        ),
        ("a batch is called off", ("POST", "/v1/batches/batch_1/cancel", "", none()), json()),
        ("fine-tuning", ("POST", "/v1/fine_tuning/jobs", JSON, text(r#"{"model":"gpt-4o-mini","training_file":"f"}"#)), json()),
        ("its events", ("GET", "/v1/fine_tuning/jobs/ftjob-1/events?limit=5", "", none()), json()),
        ("an assistant", ("POST", "/v1/assistants", BETA, text(r#"{"model":"gpt-4o","tools":[{"type":"file_search"}]}"#)), json()),
        ("a thread", ("POST", "/v1/threads", BETA, text("{}")), json()),
        ("a run", ("POST", "/v1/threads/t_1/runs", BETA, text(r#"{"assistant_id":"a","stream":false}"#)), json()),
        ("a thread goes", ("DELETE", "/v1/threads/t_1", BETA, none()), json()),
        ("a vector store", ("POST", "/v1/vector_stores", BETA, text(r#"{"name":"é"}"#)), json()),
        ("a search in it", ("POST", "/v1/vector_stores/vs_1/search", JSON, text(r#"{"query":"x"}"#)), json()),
        ("moderation", ("POST", "/v1/moderations", JSON, text(r#"{"input":"x"}"#)), json()),
        ("embeddings", ("POST", "/v1/embeddings", JSON, text(r#"{"model":"e","input":["a","b"]}"#)), json()),
        ("models", ("GET", "/v1/models/ft:gpt-4o:org::id", "", none()), json()),
        ("a stored response", ("GET", "/v1/responses/resp_1?include[]=usage", "", none()), json()),
        ("a stored response goes", ("DELETE", "/v1/responses/resp_1", "", none()), ("200 OK", "", none())),
        ("a DELETE with a body", ("DELETE", "/v1/vector_stores/vs_1/files", JSON, text(r#"{"ids":[1]}"#)), json()),
        ("a GET with a body", ("GET", "/v1/search", JSON, text(r#"{"q":1}"#)), json()),
        (
            "a PUT",
            ("PUT", "/v1/unheard/of", "Content-Type: x/y\r\n", noise(3000)),
            ("201 Created", "Location: /v1/unheard/of/1\r\n", none()),
        ),
        ("a PATCH", ("PATCH", "/v1/organization/projects/p", JSON, text("{}")), json()),
        (
            "an unknown path",
            ("POST", "/v1/not/yet/invented?a=b&&c;d=%7E", "Content-Encoding: x-new\r\n", noise(700)),
            ("299 Odd", "X-New: yes\r\n", noise(900)),
        ),
        (
            "a body that is not what it says",
            ("POST", "/v1/chat/completions", JSON, text("{\"model\": no json")),
            ("400 Bad Request", JSON, text(r#"{"error":{"message":"no"}}"#)),
        ),
        (
            "a body of an odd spelling",
            ("POST", "/v1/chat/completions", JSON, text("\u{feff} {\"model\" :\t\"gpt-4o\", \"x\": 1e400,\r\n \"y\":\"\\ud83d\"}  ")),
            json(),
        ),
    ]
}

#[tokio::test]
async fn every_operation_passes_with_its_exact_bytes() {
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for (what, (method, target, fields, body), (status, reply_fields, reply_body)) in files().into_iter().chain(objects()) {
        let length = if reply_fields.contains("chunked") { String::new() } else { format!("Content-Length: {}\r\n", reply_body.len()) };
        let reply = format!("HTTP/1.1 {status}\r\n{reply_fields}{length}\r\n");
        provider.script(Script::reply([reply.as_bytes(), &reply_body].concat()));
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: sidegate.test\r\n{fields}{length}\r\n");
        client.send([head.as_bytes(), &body].concat()).await;

        let seen = provider.request().await;
        assert_eq!(show(&seen.head.line), show(format!("{method} {target} HTTP/1.1").as_bytes()), "{what}");
        assert!(seen.body.bytes == body, "{what}: {} and not {}", show(&seen.body.bytes), show(&body));
        has(what, &seen.head, fields);
        let reply = client.reply(method).await;
        assert_eq!(show(&reply.head.line), show(format!("HTTP/1.1 {status}").as_bytes()), "{what}");
        has(what, &reply.head, &reply_fields.replace("Transfer-Encoding: chunked\r\n", ""));
        let expected = if reply_fields.contains("chunked") { noise(100_000) } else { reply_body };
        assert!(reply.is_complete() && reply.body.bytes == expected, "{what}: {} and not {}", show(&reply.body.bytes), show(&expected));
    }
    assert_eq!(provider.connections(), 1, "each left the connection as the next could use it");
}

/// Each of the fields stands there once, as it was sent.
fn has(what: &str, head: &crate::support::wire::Head, fields: &str) {
    for (name, value) in fields.lines().filter_map(|line| line.split_once(": ")) {
        assert_eq!(head.all(name).iter().map(|value| show(value)).collect::<Vec<_>>(), [show(value.as_bytes())], "{what}: {name}");
    }
}

#[tokio::test]
async fn a_form_of_unknown_length_passes_too() {
    let mut provider = Provider::always(Script::ok("taken")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let form = form(&[("purpose", "batch")], "in.jsonl", 50_000);
    client.send(format!("POST /v1/files HTTP/1.1\r\nHost: sidegate.test\r\n{MULTIPART}Transfer-Encoding: chunked\r\n\r\n")).await;
    for part in form.chunks(1000) {
        client.send([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.reply("POST").await.text(), "taken");
    let seen = provider.request().await;
    assert!(seen.body.bytes == form, "{}", show(&seen.body.bytes));
    has("a form", &seen.head, MULTIPART);
}
