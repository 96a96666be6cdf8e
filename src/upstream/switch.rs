//! A connection of its own for a request that asks for an upgrade, and what it becomes behind a 101: bytes both ways.
//!
//! It never was in the pool and never gets there. It takes one of the places that connections have, to its end.

use std::{fmt, time::Duration};

use bytes::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::{
    Failure, Phase, Reason, Upload,
    connect::Io,
    endpoint::Open,
    line::Place,
    patient::Patient,
    pool::{Driver, Http1, http1},
};

/// What hyper leaves of a connection: its bytes, those of them that were read already, and that it is open.
type Left = (Box<dyn Io>, Bytes, Open);

/// A connection for one exchange. Dropping it ends the connection.
pub(super) struct Own {
    pub(super) sender: SendRequest<Upload>,
    left: oneshot::Receiver<Left>,
    // The connection goes before its place.
    driver: Driver,
    place: Place,
}

impl Own {
    /// Speaks HTTP/1.1 over `io`.
    pub(super) async fn over(io: impl Io + 'static, place: Place, open: Open) -> hyper::Result<Self> {
        let (mut sender, connection) = http1().handshake(TokioIo::new(Patient::new(io))).await?;
        let (leave, left) = oneshot::channel();
        let driving = async move {
            if let Ok(parts) = connection.without_shutdown().await {
                let io: Box<dyn Io> = Box::new(parts.io.into_inner().into_inner());
                // Nobody waits for it unless a 101 has come.
                drop(leave.send((io, parts.read_buf, open)));
            }
        };
        let driver = Driver(tokio::task::spawn_local(driving).abort_handle());
        sender.ready().await?;
        Ok(Self { sender, left, driver, place })
    }

    /// No 101 has come: the connection is one like others, but for its end.
    pub(super) fn into_http1(self) -> Http1 {
        Http1::alone(self.sender, self.driver, self.place)
    }

    /// What the connection has become: a 101 has come, so hyper is about to leave it.
    ///
    /// # Errors
    ///
    /// If the connection broke behind the 101.
    pub(super) async fn switched(self, patience: Duration) -> Result<Switched, Failure> {
        let Self { sender, left, driver, place } = self;
        let left = tokio::time::timeout(patience, left).await;
        drop((sender, driver));
        match left {
            Ok(Ok((io, early, open))) => Ok(Switched { io, early, _open: open, _place: place }),
            _ => Err(Failure::new(Phase::Head, Reason::Closed)),
        }
    }
}

/// A connection to a provider that carries bytes and no HTTP any more. Dropping it closes the connection.
pub struct Switched {
    /// Both ways.
    pub io: Box<dyn Io>,
    /// What the provider had said behind its 101.
    pub early: Bytes,
    _open: Open,
    _place: Place,
}

impl fmt::Debug for Switched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Switched({} bytes early)", self.early.len())
    }
}
