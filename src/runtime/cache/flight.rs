//! A flight: one call that equal requests share. What has come of it so far is kept, and each of its readers goes through that at
//! its own pace, on whichever worker it lives.
//!
//! - Nobody waits for a slow reader, as long as the reply is short enough to be kept whole. Once it is not, nobody joins any more, what
//!   all have read is let go, and the call goes at the pace of the slowest; one that takes nothing at all is cut off in the end.
//! - A reader that leaves is missed by nobody. When the last has left, the call is no use to anybody, unless it is finished for the cache.
//!
//! The lock is held for moments: frames are handed out by reference.

mod cursor;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use smallvec::SmallVec;

pub use self::cursor::Cursor;
use super::Paid;
use crate::{runtime::Reserved, upstream::Failure};

/// The most readers of one flight. Who comes then makes a call of its own.
pub const MOST_READERS: usize = 1_000;

/// The least of a reply that may be on its way from the provider to its readers, in bytes.
const LEAST_WINDOW: u64 = 64 << 10;

/// The head of a reply as any of its readers may have it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, without those that are the first reader's alone.
    pub headers: HeaderMap,
    /// How long its body is, if that was said.
    pub length: Option<u64>,
    /// What it says to others.
    pub says: Says,
}

/// What a reply says to those who have asked the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// What they want to know.
    Answer,
    /// That this request is refused: for what another may not have in it.
    Refusal,
    /// That nobody could answer. It is shared with those who have seen another call fail.
    Nothing,
}

/// Why a flight has come to nothing.
#[derive(Clone, Debug)]
pub enum Failed {
    /// By a refusal of ours that is meant for one caller and no other.
    Refused,
    /// There was nobody to ask.
    Unserved,
    /// The provider has not answered.
    Upstream(Failure),
}

/// What it comes to.
#[derive(Debug)]
enum Stage {
    /// There is no reply yet.
    Waiting,
    /// Its head is here.
    Open(Arc<Head>),
    /// There will be none.
    Failed(Failed),
}

/// How its body ended.
#[derive(Clone, Debug)]
enum End {
    Whole(Option<HeaderMap>, Paid),
    Broken(Failure),
}

/// One call that is shared.
pub struct Flight(Mutex<State>);

impl fmt::Debug for Flight {
    /// Without the words of the reply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "Flight({} bytes, {} readers)", state.kept, state.present)
    }
}

struct State {
    stage: Stage,
    end: Option<End>,
    /// The frames from number `first` on.
    frames: VecDeque<Bytes>,
    first: usize,
    /// What `frames` occupy, in bytes.
    kept: u64,
    /// The bytes of the body until now, as long as it is whole, and the most that is kept of one.
    length: u64,
    most_kept: u64,
    /// Whether all of it is kept, so that who comes now misses nothing.
    is_whole: bool,
    readers: Vec<Option<Reader>>,
    /// How many of them have not left.
    present: usize,
    /// How many there were besides the first.
    joined: u32,
    /// Whether it goes on without readers.
    finishes: bool,
    is_abandoned: bool,
    /// What makes the call, when it waits for readers to read or to leave.
    pilot: Option<Waker>,
    reserved: Option<(Reserved, u64)>,
}

struct Reader {
    /// The number of the next frame.
    at: usize,
    waker: Option<Waker>,
    is_cut: bool,
}

type Wakers = SmallVec<[Waker; 4]>;

impl Flight {
    /// A call that is about to be made, and its first reader. At most so much of its reply is kept, and what is kept of all flights is
    /// at most what was `reserved` for, with its limit.
    pub(super) fn new(most_kept: u64, finishes: bool, reserved: Option<(Reserved, u64)>) -> (Arc<Self>, Cursor) {
        let flight = Arc::new(Self(Mutex::new(State {
            stage: Stage::Waiting,
            end: None,
            frames: VecDeque::new(),
            first: 0,
            kept: 0,
            length: 0,
            most_kept,
            is_whole: reserved.is_some(),
            readers: vec![Some(Reader { at: 0, waker: None, is_cut: false })],
            present: 1,
            joined: 0,
            finishes,
            is_abandoned: false,
            pilot: None,
            reserved,
        })));
        let cursor = Cursor { flight: Arc::clone(&flight), slot: 0, is_first: true, is_over: false };
        (flight, cursor)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more reader, from the first byte on. `None` if it comes too late, or if there are too many.
    pub(super) fn join(self: &Arc<Self>) -> Option<Cursor> {
        let mut state = self.state();
        if !state.can_be_joined() || state.present >= MOST_READERS {
            return None;
        }
        state.present += 1;
        state.joined += 1;
        let reader = Some(Reader { at: 0, waker: None, is_cut: false });
        let slot = match state.readers.iter().position(Option::is_none) {
            Some(slot) => {
                state.readers[slot] = reader;
                slot
            }
            None => {
                state.readers.push(reader);
                state.readers.len() - 1
            }
        };
        Some(Cursor { flight: Arc::clone(self), slot, is_first: false, is_over: false })
    }

    /// Whether somebody who comes now would see all of it.
    pub(super) fn can_be_joined(&self) -> bool {
        self.state().can_be_joined()
    }

    /// How many have joined it.
    #[must_use]
    pub fn joined(&self) -> u32 {
        self.state().joined
    }

    /// The head is here.
    pub(super) fn open(&self, head: Head) {
        let mut state = self.state();
        state.stage = Stage::Open(Arc::new(head));
        wake(state);
    }

    /// There will be no reply.
    pub(super) fn fail(&self, why: Failed) {
        let mut state = self.state();
        if matches!(state.stage, Stage::Waiting) {
            state.stage = Stage::Failed(why);
        }
        wake(state);
    }

    /// More of the reply. Returns whether all of it is still kept.
    pub(super) fn push(&self, data: Bytes) -> bool {
        let mut state = self.state();
        state.push(data);
        let is_whole = state.is_whole;
        wake(state);
        is_whole
    }

    /// All of it is here: with this at its end, these trailers for its first reader, and what it took.
    pub(super) fn complete(&self, last: Option<Bytes>, trailers: Option<HeaderMap>, paid: Paid) {
        let mut state = self.state();
        last.into_iter().for_each(|last| state.push(last));
        state.end.get_or_insert(End::Whole(trailers, paid));
        wake(state);
    }

    /// It broke off.
    pub(super) fn break_off(&self, failure: Failure) {
        let mut state = self.state();
        state.end.get_or_insert(End::Broken(failure));
        wake(state);
    }

    /// Ready when the readers have made room for more.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.is_whole || state.kept <= state.window() {
            return Poll::Ready(());
        }
        state.pilot = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when nobody reads it any more.
    pub(super) fn poll_abandoned(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.is_abandoned {
            return Poll::Ready(());
        }
        if !state.pilot.as_ref().is_some_and(|pilot| pilot.will_wake(cx.waker())) {
            state.pilot = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The number of the next frame.
    pub(super) fn next(&self) -> usize {
        self.state().next()
    }

    /// Whether all have read the frames up to this number.
    pub(super) fn all_have_read(&self, mark: usize) -> bool {
        self.state().readers.iter().flatten().all(|reader| reader.is_cut || reader.at >= mark)
    }

    /// Cuts those off who have not. Nobody is, if all are as slow.
    pub(super) fn cut_behind(&self, mark: usize) {
        let mut state = self.state();
        if !state.readers.iter().flatten().any(|reader| reader.at >= mark) {
            return;
        }
        let slow = state.readers.iter_mut().flatten().filter(|reader| !reader.is_cut && reader.at < mark);
        let cut = slow.map(|reader| reader.is_cut = true).count();
        state.present -= cut;
        state.let_go();
        wake(state);
    }
}

/// Wakes all who wait for something to read.
fn wake(mut state: MutexGuard<'_, State>) {
    let mut wakers: Wakers = state.readers.iter_mut().flatten().filter_map(|reader| reader.waker.take()).collect();
    drop(state);
    wakers.drain(..).for_each(Waker::wake);
}

/// What keeping a frame takes. Many small ones must not pass for few bytes.
fn weight(frame: &Bytes) -> u64 {
    (frame.len() + 2 * size_of::<Bytes>()) as u64
}

impl State {
    fn can_be_joined(&self) -> bool {
        let is_answer = match &self.stage {
            Stage::Waiting => true,
            Stage::Open(head) => head.says == Says::Answer,
            Stage::Failed(_) => false,
        };
        is_answer && self.is_whole && !self.is_abandoned && !matches!(self.end, Some(End::Broken(_)))
    }

    fn next(&self) -> usize {
        self.first + self.frames.len()
    }

    fn push(&mut self, data: Bytes) {
        let size = weight(&data);
        if self.is_whole {
            self.length += data.len() as u64;
            let fits = self.length <= self.most_kept;
            self.is_whole = fits && self.reserved.as_mut().is_some_and(|(reserved, limit)| reserved.grow(size, *limit));
        }
        self.kept += size;
        self.frames.push_back(data);
        if !self.is_whole {
            self.let_go();
            // What can't be kept is finished for nobody.
            self.is_abandoned |= self.present == 0;
        }
    }

    /// How much of a reply that is not kept may be on its way: what it has of the memory for all.
    fn window(&self) -> u64 {
        self.reserved.as_ref().map_or(0, |(reserved, _)| reserved.bytes()).max(LEAST_WINDOW)
    }

    /// Lets go what all have read.
    fn let_go(&mut self) {
        let read = self.readers.iter().flatten().filter(|reader| !reader.is_cut).map(|reader| reader.at).min();
        let read = read.unwrap_or(self.next());
        while self.first < read {
            let Some(frame) = self.frames.pop_front() else { break };
            self.first += 1;
            self.kept -= weight(&frame);
        }
    }

    /// What makes the call has something to look at.
    fn pilot(&mut self) -> Option<Waker> {
        let looks = self.is_abandoned || !self.is_whole && self.kept <= self.window();
        self.pilot.take_if(|_| looks)
    }
}

#[cfg(test)]
mod tests;
