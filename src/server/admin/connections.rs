//! The admin listener's connections: few, small and short. Somebody who opens many and says little must not keep a probe from
//! being answered.
//!
//! A connection is as old as its last whole request. One that is older than [`PATIENCE`] is closed, whatever it is at; and
//! when all [`PLACES`] are taken, the oldest makes room. So who sends a request as soon as it is connected is answered.

use std::{
    cell::Cell,
    io,
    net::TcpListener as StdListener,
    rc::Rc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::Request};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// Connections at once.
const PLACES: usize = 64;

/// How long a connection may be without a whole request: while it sends one, reads its answer, or is idle.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of a request head. No endpoint reads a body.
const HEAD: usize = 16 << 10;

/// How long accepting rests when the process is out of file descriptors or memory.
const REST: Duration = Duration::from_millis(50);

/// One connection.
struct Open {
    heard: Rc<Cell<Instant>>,
    task: AbortHandle,
}

/// Serves for ever.
///
/// # Errors
///
/// If the listener can't be registered with the runtime.
pub async fn serve(listener: StdListener, router: Router) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut open: Vec<Open> = Vec::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        open.retain(|open| !open.task.is_finished());
        if open.len() >= PLACES
            && let Some(oldest) = (0..open.len()).min_by_key(|at| open[*at].heard.get())
        {
            open.swap_remove(oldest).task.abort();
        }
        let heard = Rc::new(Cell::new(Instant::now()));
        let task = tokio::task::spawn_local(attend(stream, router.clone(), Rc::clone(&heard))).abort_handle();
        open.push(Open { heard, task });
    }
}

/// Serves one connection until it ends or says nothing for too long. Aborted, it closes at once.
async fn attend(stream: TcpStream, router: Router, heard: Rc<Cell<Instant>>) {
    drop(stream.set_nodelay(true));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        heard.set(Instant::now());
        let answer = hyper::service::Service::call(&router, request.map(Body::new));
        let heard = Rc::clone(&heard);
        async move {
            let answer = answer.await;
            // What takes long to be carried out leaves its reader as much time as any other.
            heard.set(Instant::now());
            answer
        }
    });
    let connection = http1::Builder::new().max_buf_size(HEAD).serve_connection(TokioIo::new(stream), service);
    let out_of_patience = async {
        while let Some(left) = PATIENCE.checked_sub(heard.get().elapsed()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left).await;
        }
    };
    tokio::select! {
        _ = connection => {}
        () = out_of_patience => {}
    }
}
