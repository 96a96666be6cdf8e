use proptest::prelude::*;

use super::*;

/// Reads off `bytes` as a socket would be read: the answer, and how much was taken.
fn taken(bytes: &[u8]) -> (Result<Option<IpAddr>, io::ErrorKind>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut rest = bytes;
    let read = runtime.block_on(read(&mut rest)).map_err(|error| error.kind());
    (read, bytes.len() - rest.len())
}

/// A header of version 2 with this command, family and payload.
fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length.to_be_bytes(), payload].concat()
}

const TO: [u8; 8] = [10, 0, 0, 9, 1, 187, 0, 80];

fn from_v4(source: [u8; 4], more: &[u8]) -> Vec<u8> {
    let [a, b, c, d, ..] = TO;
    v2(1, 0x11, &[&source[..], &[a, b, c, d], &TO[4..], more].concat())
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn the_source_is_taken_and_not_a_byte_beyond_the_header() {
    let v6 = |source: &str| [&source.parse::<std::net::Ipv6Addr>().unwrap().octets()[..], &[0; 16], &TO[4..]].concat();
    for (header, source) in [
        (b"PROXY TCP4 203.0.113.7 10.0.0.9 40000 443\r\n".to_vec(), ip("203.0.113.7")),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 40000 443\r\n".to_vec(), ip("2001:db8::1")),
        (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 40000 443\r\n".to_vec(), ip("203.0.113.7")),
        (b"PROXY TCP6 :: :: 1 1\r\n".to_vec(), ip("::")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), None),
        (from_v4([203, 0, 113, 7], b""), ip("203.0.113.7")),
        (from_v4([203, 0, 113, 7], b"\x04\x00\x03abc"), ip("203.0.113.7")),
        (from_v4([203, 0, 113, 7], &[0; LONGEST_V2 - FIXED - 12]), ip("203.0.113.7")),
        (v2(1, 0x21, &v6("2001:db8::1")), ip("2001:db8::1")),
        (v2(1, 0x21, &v6("::ffff:203.0.113.7")), ip("203.0.113.7")),
        (v2(0, 0x00, b""), None),
        // What a health check says of itself counts as nothing.
        (v2(0, 0x11, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), None),
        (v2(0, 0x11, b"short"), None),
        (v2(0, 0x77, b"any"), None),
        (v2(1, 0x00, b"any"), None),
        (v2(1, 0x31, &[7; 216]), None),
    ] {
        for behind in ["", "G", "GET / HTTP/1.1\r\n\r\n", "PROXY UNKNOWN\r\n"] {
            let bytes = [&header[..], behind.as_bytes()].concat();
            assert_eq!(taken(&bytes), (Ok(source), header.len()), "{}", bytes.escape_ascii());
        }
        for cut in 0..header.len() {
            assert_eq!(taken(&header[..cut]).0, Err(io::ErrorKind::UnexpectedEof), "{}", header[..cut].escape_ascii());
        }
    }
}

#[test]
fn what_is_no_header_is_refused_as_soon_as_that_is_plain() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_V1 - 15));
    for bytes in [
        &b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY\tTCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        b"PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 ::1 ::2 1 2\r\n",
        b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
        b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY UNKNOWN\r\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX",
        long.as_bytes(),
        &from_v4([1, 1, 1, 1], &[0; LONGEST_V2 - FIXED - 11]),
        &v2(2, 0x11, &[0; 12]),
        &v2(1, 0x11, &[0; 11]),
        &v2(1, 0x21, &[0; 35]),
        &v2(1, 0x41, &[0; 36]),
        &v2(1, 0x13, &[0; 12]),
        &[v2::PROTOCOL_PREFIX, &[0x11, 0x11, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat(),
    ] {
        assert_eq!(taken(bytes).0, Err(io::ErrorKind::InvalidData), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_line_that_never_ends_is_given_up_at_its_bound() {
    let (read, length) = taken(&[b"PROXY UNKNOWN ", &[b'x'; 1_000][..]].concat());
    assert_eq!(read, Err(io::ErrorKind::InvalidData));
    assert!(length <= LONGEST_V1, "{length}");
}

proptest! {
    /// Whatever comes, reading ends within the bound, and a header that is taken is one for the whole parser too.
    #[test]
    fn no_bytes_are_read_beyond_a_header_or_its_bound(
        start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", v2::PROTOCOL_PREFIX, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"]),
        rest in prop::collection::vec(any::<u8>(), 0..700),
    ) {
        let bytes = [start, &rest].concat();
        let (read, length) = taken(&bytes);
        prop_assert!(length <= LONGEST_V2);
        if read.is_ok() {
            let header = &bytes[..length];
            let local = header.starts_with(v2::PROTOCOL_PREFIX) && header[12] == 0x20;
            prop_assert!(local || v2::Header::try_from(header).is_ok() || header.ends_with(b"\r\n") && v1::Header::try_from(header).is_ok());
        }
    }

    #[test]
    fn every_address_is_read_back(v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), port in any::<u16>()) {
        let (v4, v6) = (IpAddr::from(v4), IpAddr::from(v6));
        let line = |family: &str, ip: IpAddr| format!("PROXY {family} {ip} {ip} {port} {port}\r\n").into_bytes();
        for (header, source) in [(line("TCP4", v4), v4), (line("TCP6", v6), v6)] {
            prop_assert_eq!(taken(&header), (Ok(Some(source.to_canonical())), header.len()));
        }
    }
}
