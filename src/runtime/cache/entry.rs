//! One stored reply, and what it weighs.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Pieces;
use crate::{
    policy::cache::Dates,
    types::{Money, Usage},
};

#[cfg(test)]
mod tests;

/// What keeps an entry at its place in the store, or the memory of one that has gone: key, links, flags, and a slot in a table that is
/// never quite full. Measured with 1,000 to 131,000 of them in eight parts: 101 to 136 bytes each.
pub(super) const PLACE: u64 = 136;

/// What a `Bytes` takes beside its content from when it is first cloned: its count.
const SHARED: usize = 24;

/// The part of it that is lost in gaps between what has come and gone: a sixteenth. Measured with 64 MiB filled five times with bodies
/// of 1 to 60 KiB: 2 to 9 %.
const GAPS: u64 = 16;

/// From this size on the system's allocator maps whole pages (glibc's `M_MMAP_THRESHOLD`).
const MAPPED: usize = 128 << 10;

/// A stored reply. It holds nothing of the request but who asked and for which model, and no key of a provider.
#[derive(Clone)]
pub struct Entry {
    /// Its status.
    pub status: StatusCode,
    /// The fields that all who ask may see, each in memory of its own: see [`own`].
    pub headers: HeaderMap,
    /// The body.
    pub body: Pieces,
    /// Where the body's frames ended and how long it took until the next, if it is played at a pace; else nothing.
    pub pauses: Box<[Pause]>,
    /// When it was stored.
    pub dates: Dates,
    /// What it took to make.
    pub usage: Usage,
    /// What that cost, if it is known.
    pub cost: Option<Money>,
    /// Who asked first.
    pub client: Option<Box<str>>,
    /// The model that was asked for.
    pub model: Option<Box<str>>,
}

/// A pause in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Behind which byte of the body.
    pub at: u32,
    /// How long, in milliseconds.
    pub after_ms: u32,
}

impl Entry {
    /// The memory that it occupies, in bytes: its place in the store, the allocator's own and what that loses included.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let name = |name: &Option<Box<str>>| name.as_ref().map_or(0, |name| allocation(name.len()));
        let counts = 2 * size_of::<usize>();
        let own = PLACE
            + allocation(size_of::<Self>() + counts)
            + self.body.weight()
            + fields(&self.headers)
            + allocation(size_of_val(&*self.pauses))
            + name(&self.client)
            + name(&self.model);
        own + own / GAPS
    }
}

impl fmt::Debug for Entry {
    /// Without its content, which is what somebody was told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .field("dates", &self.dates)
            .finish_non_exhaustive()
    }
}

/// The same fields in memory of their own: those of a reply are slices of what was read from its connection, and would keep all of it.
#[must_use]
pub fn own<'a>(fields: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> HeaderMap {
    let fields = fields.into_iter();
    let mut owned = HeaderMap::with_capacity(fields.size_hint().0);
    for (name, value) in fields {
        let copy = Bytes::copy_from_slice(value.as_bytes());
        // What has been a value once is one again; else the field is missing, and nothing else.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_ref()), HeaderValue::from_maybe_shared(copy)) {
            owned.append(name, value);
        }
    }
    owned
}

/// What a map of fields occupies: its index, its places, and what stands in them.
fn fields(headers: &HeaderMap) -> u64 {
    /// A hash, a name, a value, and links to others of the same name.
    const PLACE: usize = size_of::<HeaderName>() + size_of::<HeaderValue>() + 4 * size_of::<usize>();
    let places = headers.capacity();
    // Three places for four slots of the index, of two halves of a word each.
    let index = places.div_ceil(3) * 4 * size_of::<u32>();
    let text = |(name, value): (&HeaderName, &HeaderValue)| shared(value.len()) + shared(name.as_str().len());
    allocation(index) + allocation(places * PLACE) + headers.iter().map(text).sum::<u64>()
}

/// What so many bytes take that several may hold.
pub(super) fn shared(bytes: usize) -> u64 {
    if bytes == 0 { 0 } else { allocation(bytes) + allocation(SHARED) }
}

/// What the allocator takes for so many bytes: a word before them, all in steps of 16, and whole pages for what is large.
pub(super) fn allocation(bytes: usize) -> u64 {
    let taken = match bytes {
        0 => 0,
        MAPPED.. => (bytes + 16).next_multiple_of(4096),
        _ => (bytes + size_of::<usize>()).next_multiple_of(16).max(32),
    };
    taken as u64
}
