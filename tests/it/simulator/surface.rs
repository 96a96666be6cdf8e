//! OpenAI's surface beside chat: what goes in by form, comes out as bytes, or is kept for later.

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    caller::{DEADLINE, Protocol, Simulated, body, call, frames, request},
    quick,
};
use std::time::Duration;

/// A request with this key.
pub(super) fn by(key: &str, method: &str, path: &str, json: Option<&Value>) -> Request<Full<bytes::Bytes>> {
    let mut request = request(method, path, json);
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

/// The status and the JSON of a reply.
pub(super) async fn told(provider: &Simulated, request: Request<Full<bytes::Bytes>>) -> (u16, Value) {
    let reply = call(provider, Protocol::Http1, request).await;
    let status = reply.status().as_u16();
    (status, serde_json::from_slice(&body(reply).await).unwrap())
}

async fn good(provider: &Simulated, method: &str, path: &str, json: Option<&Value>) -> Value {
    let (status, json) = told(provider, by("sk-a", method, path, json)).await;
    assert_eq!(status, 200, "{method} {path}: {json}");
    json
}

/// A form of fields and one file.
fn form(key: &str, path: &str, fields: &[(&str, &str)], file: (&str, &[u8])) -> Request<Full<bytes::Bytes>> {
    let mut form = Vec::new();
    for (name, value) in fields {
        form.extend_from_slice(format!("--x y\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes());
    }
    let head = format!("--x y\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"a.bin\"\r\n\r\n", file.0);
    form.extend_from_slice(head.as_bytes());
    form.extend_from_slice(file.1);
    form.extend_from_slice(b"\r\n--x y--\r\n");
    let mut request = by(key, "POST", path, None).map(|_| form.into());
    request.headers_mut().insert("content-type", "multipart/form-data; boundary=\"x y\"".parse().unwrap());
    request
}

#[tokio::test]
async fn a_file_comes_back_byte_for_byte_and_only_to_its_account() {
    let provider = Simulated::start(quick());
    let content: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let (status, file) = told(&provider, form("sk-account-a-1", "/v1/files", &[("purpose", "batch")], ("file", &content))).await;
    assert_eq!((status, &file["object"], &file["bytes"], &file["filename"]), (200, &json!("file"), &json!(70_000), &json!("a.bin")));

    let id = file["id"].as_str().unwrap();
    let reply = call(&provider, Protocol::Http1, by("sk-account-a-2", "GET", &format!("/v1/files/{id}/content"), None)).await;
    assert_eq!(body(reply).await, content, "another key of the account");
    for (method, path) in
        [("GET", format!("/v1/files/{id}")), ("GET", format!("/v1/files/{id}/content")), ("DELETE", format!("/v1/files/{id}"))]
    {
        let (status, error) = told(&provider, by("sk-account-b-1", method, &path, None)).await;
        assert_eq!((status, &error["error"]["type"]), (404, &json!("invalid_request_error")), "{method} {path}");
    }
    let (_, mine) = told(&provider, by("sk-account-a-2", "GET", "/v1/files?purpose=batch", None)).await;
    let (_, theirs) = told(&provider, by("sk-account-b-1", "GET", "/v1/files", None)).await;
    assert_eq!((mine["data"].as_array().unwrap().len(), theirs["data"].as_array().unwrap().len()), (1, 0));
    let (_, gone) = told(&provider, by("sk-account-a-1", "DELETE", &format!("/v1/files/{id}"), None)).await;
    assert_eq!(gone, json!({ "id": id, "object": "file", "deleted": true }));
    assert_eq!(told(&provider, by("sk-account-a-1", "GET", &format!("/v1/files/{id}"), None)).await.0, 404);
}

#[tokio::test]
async fn a_file_may_come_in_parts() {
    let provider = Simulated::start(quick());
    let ask = json!({ "filename": "long.txt", "purpose": "assistants", "bytes": 6, "mime_type": "text/plain" });
    let upload = good(&provider, "POST", "/v1/uploads", Some(&ask)).await;
    let id = upload["id"].as_str().unwrap();
    let mut parts = Vec::new();
    for part in [b"abc", b"def"] {
        let (_, part) = told(&provider, form("sk-a", &format!("/v1/uploads/{id}/parts"), &[], ("data", part))).await;
        assert_eq!((&part["object"], &part["upload_id"]), (&json!("upload.part"), &json!(id)));
        parts.push(part["id"].clone());
    }
    parts.reverse();
    let done = good(&provider, "POST", &format!("/v1/uploads/{id}/complete"), Some(&json!({ "part_ids": parts }))).await;
    assert_eq!((&done["status"], &done["file"]["filename"]), (&json!("completed"), &json!("long.txt")));
    let file = done["file"]["id"].as_str().unwrap();
    let reply = call(&provider, Protocol::Http1, by("sk-a", "GET", &format!("/v1/files/{file}/content"), None)).await;
    assert_eq!(&body(reply).await[..], b"defabc");
    let again = told(&provider, by("sk-a", "POST", &format!("/v1/uploads/{id}/complete"), Some(&json!({ "part_ids": parts })))).await;
    assert_eq!(again.0, 400);
}

#[tokio::test]
async fn a_batch_completes_a_moment_later_with_an_answer_for_each_line() {
    let provider = Simulated::start(quick());
    let line = |id: &str, body: Value| json!({ "custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body });
    let lines = format!("{}\n{}\n", line("1", json!({ "model": "gpt-4o", "messages": [] })), line("2", json!({ "model": "gpt-4o" })));
    let (_, file) = told(&provider, form("sk-a", "/v1/files", &[("purpose", "batch")], ("file", lines.as_bytes()))).await;
    let ask = json!({ "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    assert_eq!(told(&provider, by("sk-b", "POST", "/v1/batches", Some(&ask))).await.0, 404, "the file is another account's");

    let mut batch = good(&provider, "POST", "/v1/batches", Some(&ask)).await;
    assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("in_progress"), &Value::Null));
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    let start = Instant::now();
    while batch["status"] != "completed" {
        assert!(start.elapsed() < DEADLINE, "{batch}");
        sleep(Duration::from_millis(20)).await;
        batch = good(&provider, "GET", &path, None).await;
    }
    let output = format!("/v1/files/{}/content", batch["output_file_id"].as_str().unwrap());
    let output = body(call(&provider, Protocol::Http1, by("sk-a", "GET", &output, None)).await).await;
    let answers: Vec<Value> = String::from_utf8_lossy(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let short: Vec<_> = answers.iter().map(|answer| (&answer["custom_id"], &answer["response"]["status_code"])).collect();
    assert_eq!(short, [(&json!("1"), &json!(200)), (&json!("2"), &json!(400))]);
    assert_eq!(told(&provider, by("sk-a", "POST", &format!("{path}/cancel"), None)).await.0, 409, "it is completed");
    assert_eq!(good(&provider, "GET", "/v1/batches", None).await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_can_be_cancelled_while_it_runs_and_stays_so() {
    let provider = Simulated::start(quick());
    let (_, file) = told(&provider, form("sk-a", "/v1/files", &[("purpose", "fine-tune")], ("file", b"{}"))).await;
    let ask = json!({ "model": "gpt-4o-mini", "training_file": file["id"] });
    let job = good(&provider, "POST", "/v1/fine_tuning/jobs", Some(&ask)).await;
    assert_eq!((&job["object"], &job["status"]), (&json!("fine_tuning.job"), &json!("running")));
    let path = format!("/v1/fine_tuning/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(good(&provider, "POST", &format!("{path}/cancel"), None).await["status"], "cancelled");
    assert_eq!(good(&provider, "GET", &path, None).await["status"], "cancelled");
    assert_eq!(good(&provider, "GET", &format!("{path}/events"), None).await["data"], json!([]));
}

#[tokio::test]
async fn an_assistant_answers_in_its_thread() {
    let provider = Simulated::start(quick());
    let assistant = good(&provider, "POST", "/v1/assistants", Some(&json!({ "model": "gpt-4o", "name": "Ada" }))).await;
    assert_eq!((&assistant["object"], &assistant["name"]), (&json!("assistant"), &json!("Ada")));
    let thread = good(&provider, "POST", "/v1/threads", Some(&json!({}))).await;
    let path = format!("/v1/threads/{}", thread["id"].as_str().unwrap());
    good(&provider, "POST", &format!("{path}/messages"), Some(&json!({ "role": "user", "content": "Hello" }))).await;
    let run = good(&provider, "POST", &format!("{path}/runs"), Some(&json!({ "assistant_id": assistant["id"] }))).await;
    assert_eq!((&run["object"], &run["status"], &run["model"]), (&json!("thread.run"), &json!("in_progress"), &json!("gpt-4o")));
    let messages = good(&provider, "GET", &format!("{path}/messages"), None).await;
    let roles: Vec<_> = messages["data"].as_array().unwrap().iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["assistant", "user"], "newest first");
    assert_eq!(told(&provider, by("sk-b", "GET", &format!("{path}/messages"), None)).await.0, 404);

    let ask = by("sk-a", "POST", &format!("{path}/runs"), Some(&json!({ "assistant_id": assistant["id"], "stream": true })));
    let frames = frames(call(&provider, Protocol::Http2, ask).await).await;
    assert!(frames[0].starts_with("event: thread.run.created\n"), "{frames:?}");
    assert_eq!(frames.last().unwrap(), "event: done\ndata: [DONE]\n\n");
    good(&provider, "DELETE", &path, None).await;
    assert_eq!(told(&provider, by("sk-a", "GET", &format!("{path}/messages"), None)).await.0, 404, "they went with the thread");
}

#[tokio::test]
async fn a_vector_store_holds_files_of_its_account() {
    let provider = Simulated::start(quick());
    let (_, file) = told(&provider, form("sk-a", "/v1/files", &[("purpose", "assistants")], ("file", b"text"))).await;
    let store = good(&provider, "POST", "/v1/vector_stores", Some(&json!({ "name": "notes" }))).await;
    let path = format!("/v1/vector_stores/{}", store["id"].as_str().unwrap());
    let held = good(&provider, "POST", &format!("{path}/files"), Some(&json!({ "file_id": file["id"] }))).await;
    assert_eq!((&held["id"], &held["status"], &held["usage_bytes"]), (&file["id"], &json!("completed"), &json!(4)));
    assert_eq!(told(&provider, by("sk-a", "POST", &format!("{path}/files"), Some(&json!({ "file_id": "file-0" })))).await.0, 404);
    let renamed = good(&provider, "POST", &path, Some(&json!({ "name": "more", "id": "vs_other" }))).await;
    assert_eq!((&renamed["name"], &renamed["id"]), (&json!("more"), &store["id"]));
}

#[tokio::test]
async fn a_response_is_kept_for_its_account_unless_the_request_forbids_it() {
    let provider = Simulated::start(quick());
    let response = good(&provider, "POST", "/v1/responses", Some(&json!({ "model": "gpt-5", "input": "Hello" }))).await;
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(good(&provider, "GET", &path, None).await, response);
    let items = good(&provider, "GET", &format!("{path}/input_items"), None).await;
    assert_eq!(items["data"][0]["content"][0]["text"], "Hello");
    assert_eq!(told(&provider, by("sk-b", "GET", &path, None)).await.0, 404);

    let next = json!({ "model": "gpt-5", "input": "Go on", "previous_response_id": response["id"] });
    assert_eq!(good(&provider, "POST", "/v1/responses", Some(&next)).await["previous_response_id"], response["id"]);
    let (status, error) = told(&provider, by("sk-b", "POST", "/v1/responses", Some(&next))).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("previous_response_not_found")));
    good(&provider, "DELETE", &path, None).await;
    assert_eq!(told(&provider, by("sk-a", "GET", &path, None)).await.0, 404);

    let secret = json!({ "model": "gpt-5", "input": "Forget this", "store": false });
    let secret = good(&provider, "POST", "/v1/responses", Some(&secret)).await;
    assert_eq!(told(&provider, by("sk-a", "GET", &format!("/v1/responses/{}", secret["id"].as_str().unwrap()), None)).await.0, 404);
}

#[tokio::test]
async fn a_conversation_holds_what_was_said_in_it() {
    let provider = Simulated::start(quick());
    let conversation = good(&provider, "POST", "/v1/conversations", Some(&json!({ "metadata": { "a": "b" } }))).await;
    let ask = json!({ "model": "gpt-5", "input": "Hello", "conversation": conversation["id"] });
    good(&provider, "POST", "/v1/responses", Some(&ask)).await;
    let path = format!("/v1/conversations/{}/items?order=asc", conversation["id"].as_str().unwrap());
    let items = good(&provider, "GET", &path, None).await;
    let roles: Vec<_> = items["data"].as_array().unwrap().iter().map(|item| item["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant"]);
    assert_eq!(told(&provider, by("sk-b", "POST", "/v1/responses", Some(&ask))).await.0, 404);
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let provider = Simulated::start(quick());
    for _ in 0..5 {
        good(&provider, "POST", "/v1/threads", Some(&json!({}))).await;
        good(&provider, "POST", "/v1/assistants", Some(&json!({ "model": "gpt-4o" }))).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/assistants?limit=2".to_owned());
    loop {
        let page = good(&provider, "GET", &path, None).await;
        seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
        path = format!("/v1/assistants?limit=2&after={}", page["last_id"].as_str().unwrap());
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn speech_is_a_stream_of_bytes_and_a_transcript_has_its_format() {
    let provider = Simulated::start(quick());
    let ask = json!({ "model": "tts-1", "voice": "alloy", "input": "Hello, river and lantern!" });
    let reply = call(&provider, Protocol::Http2, request("POST", "/v1/audio/speech", Some(&ask))).await;
    assert_eq!(reply.headers()["content-type"], "audio/mpeg");
    let mut sound = reply.into_body();
    let mut count = 0;
    while let Some(frame) = http_body_util::BodyExt::frame(&mut sound).await {
        count += usize::from(!frame.unwrap().into_data().unwrap().is_empty());
    }
    assert!(count > 1, "a stream of several frames");

    for (format, content_type, has) in [
        ("json", "application/json", "{\"text\""),
        ("text", "text/plain; charset=utf-8", "The "),
        ("verbose_json", "application/json", "\"segments\""),
        ("srt", "text/plain; charset=utf-8", "00:00:00,000 --> "),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT"),
    ] {
        let fields = [("model", "whisper-1"), ("response_format", format)];
        let reply = call(&provider, Protocol::Http1, form("sk-a", "/v1/audio/transcriptions", &fields, ("file", b"sound"))).await;
        assert_eq!((reply.status().as_u16(), &reply.headers()["content-type"]), (200, &content_type.parse().unwrap()), "{format}");
        let text = String::from_utf8(body(reply).await.to_vec()).unwrap();
        assert!(text.contains(has), "{format}: {text}");
    }
    let fields = [("model", "gpt-4o-transcribe"), ("stream", "true")];
    let reply = call(&provider, Protocol::Http2, form("sk-a", "/v1/audio/transcriptions", &fields, ("file", b"sound"))).await;
    assert!(frames(reply).await.last().unwrap().contains("transcript.text.done"));
}

#[tokio::test]
async fn images_moderations_and_old_completions_have_their_shapes() {
    let provider = Simulated::start(quick());
    let images =
        good(&provider, "POST", "/v1/images/generations", Some(&json!({ "model": "gpt-image-1", "prompt": "a lantern", "n": 2 }))).await;
    assert!(images["data"][1]["b64_json"].as_str().unwrap().starts_with("iVBORw0KGgo"), "a PNG");
    let fields = [("model", "gpt-image-1"), ("prompt", "brighter")];
    let (status, edited) = told(&provider, form("sk-a", "/v1/images/edits", &fields, ("image[]", b"png"))).await;
    assert_eq!((status, edited["data"].as_array().unwrap().len()), (200, 1));

    let judged = good(&provider, "POST", "/v1/moderations", Some(&json!({ "input": ["a river", "flag me"] }))).await;
    assert_eq!((&judged["results"][0]["flagged"], &judged["results"][1]["flagged"]), (&json!(false), &json!(true)));

    let ask = json!({ "model": "gpt-3.5-turbo-instruct", "prompt": "Once", "max_tokens": 5 });
    let plain = good(&provider, "POST", "/v1/completions", Some(&ask)).await;
    assert_eq!((&plain["object"], &plain["choices"][0]["finish_reason"]), (&json!("text_completion"), &json!("length")));
    let mut ask = ask;
    ask["stream"] = true.into();
    let chunks = super::caller::events(call(&provider, Protocol::Http1, request("POST", "/v1/completions", Some(&ask))).await).await;
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert_eq!(plain["choices"][0]["text"], text);
}

#[tokio::test]
async fn a_form_that_is_cut_off_is_a_bad_request() {
    let provider = Simulated::start(quick());
    let mut broken =
        form("sk-a", "/v1/files", &[("purpose", "batch")], ("file", b"{}")).map(|_| bytes::Bytes::from("--x y\r\nContent").into());
    broken.headers_mut().remove("content-length");
    assert_eq!(told(&provider, broken).await.0, 400);
    let (status, error) = told(&provider, by("sk-a", "POST", "/v1/files", Some(&json!({ "purpose": "batch" })))).await;
    assert_eq!((status, &error["error"]["param"]), (400, &json!("file")));
}
