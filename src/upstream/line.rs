//! The line of those who wait for a connection, and the places for connections that they wait for.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use tokio::sync::oneshot;

use super::Failure;

/// "Look again", or why it is of no use.
pub(super) type Word = Result<(), Failure>;

/// Those who wait, first come, first served.
#[derive(Default)]
pub(super) struct Line {
    waiting: RefCell<VecDeque<oneshot::Sender<Word>>>,
    taken: Cell<usize>,
}

impl Line {
    /// Joins the end of the line.
    pub(super) fn join(&self) -> oneshot::Receiver<Word> {
        let (tell, told) = oneshot::channel();
        self.waiting.borrow_mut().push_back(tell);
        told
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Tells the first who still waits.
    pub(super) fn tell_one(&self, word: Word) {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(next) = waiting.pop_front() {
            if next.send(word.clone()).is_ok() {
                return;
            }
        }
    }

    pub(super) fn tell_all(&self, word: &Word) {
        for waiting in std::mem::take(&mut *self.waiting.borrow_mut()) {
            drop(waiting.send(word.clone()));
        }
    }

    /// Places that are taken now.
    pub(super) fn taken(&self) -> usize {
        self.taken.get()
    }
}

/// One of the connections that may be there at once: from the start of its dial until it is gone or takes nothing new.
pub(super) struct Place(Rc<Line>);

impl Place {
    /// A place among `max`, if one is free.
    pub(super) fn take(line: &Rc<Line>, max: usize) -> Option<Self> {
        let taken = line.taken.get();
        if taken >= max {
            return None;
        }
        line.taken.set(taken + 1);
        Some(Self(Rc::clone(line)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        // There is room for another.
        self.0.tell_one(Ok(()));
    }
}

/// The turn of one who was told to look again. Who leaves without having used it hands it on, or the next in line
/// would sleep beside a free connection.
pub(super) struct Turn<'l>(Option<&'l Line>);

impl<'l> Turn<'l> {
    pub(super) fn of(line: &'l Line) -> Self {
        Self(Some(line))
    }

    pub(super) fn used(mut self) {
        self.0 = None;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.0 {
            line.tell_one(Ok(()));
        }
    }
}
