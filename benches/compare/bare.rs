//! The floor of the stack that Sidegate is built on: hyper on both sides, one thread, the smallest pool that works, and
//! nothing else. No policies, no log, no bounds, no retries. What Sidegate costs beyond it is Sidegate's own doing.
//!
//! `bare LISTEN PROVIDER`, both as `IP:PORT`.

use std::{
    cell::RefCell,
    env, io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::http1::{self as client, SendRequest},
    server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
};

/// What concerns one connection and goes no further (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn main() -> io::Result<()> {
    let mut addresses = env::args().skip(1).map(|address| address.parse().expect("IP:PORT"));
    let (Some(listen), Some(provider)) = (addresses.next(), addresses.next()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "bare LISTEN PROVIDER"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, serve(listen, Rc::new(Provider::at(provider))))
}

async fn serve(listen: SocketAddr, provider: Rc<Provider>) -> io::Result<()> {
    let listener = listen_at(listen)?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let provider = Rc::clone(&provider);
        spawn_local(async move {
            let service = service_fn(|request| {
                let provider = Rc::clone(&provider);
                async move { provider.relay(request).await }
            });
            // An error is a peer that left.
            drop(server::Builder::new().serve_connection(TokioIo::new(socket), service).await);
        });
    }
}

/// With a backlog that takes thousands of clients at once.
fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

/// The provider, and the connections to it that are idle: the last one used comes first.
struct Provider {
    address: SocketAddr,
    host: HeaderValue,
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

impl Provider {
    fn at(address: SocketAddr) -> Self {
        let host = HeaderValue::try_from(address.to_string()).expect("an address is a header's value");
        Self { address, host, idle: RefCell::default() }
    }

    async fn relay(self: Rc<Self>, mut request: Request<Incoming>) -> hyper::Result<Response<Reply>> {
        less_hop_by_hop(request.headers_mut());
        request.headers_mut().insert(header::HOST, self.host.clone());
        let Ok(mut connection) = self.connection().await else {
            let mut reply = Response::new(Reply { body: None, lent: None });
            *reply.status_mut() = StatusCode::BAD_GATEWAY;
            return Ok(reply);
        };
        let mut reply = connection.send_request(request).await?;
        less_hop_by_hop(reply.headers_mut());
        Ok(reply.map(|body| Reply { body: Some(body), lent: Some((connection, self)) }))
    }

    async fn connection(&self) -> Result<SendRequest<Incoming>, Box<dyn std::error::Error>> {
        loop {
            // The borrow ends here: others take and give back while this one waits.
            let Some(mut connection) = self.idle.borrow_mut().pop() else { break };
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        let (connection, driver) = client::Builder::new().handshake(TokioIo::new(socket)).await?;
        spawn_local(async move { drop(driver.await) });
        Ok(connection)
    }
}

fn less_hop_by_hop(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// A reply's body, which gives the connection back at its end.
struct Reply {
    body: Option<Incoming>,
    lent: Option<(SendRequest<Incoming>, Rc<Provider>)>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let ended = frame.is_none() || body.is_end_stream();
        if ended && let Some((connection, provider)) = this.lent.take() {
            provider.idle.borrow_mut().push(connection);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}
