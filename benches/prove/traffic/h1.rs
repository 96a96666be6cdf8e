//! Clients over HTTP/1.1.

use std::{io, ops::Range, sync::Arc, time::Instant};

use super::{BODY, Failed, Kind, Shared, Stream, begin, patiently, pause, tally::CLOSED};
use crate::{
    client::{H1, Reply},
    provider,
};

/// One request on a connection of its own, again and again.
pub(super) async fn fresh(shared: Arc<Shared>, n: usize, every: Range<u64>) {
    while shared.goes_on() {
        pause(&every).await;
        let begun = Instant::now();
        let result = patiently(async {
            let mut connection = open(&shared).await?;
            echo(&mut connection, &shared, n).await.map(drop)
        });
        let result = result.await;
        if !shared.count(Kind::Fresh, begun, result) {
            return;
        }
    }
}

/// One request behind another. A connection that dies before any byte of a reply is a lost request, also where that could have been
/// seen beforehand: not every client looks.
pub(super) async fn kept(shared: Arc<Shared>, n: usize, every: Range<u64>) {
    let mut kept: Option<H1> = None;
    while shared.goes_on() {
        pause(&every).await;
        let begun = Instant::now();
        let result = patiently(async {
            let mut connection = match kept.take() {
                Some(connection) if connection.is_closed() => return Err(Failed::lost(CLOSED)),
                Some(connection) => connection,
                None => open(&shared).await?,
            };
            let reply = echo(&mut connection, &shared, n).await?;
            kept = (!reply.closes).then_some(connection);
            Ok(())
        });
        let result = result.await;
        if !shared.count(Kind::Kept, begun, result) {
            return;
        }
    }
}

/// One stream after another, each on a connection of its own.
pub(super) async fn streams(shared: Arc<Shared>, n: usize, stream: Stream) {
    loop {
        // Beats spread over the gap, as they would be.
        pause(&(0..1 + stream.gap.as_millis() as u64)).await;
        let begun = Instant::now();
        let result = one_stream(&shared, n, &stream).await;
        if !shared.count(Kind::Stream, begun, result) || !stream.again || !shared.goes_on() {
            return;
        }
    }
}

async fn open(shared: &Shared) -> Result<H1, Failed> {
    H1::open(shared.goal.h1).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => Failed::Refused,
        _ => Failed::lost(error),
    })
}

async fn echo(connection: &mut H1, shared: &Shared, n: usize) -> Result<Reply, Failed> {
    let number = provider::now();
    let reply = ask(connection, &shared.path(n, &format!("echo/{number}"))).await?;
    let body = connection.body(&reply).await.map_err(|error| Failed::Lost(format!("in the reply: {}", error.kind())))?;
    if body == number.to_string().as_bytes() { Ok(reply) } else { Err(Failed::lost("wrong bytes")) }
}

async fn ask(connection: &mut H1, path: &str) -> Result<Reply, Failed> {
    let unanswered = |error: io::Error| Failed::Lost(format!("no reply: {}", error.kind()));
    connection.ask("POST", path, BODY).await.map_err(unanswered)?;
    let reply = connection.reply().await.map_err(unanswered)?;
    if reply.status == 200 { Ok(reply) } else { Err(Failed::Lost(format!("status {}", reply.status))) }
}

async fn one_stream(shared: &Arc<Shared>, n: usize, stream: &Stream) -> Result<(), Failed> {
    let mut connection = patiently(open(shared)).await?;
    let (path, mut story) = begin(stream);
    patiently(ask(&mut connection, &shared.path(n, &path))).await?;
    let mut open = None;
    loop {
        let part = patiently(async { connection.chunk().await.map_err(|error| Failed::Lost(format!("truncated: {}", error.kind()))) });
        let Some(part) = part.await? else { return story.end() };
        story.take(&part)?;
        if open.is_none() && story.has_begun() {
            open = Some(shared.opened());
        }
    }
}
