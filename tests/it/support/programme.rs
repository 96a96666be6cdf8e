//! What a scripted provider is to play, and what went wrong while it did: the same for HTTP/1 and HTTP/2.

use std::{collections::VecDeque, sync::Mutex};

/// The scripts of one provider, shared by all its connections.
pub(crate) struct Programme<S> {
    scripts: Mutex<VecDeque<S>>,
    otherwise: Mutex<Option<S>>,
    trouble: Mutex<Vec<String>>,
}

impl<S> Default for Programme<S> {
    fn default() -> Self {
        Self { scripts: Mutex::default(), otherwise: Mutex::default(), trouble: Mutex::default() }
    }
}

impl<S: Clone> Programme<S> {
    /// The next request without a script of its own gets this one.
    pub(crate) fn add(&self, script: S) {
        self.scripts.lock().unwrap().push_back(script);
    }

    /// Requests without a script of their own get this one.
    pub(crate) fn otherwise(&self, script: S) {
        *self.otherwise.lock().unwrap() = Some(script);
    }

    /// Takes back the scripts that no request has come for; whether there were any.
    pub(crate) fn forget(&self) -> bool {
        !std::mem::take(&mut *self.scripts.lock().unwrap()).is_empty()
    }

    pub(crate) fn next(&self) -> Option<S> {
        let next = self.scripts.lock().unwrap().pop_front();
        next.or_else(|| self.otherwise.lock().unwrap().clone())
    }

    pub(crate) fn complain(&self, what: String) {
        // A story that waits in vain fails first; this tells it why.
        eprintln!("at the provider: {what}");
        self.trouble.lock().unwrap().push(what);
    }

    /// At a provider's end: fails the test if a script was left over or something went wrong, unless it fails already.
    pub(crate) fn ends_well(&self) {
        if std::thread::panicking() {
            return;
        }
        let trouble = self.trouble.lock().unwrap();
        assert!(trouble.is_empty(), "at the provider: {}", trouble.join("; "));
        assert_eq!(self.scripts.lock().unwrap().len(), 0, "scripts that no request came for");
    }
}
