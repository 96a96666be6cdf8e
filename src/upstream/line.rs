//! The line of those who wait for a connection, and the count of connections that are open.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
};

use tokio::sync::oneshot;

use super::{Failure, endpoint::Observer};

/// "Look again", or why it is of no use.
pub(super) type Word = Result<(), Failure>;

/// Those who wait, first come, first served.
#[derive(Default)]
pub(super) struct Line {
    waiting: RefCell<VecDeque<oneshot::Sender<Word>>>,
    open: Cell<usize>,
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

    /// Connections that are open now.
    pub(super) fn open(&self) -> usize {
        self.open.get()
    }
}

/// One open connection, for as long as this lives.
pub(super) struct Open {
    line: Rc<Line>,
    observer: Arc<dyn Observer>,
}

impl Open {
    pub(super) fn count(line: &Rc<Line>, observer: &Arc<dyn Observer>) -> Self {
        line.open.set(line.open.get() + 1);
        observer.connected();
        Self { line: Rc::clone(line), observer: Arc::clone(observer) }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.line.open.set(self.line.open.get() - 1);
        self.observer.disconnected();
        // There is room for another.
        self.line.tell_one(Ok(()));
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
