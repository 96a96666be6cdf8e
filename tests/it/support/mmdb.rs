//! A small GeoIP database, written byte by byte after the MaxMind DB format 2.0: a tree over 128 bits with records of 24, an
//! entry for each network, and the metadata.

use std::net::IpAddr;

/// A node's side.
#[derive(Clone, Copy)]
enum Side {
    Nothing,
    Node(usize),
    /// Where the entry begins among the entries.
    Entry(usize),
}

/// A database in the making.
pub(crate) struct Mmdb {
    kind: &'static str,
    nodes: Vec<[Side; 2]>,
    entries: Vec<u8>,
}

impl Mmdb {
    /// One without an entry.
    pub(crate) fn empty(kind: &'static str) -> Self {
        Self { kind, nodes: vec![[Side::Nothing; 2]], entries: Vec::new() }
    }

    /// One that tells countries: each of these networks, with the codes of its country and its continent; an empty one is left out.
    pub(crate) fn of_countries(places: &[(&str, &str, &str)]) -> Vec<u8> {
        let with = |database: Self, (network, country, continent): &(&str, &str, &str)| {
            let parts = [("country", "iso_code", country), ("continent", "code", continent)];
            let told: Vec<_> = parts.into_iter().filter(|(_, _, code)| !code.is_empty()).collect();
            let fields = told.iter().flat_map(|(part, field, code)| [text(part), map(1), text(field), text(code)].concat());
            database.with(network, [map(told.len()), fields.collect()].concat())
        };
        places.iter().fold(Self::empty("GeoLite2-Country"), with).bytes()
    }

    /// With an entry, as it is encoded, for a network that no other one overlaps.
    pub(crate) fn with(mut self, network: &str, entry: Vec<u8>) -> Self {
        let (ip, prefix) = network.split_once('/').expect("a network");
        let (bits, depth) = match ip.parse().expect("an address") {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()), 96),
            IpAddr::V6(ip) => (ip.to_bits(), 0),
        };
        let depth: usize = depth + prefix.parse::<usize>().expect("a prefix");
        let mut node = 0;
        for at in 0..depth - 1 {
            let side = usize::from(bits >> (127 - at) & 1 == 1);
            node = match self.nodes[node][side] {
                Side::Node(next) => next,
                Side::Nothing => {
                    self.nodes.push([Side::Nothing; 2]);
                    self.nodes[node][side] = Side::Node(self.nodes.len() - 1);
                    self.nodes.len() - 1
                }
                Side::Entry(_) => panic!("{network} lies in another network"),
            };
        }
        self.nodes[node][usize::from(bits >> (128 - depth) & 1 == 1)] = Side::Entry(self.entries.len());
        self.entries.extend(entry);
        self
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = self.nodes.len();
        let record = |side: &Side| match side {
            Side::Nothing => count,
            Side::Node(node) => *node,
            Side::Entry(at) => count + 16 + at,
        };
        let mut file: Vec<u8> = self.nodes.iter().flatten().flat_map(|side| (record(side) as u32).to_be_bytes()[1..].to_vec()).collect();
        file.extend([0; 16]);
        file.extend(&self.entries);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        file.extend(map(9));
        for (field, value) in [
            ("binary_format_major_version", number(5, 2)),
            ("binary_format_minor_version", number(5, 0)),
            ("build_epoch", number(9, 1_760_000_000)),
            ("database_type", text(self.kind)),
            ("description", map(0)),
            ("ip_version", number(5, 6)),
            ("languages", control(11, 0)),
            ("node_count", number(6, count as u64)),
            ("record_size", number(5, 24)),
        ] {
            file.extend(text(field).into_iter().chain(value));
        }
        file
    }
}

/// What stands before a value: its type, and its size, which is at most 284 here.
fn control(kind: u8, size: usize) -> Vec<u8> {
    let (short, more) = if size < 29 { (size as u8, None) } else { (29, Some((size - 29) as u8)) };
    let kind = if kind < 8 { vec![kind << 5 | short] } else { vec![short, kind - 7] };
    kind.into_iter().chain(more).collect()
}

/// A text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [control(2, text.len()), text.as_bytes().to_vec()].concat()
}

/// The head of a map of so many fields.
pub(crate) fn map(fields: usize) -> Vec<u8> {
    control(7, fields)
}

/// A number of the type 5 (16 bits), 6 (32) or 9 (64).
pub(crate) fn number(kind: u8, number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    [control(kind, digits.len()), digits.to_vec()].concat()
}
