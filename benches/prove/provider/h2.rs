//! The provider over HTTP/2, on the `h2` crate.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, server};
use http::{Request, Response};
use tokio::net::TcpStream;

use super::{Behaviour, FLOOD, Seen, Told, beats, beats_of, event};

/// Serves a connection until its end.
pub(super) async fn converse(stream: TcpStream, streams: u32, seen: Arc<Seen>) {
    let mut builder = server::Builder::new();
    // Uploads of a GiB should not wait for windows.
    builder.max_concurrent_streams(streams).initial_window_size(1 << 20).initial_connection_window_size(16 << 20);
    if let Ok(mut connection) = builder.handshake(stream).await {
        while let Some(Ok((request, respond))) = connection.accept().await {
            tokio::spawn(exchange(request, respond, Arc::clone(&seen)));
        }
    }
    seen.ended.fetch_add(1, Relaxed);
}

/// One stream. `None` is a peer that gave it up, which the marks tell where it matters.
async fn exchange(request: Request<RecvStream>, mut respond: server::SendResponse<Bytes>, seen: Arc<Seen>) -> Option<()> {
    let behaviour = Behaviour::of(request.uri().path());
    seen.came(behaviour, request.headers().get("authorization").and_then(|value| value.to_str().ok()));
    let mut upload = request.into_body();
    if let Behaviour::HangUploading(number) = behaviour {
        let mark = seen.mark(number);
        mark.reached.add_permits(1);
        let _ = poll_fn(|context| respond.poll_reset(context)).await;
        mark.is_gone();
        return Some(());
    }
    let length = discard(&mut upload).await?;
    if let Behaviour::Hang(number) = behaviour {
        let mark = seen.mark(number);
        mark.reached.add_permits(1);
        let _ = poll_fn(|context| respond.poll_reset(context)).await;
        mark.is_gone();
        return Some(());
    }
    let mut stream = respond.send_response(Response::new(()), false).ok()?;
    match behaviour {
        Behaviour::Ok => send(&mut stream, Bytes::from_static(b"ok"), true).await,
        Behaviour::Count => send(&mut stream, length.to_string().into(), true).await,
        Behaviour::Echo(number) => send(&mut stream, number.to_string().into(), true).await,
        Behaviour::Told(told) => self::told(&mut stream, told, &seen).await,
        Behaviour::Bytes(count) => {
            let block = Bytes::from(vec![b'b'; 64 << 10]);
            let mut left = count;
            while left > 0 {
                let part = left.min(block.len() as u64);
                left -= part;
                send(&mut stream, block.slice(..part as usize), left == 0).await?;
            }
            Some(())
        }
        Behaviour::Events(count) => {
            let mut beats = beats();
            for _ in 0..count {
                beats.tick().await;
                send(&mut stream, event().into(), false).await?;
            }
            send(&mut stream, Bytes::new(), true).await
        }
        Behaviour::Flood => loop {
            send(&mut stream, Bytes::from_static(&FLOOD), false).await?;
            seen.flooded.fetch_add(FLOOD.len() as u64, Relaxed);
        },
        Behaviour::HangMidStream(number) => {
            send(&mut stream, event().into(), false).await?;
            let mark = seen.mark(number);
            mark.reached.add_permits(1);
            let _ = poll_fn(|context| stream.poll_reset(context)).await;
            mark.is_gone();
            Some(())
        }
        Behaviour::Hang(_) | Behaviour::HangUploading(_) => unreachable!("both have ended above"),
    }
}

async fn told(stream: &mut SendStream<Bytes>, told: Told, seen: &Seen) -> Option<()> {
    let mut beats = beats_of(told.gap);
    for number in 0.. {
        beats.tick().await;
        let last = told.is_last(number, seen);
        send(stream, Told::event(told.id, number, last).into(), false).await?;
        if last {
            break;
        }
    }
    send(stream, Bytes::new(), true).await
}

async fn discard(upload: &mut RecvStream) -> Option<u64> {
    let mut length = 0;
    while let Some(part) = upload.data().await {
        let part = part.ok()?;
        length += part.len() as u64;
        let _ = upload.flow_control().release_capacity(part.len());
    }
    Some(length)
}

async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes, last: bool) -> Option<()> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let capacity = poll_fn(|context| stream.poll_capacity(context)).await?.ok()?;
        let part = bytes.split_to(capacity.min(bytes.len()));
        stream.send_data(part, last && bytes.is_empty()).ok()?;
        if last && bytes.is_empty() {
            return Some(());
        }
    }
    if last { stream.send_data(bytes, true).ok() } else { Some(()) }
}
