//! A place where nobody listens, until somebody does.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

use super::Provider;

/// A port that is taken and refuses every connection: nobody else can come to listen there meanwhile.
pub(crate) struct Refused {
    pub(crate) address: SocketAddr,
    socket: TcpSocket,
}

impl Refused {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        Self { address, socket }
    }

    /// From now on there is a provider.
    pub(crate) fn open(self) -> Provider {
        Provider::on(self.socket.listen(1024).expect("a bound socket can listen"))
    }
}
