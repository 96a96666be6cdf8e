//! Server-Sent Events of every dialect: exact, live, and however they are cut.

use bytes::Bytes;

use super::dialects;
use crate::support::{Client, Gate, H2Client, H2Provider, H2Script, Provider, Script, Sidegate, h2_client, show, wire::Framing, within};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;

fn chunk(bytes: &[u8]) -> Bytes {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat().into()
}

/// The body of the chunk that comes next; nothing of the last one.
async fn next_chunk(client: &mut Client) -> Vec<u8> {
    let size = client.until("\r\n").await;
    let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
    let body = client.wire.body(Framing::Length(size + 2));
    let mut body = within("a chunk", body).await.bytes;
    assert!(body.ends_with(b"\r\n"));
    body.truncate(size);
    body
}

#[tokio::test]
async fn each_frame_of_each_dialect_arrives_before_the_next_is_written() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for (dialect, frames) in dialects::all() {
        let next = Gate::new();
        let script = frames.iter().fold(Script::on_request().write(HEAD), |script, frame| script.wait(&next).write(chunk(frame)));
        provider.script(script.wait(&next).write("0\r\n\r\n"));
        client.post("/v1/chat/completions", ASK).await;
        assert_eq!(client.head().await.status(), 200, "{dialect}");
        for frame in frames {
            next.open();
            assert_eq!(show(&next_chunk(&mut client).await), show(frame), "{dialect}");
        }
        next.open();
        assert_eq!(show(&next_chunk(&mut client).await), "", "{dialect}");
    }
}

#[tokio::test]
async fn each_frame_arrives_before_the_next_is_written_over_h2() {
    let provider = H2Provider::start(h2::server::Builder::new()).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    let client = H2Client::connect(sidegate.address).await;
    for (dialect, frames) in dialects::all() {
        let next = Gate::new();
        let script = frames.iter().fold(H2Script::on_request().head(200), |script, frame| script.wait(&next).part(*frame));
        provider.script(script.wait(&next).last(""));
        let mut body = h2_client::head(client.send(h2_client::post("/v1/chat/completions", ASK)).await).await.into_body();
        for frame in frames {
            next.open();
            let mut seen = Vec::new();
            while seen.len() < frame.len() {
                seen.extend_from_slice(&h2_client::part(&mut body).await.unwrap().unwrap());
            }
            assert_eq!(show(&seen), show(frame), "{dialect}");
        }
        next.open();
        while let Some(part) = h2_client::part(&mut body).await {
            assert!(part.unwrap().is_empty(), "{dialect}");
        }
    }
}

#[tokio::test]
async fn however_a_stream_is_cut_its_bytes_are_the_same() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for (dialect, frames) in dialects::all() {
        let whole = frames.concat();
        // One chunk a byte, and two chunks cut at every byte.
        let every = std::iter::once(whole.chunks(1).map(chunk).collect::<Vec<_>>());
        let cuts = (1..whole.len()).map(|at| vec![chunk(&whole[..at]), chunk(&whole[at..])]);
        for (cut, chunks) in every.chain(cuts).enumerate() {
            let script = chunks.into_iter().fold(Script::on_request().write(HEAD), Script::write);
            provider.script(script.write("0\r\n\r\n"));
            client.post("/v1/chat/completions", ASK).await;
            let reply = client.reply("POST").await;
            assert!(reply.is_complete() && reply.body.bytes == whole, "{dialect}, cut at {cut}: {}", show(&reply.body.bytes));
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_with_its_connection_is_whole() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    for version in ["1.0", "1.1"] {
        for (dialect, frames) in dialects::all() {
            let next = Gate::new();
            let head = format!("HTTP/{version} 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
            let script = frames.iter().fold(Script::on_request().write(head), |script, frame| script.wait(&next).write(*frame));
            provider.script(script.close());
            let mut client = Client::connect(sidegate.address).await;
            client.post("/v1/chat/completions", ASK).await;
            for _ in &frames {
                next.open();
            }
            let reply = client.reply("POST").await;
            assert!(reply.is_complete() && reply.body.bytes == frames.concat(), "{dialect}: {}", show(&reply.body.bytes));
            assert_eq!(reply.head.all("transfer-encoding"), [b"chunked"], "{dialect}");
        }
    }
}
