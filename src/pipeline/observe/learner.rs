//! Beside step 9: which account has made what a reply tells of.
//!
//! It looks at the first part of replies to operations that make or ask for stored objects, and to no others. As an observer
//! does, it passes nothing, holds nothing back and can't fail; what it does not learn is looked for at home.

use std::{
    io::{self, Write},
    sync::Arc,
};

use bytes::Bytes;
use flate2::write::{GzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};

use super::{Media, encoded::Coding, ends_an_event};
use crate::{
    policy::key_pool::homes::{Homes, MakerId},
    provider::objects::reply::{self, LONGEST},
    types::{ObjectIds, RequestFormat},
};

/// How often a stream is looked at before its first part is there: most tell the id with the first event.
const LOOKS: u32 = 8;

/// What learns the ids that one reply tells.
#[derive(Debug)]
pub struct Learner {
    homes: Arc<Homes>,
    account: MakerId,
    format: RequestFormat,
    is_stream: bool,
    coding: Option<Coding>,
    /// The first part, as it came.
    held: Vec<u8>,
    looks: u32,
}

impl Learner {
    /// For a successful reply with this head, made with a key of `account`. `None` if it can't be read.
    #[must_use]
    pub fn of(headers: &HeaderMap, format: RequestFormat, homes: &Arc<Homes>, account: MakerId) -> Option<Box<Self>> {
        let is_stream = match Media::of(headers) {
            Media::Events => true,
            Media::Json => false,
            Media::Other => return None,
        };
        let coding = match headers.get(CONTENT_ENCODING) {
            None => None,
            Some(value) => Some(Coding::of(value)?),
        };
        let homes = Arc::clone(homes);
        Some(Box::new(Self { homes, account, format, is_stream, coding, held: Vec::new(), looks: LOOKS }))
    }

    /// The next bytes of the body. Whether no more of them are wanted.
    #[must_use]
    pub fn frame(&mut self, data: &Bytes) -> bool {
        let room = LONGEST - self.held.len();
        self.held.extend_from_slice(&data[..data.len().min(room)]);
        if self.held.len() == LONGEST {
            self.learn();
            return true;
        }
        let is_told = self.is_stream && self.looks > 0 && (self.coding.is_some() || ends_an_event(&self.held));
        self.looks -= u32::from(is_told);
        is_told && self.learn()
    }

    /// No more comes.
    pub fn finish(mut self) {
        self.learn();
    }

    /// Whether there was anything to learn.
    fn learn(&mut self) -> bool {
        let ids = match self.coding {
            None => self.told(&self.held),
            Some(coding) => self.told(&decoded(coding, &self.held)),
        };
        ids.iter().for_each(|id| self.homes.learn(id, self.account));
        !ids.is_empty()
    }

    fn told(&self, bytes: &[u8]) -> ObjectIds {
        if self.is_stream { reply::told_by_event(self.format, bytes) } else { reply::told(self.format, bytes) }
    }
}

/// The first part of what these bytes stand for: no more than [`LONGEST`], whatever they say.
fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    /// As far as it goes is as far as it is read.
    fn run(mut decoder: impl Write, bytes: &[u8]) {
        let _ = decoder.write_all(bytes).and_then(|()| decoder.flush());
    }
    let mut first = First(Vec::new());
    match coding {
        Coding::Gzip => run(GzDecoder::new(&mut first), bytes),
        Coding::Deflate => run(ZlibDecoder::new(&mut first), bytes),
    }
    first.0
}

/// Takes the first bytes, and then no more.
struct First(Vec<u8>);

impl Write for First {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(LONGEST - self.0.len());
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
