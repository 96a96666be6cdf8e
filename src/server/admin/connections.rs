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
        let task = tokio::task::spawn_local(attend(stream, router.clone(), Rc::clone(&heard), PATIENCE)).abort_handle();
        open.push(Open { heard, task });
    }
}

/// Serves one connection until it ends or says nothing for too long. Aborted, it closes at once.
async fn attend(stream: TcpStream, router: Router, heard: Rc<Cell<Instant>>, patience: Duration) {
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
        while let Some(left) = patience.checked_sub(heard.get().elapsed()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left).await;
        }
    };
    tokio::select! {
        _ = connection => {}
        () = out_of_patience => {}
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        join,
    };

    use super::*;

    /// Both ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, server) = join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    #[tokio::test]
    async fn whoever_makes_it_wait_is_left_whatever_he_is_at() {
        let large = "x".repeat(64 << 20);
        let router = Router::new().route("/small", get(|| async { "ok" })).route("/large", get(|| async { large }));
        for (name, sent) in [
            ("silent", ""),
            ("in a head", "GET /small HTTP/1.1\r\nHost: a\r\n"),
            ("idle", "GET /small HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("in a body", "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"),
            ("not reading", "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"),
        ] {
            let (mut client, server) = pair().await;
            client.write_all(sent.as_bytes()).await.unwrap();
            let heard = Rc::new(Cell::new(Instant::now()));
            let attended = attend(server, router.clone(), heard, Duration::from_millis(200));
            tokio::time::timeout(Duration::from_secs(10), attended).await.unwrap_or_else(|_| panic!("{name}: still attended"));
        }
    }

    #[tokio::test]
    async fn each_request_buys_as_much_time_again() {
        let router = Router::new().route("/", get(|| async { "ok" }));
        let (mut client, server) = pair().await;
        let patience = Duration::from_secs(2);
        let heard = Rc::new(Cell::new(Instant::now() - patience / 2));
        let before = heard.get();
        let asks = async {
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let mut reply = vec![0; 4];
            client.read_exact(&mut reply).await.unwrap();
            drop(client);
        };
        join!(attend(server, router, Rc::clone(&heard), patience), asks);
        assert!(heard.get() > before + patience / 2 - Duration::from_millis(1));
    }
}
