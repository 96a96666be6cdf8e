//! Replies that were thought of before, so that a load of equal requests costs the provider next to nothing.
//!
//! Equal seeds and equal requests make equal replies: a reply that is remembered is the one that would be made anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::request::Parts;

use super::{
    ask::Weight,
    dialect,
    script::{Event, Script},
};
use crate::types::Dialect;

/// Replies that are remembered; when there are more, all are forgotten.
const MOST_REPLIES: usize = 256;

/// The longest request that is remembered.
const LONGEST_REQUEST: usize = 16 << 10;

/// The longest reply that is remembered, in bytes and, for a stream, in tokens.
const LONGEST_REPLY: usize = 64 << 10;
const MOST_TOKENS: usize = 512;

/// The endpoints whose reply depends on the request alone.
const ENDPOINTS: [&str; 4] = ["chat/completions", "completions", "embeddings", "messages"];

/// All of a request that a reply depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    dialect: Dialect,
    target: String,
    /// A field that one dialect insists on.
    versioned: bool,
    body: Bytes,
}

impl Question {
    /// The question of a request, where its answer may be remembered.
    pub(super) fn of(dialect: Dialect, head: &Parts, body: &Bytes) -> Option<Self> {
        let rest = dialect::rest(head.uri.path())?;
        let generates = ENDPOINTS.contains(&rest) || rest.ends_with("enerateContent");
        (generates && head.method == http::Method::POST && body.len() <= LONGEST_REQUEST).then(|| Self {
            dialect,
            target: head.uri.path_and_query().map_or_else(String::new, |target| target.as_str().to_owned()),
            versioned: head.headers.contains_key("anthropic-version"),
            body: body.clone(),
        })
    }
}

/// A reply that is remembered.
pub(super) struct Reply {
    /// What it costs an account.
    pub(super) weight: Weight,
    content_type: &'static str,
    stream: bool,
    events: Vec<(usize, Bytes)>,
    tokens: usize,
}

impl Reply {
    /// Says it again.
    pub(super) fn script(self: Arc<Self>) -> Script {
        let (content_type, tokens) = (self.content_type, self.tokens);
        match self.events.first() {
            Some((_, content)) if !self.stream => Script::Whole { content_type, content: content.clone(), tokens },
            _ => {
                let events = (0..self.events.len()).map(move |n| Event { at: self.events[n].0, frame: self.events[n].1.clone() });
                Script::Stream { content_type, events: Box::new(events), tokens }
            }
        }
    }
}

/// The replies that are remembered.
#[derive(Default)]
pub(super) struct Memo(Mutex<HashMap<Question, Arc<Reply>>>);

impl Memo {
    /// The reply to this question, if it was asked before.
    pub(super) fn get(&self, question: &Question) -> Option<Arc<Reply>> {
        self.lock().get(question).cloned()
    }

    /// Remembers a reply, where it is not too long, and gives it back.
    pub(super) fn keep(&self, question: Question, weight: Weight, script: Script) -> Script {
        let reply = match script {
            Script::Whole { content_type, content, tokens } => {
                Reply { weight, content_type, stream: false, events: vec![(tokens, content)], tokens }
            }
            Script::Stream { content_type, events, tokens } if tokens <= MOST_TOKENS => {
                let events = events.map(|event| (event.at, event.frame)).collect();
                Reply { weight, content_type, stream: true, events, tokens }
            }
            long @ Script::Stream { .. } => return long,
        };
        let reply = Arc::new(reply);
        if reply.events.iter().map(|(_, frame)| frame.len()).sum::<usize>() <= LONGEST_REPLY {
            let mut known = self.lock();
            if known.len() >= MOST_REPLIES {
                known.clear();
            }
            known.insert(question, Arc::clone(&reply));
        }
        reply.script()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Arc<Reply>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(body: &str) -> Question {
        let head = http::Request::post("/v1/chat/completions").body(()).unwrap().into_parts().0;
        Question::of(Dialect::Openai, &head, &Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn frames(script: Script) -> Vec<(usize, Bytes)> {
        match script {
            Script::Whole { content, tokens, .. } => vec![(tokens, content)],
            Script::Stream { events, .. } => events.map(|event| (event.at, event.frame)).collect(),
        }
    }

    #[test]
    fn a_reply_is_said_again_as_it_was_said_first() {
        let memo = Memo::default();
        let events = || (0..3).map(|n| Event { at: n, frame: Bytes::from(format!("{n}")) });
        let first = frames(memo.keep(question("a"), Weight::default(), Script::stream(events(), 2)));
        assert_eq!(first, frames(Script::stream(events(), 2)));
        assert_eq!(frames(memo.get(&question("a")).unwrap().script()), first);
        assert!(memo.get(&question("b")).is_none());
        frames(memo.keep(question("b"), Weight::default(), Script::content("x/y", "whole", 7)));
        assert!(matches!(memo.get(&question("b")).unwrap().script(), Script::Whole { tokens: 7, .. }));
    }

    #[test]
    fn what_is_too_long_or_too_much_is_not_remembered() {
        let memo = Memo::default();
        memo.keep(question("a"), Weight::default(), Script::content("x/y", vec![0; LONGEST_REPLY + 1], 0));
        let endless = std::iter::repeat_with(|| Event { at: 0, frame: Bytes::new() });
        memo.keep(question("a"), Weight::default(), Script::stream(endless, MOST_TOKENS + 1));
        assert!(memo.get(&question("a")).is_none());
        for n in 0..2 * MOST_REPLIES {
            memo.keep(question(&n.to_string()), Weight::default(), Script::content("x/y", "", 0));
            assert!(memo.lock().len() <= MOST_REPLIES);
        }
    }
}
