//! Which protocol a client speaks, and what hyper is told about each.
//!
//! Telling them apart is ours, because hyper-util's way of doing it has no deadline: a client that sends nothing, or half
//! a preface, would hold its connection for good.

use std::io;

use bytes::BytesMut;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::streams::Streams;
use crate::config::Listen;

/// How every HTTP/2 connection begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most that is read from a client ahead of the provider, and written ahead of the client's reading, on HTTP/1.
const BUFFER: usize = 64 << 10;

/// The most that waits on HTTP/2 for one stream's reader, beside the window that its client grants.
const UNSENT: usize = 32 << 10;

/// HTTP/2's windows: what one upload, and all uploads of a connection, may have under way.
const WINDOWS: (u32, u32) = (256 << 10, 1 << 20);

/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 100;

/// Streams that a client may open and reset before we have looked at them: more is an attack (CVE-2023-44487).
const PENDING_RESETS: usize = 20;

/// Reads until it is plain whether the client speaks HTTP/2 by prior knowledge. Returns what was read, and the
/// answer.
///
/// # Errors
///
/// If the connection ends before.
pub async fn told_protocol(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<(BytesMut, bool)> {
    let mut early = BytesMut::with_capacity(4 << 10);
    loop {
        if socket.read_buf(&mut early).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let compared = early.len().min(PREFACE.len());
        if early[..compared] != PREFACE[..compared] {
            return Ok((early, false));
        }
        if compared == PREFACE.len() {
            return Ok((early, true));
        }
    }
}

/// What HTTP/1 is spoken with.
#[must_use]
pub fn http1(listen: &Listen) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .preserve_header_case(listen.keep_case)
        .auto_date_header(false)
        .max_header_size(listen.max_header_size.bytes())
        .max_buf_size(BUFFER.max(listen.max_header_size.bytes()));
    // hyper parses up to 100 fields without an allocation; any other bound costs one for each head.
    if listen.max_headers.get() != 100 {
        builder.max_headers(listen.max_headers.get());
    }
    builder
}

/// What HTTP/2 is spoken with; its requests run in `streams`.
#[must_use]
pub fn http2(listen: &Listen, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_header_list_size(u32::try_from(listen.max_header_size.0).unwrap_or(u32::MAX))
        .max_send_buf_size(UNSENT)
        .keep_alive_interval(listen.header_timeout.0 * 2)
        .keep_alive_timeout(listen.header_timeout.0);
    builder
}
