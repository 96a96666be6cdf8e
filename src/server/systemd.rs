//! What systemd passes in and wants to be told: sockets that it has bound (sd_listen_fds(3)), and the state of the service
//! (sd_notify(3)). Any other supervisor that speaks the same is served the same.

use std::{
    ffi::OsStr,
    io::{Error, ErrorKind, Result},
    net::{IpAddr, TcpListener},
    os::unix::{
        ffi::OsStrExt,
        net::{SocketAddr, UnixDatagram},
    },
};

use listenfd::ListenFd;
use rustix::time::{ClockId, clock_gettime};

use super::listener::Bound;
use crate::{config::Config, types::Address};

/// The name under which the admin listener's socket is passed (`FileDescriptorName=`, systemd.socket(5)).
const ADMIN: &str = "admin";

/// Sockets that were bound before we were started, in place of those that the config names.
#[derive(Debug, Default)]
pub struct Passed {
    /// Where applications connect.
    pub listen: Option<Bound>,
    /// Where operators connect.
    pub admin: Option<TcpListener>,
}

impl Passed {
    /// Those of this process: the one named `admin` is the admin listener's, the other is the applications'.
    ///
    /// # Errors
    ///
    /// If there are more, or one is no listening socket of a kind that is known.
    pub fn of_process() -> Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").ok();
        let mut passed = ListenFd::from_env();
        let (listen, admin) = roles(passed.len(), names.as_deref()).map_err(refused)?;
        let listen = match listen {
            Some(at) => match passed.take_tcp_listener(at) {
                Ok(socket) => socket.map(Bound::Tcp),
                Err(_) => passed.take_unix_listener(at)?.map(Bound::Unix),
            },
            None => None,
        };
        let admin = admin.map(|at| passed.take_tcp_listener(at)).transpose()?.flatten();
        Ok(Self { listen, admin })
    }
}

/// Which of `count` sockets is the applications', and which the admin listener's.
fn roles(count: usize, names: Option<&str>) -> std::result::Result<(Option<usize>, Option<usize>), &'static str> {
    let mut names = names.unwrap_or_default().split(':');
    let (mut listen, mut admin) = (None, None);
    for at in 0..count {
        let role = if names.next() == Some(ADMIN) { &mut admin } else { &mut listen };
        if role.replace(at).is_some() {
            return Err("more sockets were passed than one, and one named `admin`");
        }
    }
    Ok((listen, admin))
}

/// Whether the config would let us bind there too. A socket that was passed opens no door that the config keeps shut.
///
/// # Errors
///
/// What the config would have to say.
pub fn allows(config: &Config, listen: Option<&Address>, admin: Option<IpAddr>) -> Result<()> {
    if listen.is_some_and(|address| !address.is_local()) && config.clients.is_none() {
        return Err(refused("other machines can reach the socket that was passed, and nothing says who may call: add `clients:`"));
    }
    let reachable = |ip: IpAddr| !ip.to_canonical().is_loopback();
    if admin.is_some_and(reachable) && !reachable(config.admin.address.ip()) {
        return Err(refused("other machines can reach the socket that was passed for the admin listener"));
    }
    Ok(())
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("socket activation: {why}"))
}

/// Who is told how the service does; nobody where nobody asked. That nobody listens any more is no error.
#[derive(Debug, Default)]
pub struct Notify(Option<(UnixDatagram, SocketAddr)>);

impl Notify {
    /// As `NOTIFY_SOCKET` of this process says.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::var_os("NOTIFY_SOCKET").map_or_else(Self::default, |address| Self::to(&address))
    }

    /// The socket at this path, or with this abstract name behind an `@`.
    #[must_use]
    pub fn to(address: &OsStr) -> Self {
        let address = match address.as_bytes() {
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name),
            _ => SocketAddr::from_pathname(address),
        };
        Self(address.and_then(|address| Ok((UnixDatagram::unbound()?, address))).ok())
    }

    /// Both listeners are bound, or a reload is over; `status` is shown by `systemctl status`.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// A reload begins; [`Self::ready`] ends it. With `Type=notify-reload` systemd waits for both.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading"));
    }

    /// A drain has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=draining");
    }

    fn tell(&self, what: &str) {
        if let Some((socket, address)) = &self.0
            && let Err(error) = socket.send_to_addr(what.as_bytes(), address)
        {
            tracing::debug!(%error, "nobody hears how the service does");
        }
    }
}

/// A line break would begin another word of the protocol.
fn one_line(status: &str) -> String {
    status.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_by_their_names() {
        assert_eq!(roles(0, None), Ok((None, None)));
        assert_eq!(roles(1, None), Ok((Some(0), None)));
        assert_eq!(roles(1, Some("admin")), Ok((None, Some(0))));
        assert_eq!(roles(2, Some("sidegate.socket:admin")), Ok((Some(0), Some(1))));
        assert_eq!(roles(2, Some("admin:sidegate")), Ok((Some(1), Some(0))));
        for (count, names) in [(2, None), (2, Some("admin:admin")), (3, Some("a:admin:b"))] {
            assert!(roles(count, names).is_err(), "{names:?}");
        }
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(one_line("a\nREADY=1\r\nb"), "a READY=1  b");
    }
}
