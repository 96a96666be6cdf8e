//! Clients over HTTP/2. A connection that says GOAWAY before a request is sent is left without a loss, as every client does; a
//! request that was sent and came to nothing is lost.

use std::{io, ops::Range, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use h2::{
    RecvStream,
    client::{Builder, SendRequest},
};
use http::Request;
use tokio::{net::TcpStream, sync::Mutex};

use super::{BODY, Failed, Kind, Shared, Stream, begin, patiently, pause, tally::CLOSED};
use crate::provider;

/// A connection that several share, or the next one.
#[derive(Default)]
pub(super) struct Lane {
    connection: Mutex<Option<SendRequest<Bytes>>>,
}

impl Lane {
    /// The connection, ready for a request.
    async fn ready(&self, shared: &Shared) -> Result<SendRequest<Bytes>, Failed> {
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.take() {
            match open.ready().await {
                Ok(ready) => return Ok(connection.insert(ready).clone()),
                Err(error) if error.is_go_away() => {}
                Err(error) => return Err(Failed::Lost(format!("{CLOSED}: {error}"))),
            }
        }
        let ready = open(shared).await?.ready().await.map_err(Failed::lost)?;
        Ok(connection.insert(ready).clone())
    }

    /// A reply of 200.
    async fn ask(&self, shared: &Shared, path: &str) -> Result<RecvStream, Failed> {
        let mut ready = self.ready(shared).await?;
        let request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/json")
            .header("content-length", BODY.len())
            .body(());
        let (reply, mut body) = ready.send_request(request.expect("a valid path"), false).map_err(unanswered)?;
        body.send_data(Bytes::from_static(BODY.as_bytes()), true).map_err(unanswered)?;
        let reply = reply.await.map_err(unanswered)?;
        if reply.status() == 200 { Ok(reply.into_body()) } else { Err(Failed::Lost(format!("status {}", reply.status()))) }
    }
}

/// One request behind another on a connection of its own.
pub(super) async fn kept(shared: Arc<Shared>, n: usize, every: Range<u64>) {
    let lane = Lane::default();
    while shared.goes_on() {
        pause(&every).await;
        let begun = Instant::now();
        let result = patiently(async {
            let number = provider::now();
            let mut body = lane.ask(&shared, &shared.path(n, &format!("echo/{number}"))).await?;
            let mut all = BytesMut::new();
            while let Some(part) = part(&mut body).await? {
                all.extend_from_slice(&part);
            }
            if all == number.to_string().as_bytes() { Ok(()) } else { Err(Failed::lost("wrong bytes")) }
        });
        let result = result.await;
        if !shared.count(Kind::KeptH2, begun, result) {
            return;
        }
    }
}

/// One stream after another, beside those of others on the same connection.
pub(super) async fn streams(shared: Arc<Shared>, lane: Arc<Lane>, n: usize, stream: Stream) {
    loop {
        pause(&(0..1 + stream.gap.as_millis() as u64)).await;
        let begun = Instant::now();
        let result = one_stream(&shared, &lane, n, &stream).await;
        if !shared.count(Kind::StreamH2, begun, result) || !stream.again || !shared.goes_on() {
            return;
        }
    }
}

async fn one_stream(shared: &Arc<Shared>, lane: &Lane, n: usize, stream: &Stream) -> Result<(), Failed> {
    let (path, mut story) = begin(stream);
    let mut body = patiently(lane.ask(shared, &shared.path(n, &path))).await?;
    let mut open = None;
    loop {
        let Some(part) = patiently(part(&mut body)).await? else { return story.end() };
        story.take(&part)?;
        if open.is_none() && story.has_begun() {
            open = Some(shared.opened());
        }
    }
}

async fn open(shared: &Shared) -> Result<SendRequest<Bytes>, Failed> {
    let stream = TcpStream::connect(shared.goal.h2).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => Failed::Refused,
        _ => Failed::lost(error),
    })?;
    stream.set_nodelay(true).map_err(Failed::lost)?;
    let (requests, connection) = Builder::new().handshake(stream).await.map_err(Failed::lost)?;
    // It ends with the last of its streams, once nobody can ask for another.
    tokio::spawn(async { drop(connection.await) });
    Ok(requests)
}

async fn part(body: &mut RecvStream) -> Result<Option<Bytes>, Failed> {
    let Some(part) = body.data().await else { return Ok(None) };
    let part = part.map_err(|error| Failed::Lost(format!("truncated: {error}")))?;
    let _ = body.flow_control().release_capacity(part.len());
    Ok(Some(part))
}

fn unanswered(error: h2::Error) -> Failed {
    Failed::Lost(format!("no reply: {error}"))
}
