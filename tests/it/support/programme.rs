//! What a scripted provider is to play, and what went wrong while it did: the same for HTTP/1 and HTTP/2.

use std::{collections::VecDeque, sync::Mutex};

/// Who asks for what. What is not named may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) key: Option<String>,
    pub(crate) model: Option<String>,
}

impl Asker {
    fn is(&self, key: &str, model: &str) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        fits(&self.key, key) && fits(&self.model, model)
    }
}

/// The scripts of one provider, shared by all its connections.
pub(crate) struct Programme<S> {
    /// For who asks for what, before all others.
    rules: Mutex<Vec<(Asker, S)>>,
    scripts: Mutex<VecDeque<S>>,
    otherwise: Mutex<Option<S>>,
    trouble: Mutex<Vec<String>>,
}

impl<S> Default for Programme<S> {
    fn default() -> Self {
        Self { rules: Mutex::default(), scripts: Mutex::default(), otherwise: Mutex::default(), trouble: Mutex::default() }
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

    /// Each request of such an asker gets this one from now on, whatever else is to be played. Later rules go first.
    pub(crate) fn rule(&self, asker: Asker, script: S) {
        self.rules.lock().unwrap().insert(0, (asker, script));
    }

    /// Takes all rules back.
    pub(crate) fn forget_rules(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// Whether it matters who asks.
    pub(crate) fn has_rules(&self) -> bool {
        !self.rules.lock().unwrap().is_empty()
    }

    /// What the request of this asker gets.
    pub(crate) fn next_for(&self, key: &str, model: &str) -> Option<S> {
        let rule = self.rules.lock().unwrap().iter().find(|(asker, _)| asker.is(key, model)).map(|(_, script)| script.clone());
        rule.or_else(|| self.next())
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
