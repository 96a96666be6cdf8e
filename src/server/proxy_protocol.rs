//! The PROXY protocol, versions 1 and 2: what a load balancer says before everything else, TLS included, of where a
//! connection comes from.
//!
//! Only a peer that `trust.proxies` covers is asked for it, and it must say it. Not a byte is read beyond the header, so
//! what follows needs no hand-over.

use std::{io, net::IpAddr};

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest header of version 1, its line end included (PROXY protocol specification §2.1).
pub const LONGEST_V1: usize = 107;

/// The longest header of version 2 that is read: as much as the specification asks every receiver to take (§2.2).
pub const LONGEST_V2: usize = 536;

/// No header of either version is shorter, and each has shown its version by then.
const SIGNATURE: usize = v2::PROTOCOL_PREFIX.len();

/// Up to and with the length of the rest, in version 2.
const FIXED: usize = 16;

/// How much of a header is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// At least so many bytes more belong to it, and never fewer.
    Wants(usize),
    /// All of it. The source that it names; `None` where it names none, and the peer's own address stands.
    Whole(Option<IpAddr>),
}

/// What came is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Looks at what came so far, which must have been read in steps as this asked for.
///
/// # Errors
///
/// If it is no header, however it may go on.
pub fn progress(header: &[u8]) -> Result<Progress, Malformed> {
    if header.len() < SIGNATURE {
        return Ok(Progress::Wants(SIGNATURE - header.len()));
    }
    if header.starts_with(v2::PROTOCOL_PREFIX) {
        binary(header)
    } else if header.starts_with(b"PROXY ") {
        text(header)
    } else {
        Err(Malformed)
    }
}

fn binary(header: &[u8]) -> Result<Progress, Malformed> {
    let Some(fixed) = header.first_chunk::<FIXED>() else { return Ok(Progress::Wants(FIXED - header.len())) };
    let whole = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if whole > LONGEST_V2 {
        return Err(Malformed);
    }
    if header.len() < whole {
        return Ok(Progress::Wants(whole - header.len()));
    }
    // A health check of the load balancer's own. Whatever else stands in it is to be ignored, the family too (§2.2).
    if fixed[12] == v2::Version::Two | v2::Command::Local {
        return Ok(Progress::Whole(None));
    }
    let source = match v2::Header::try_from(header).map_err(|_| Malformed)?.addresses {
        v2::Addresses::IPv4(addresses) => Some(IpAddr::V4(addresses.source_address)),
        v2::Addresses::IPv6(addresses) => Some(IpAddr::V6(addresses.source_address)),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
    };
    Ok(Progress::Whole(source.map(|ip| ip.to_canonical())))
}

fn text(header: &[u8]) -> Result<Progress, Malformed> {
    match memchr::memchr(b'\r', header) {
        // Neither half of the line end is here.
        None if header.len() + 2 > LONGEST_V1 => Err(Malformed),
        None => Ok(Progress::Wants(2)),
        Some(end) if end + 1 == header.len() => Ok(Progress::Wants(1)),
        Some(_) => {
            let source = match v1::Header::try_from(header).map_err(|_| Malformed)?.addresses {
                v1::Addresses::Unknown => None,
                v1::Addresses::Tcp4(addresses) => Some(IpAddr::V4(addresses.source_address)),
                v1::Addresses::Tcp6(addresses) => Some(IpAddr::V6(addresses.source_address)),
            };
            Ok(Progress::Whole(source.map(|ip| ip.to_canonical())))
        }
    }
}

/// Reads a header and nothing behind it. The caller bounds the time.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] if what came is no header; others if the peer left before it was whole.
pub async fn read(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let (mut header, mut filled) = ([0; LONGEST_V2], 0);
    loop {
        match progress(&header[..filled]) {
            // invariant: no header is longer than the longest, so the range is within the array.
            Ok(Progress::Wants(more)) => filled += socket.read_exact(&mut header[filled..filled + more]).await?,
            Ok(Progress::Whole(source)) => return Ok(source),
            Err(Malformed) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests;
