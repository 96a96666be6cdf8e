//! What is to be delivered: the same for every attempt, whichever target and key it goes to.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::{
    super::{
        Generations,
        admit::Admitted,
        client::Client,
        fields::{Present, body_may_change},
        trail::Trail,
        upgrade,
    },
    Asks,
    stopped::Stopped,
};
use crate::{
    config,
    policy::{
        key_pool::{Asked, Tried},
        retry,
    },
    provider::splice,
    runtime::{Held, Provider, Route, Runtime, Target},
    types::{Moment, RequestFormat},
    upstream::{Upload, Upstream},
};

/// How long the client itself waits, as OpenAI's SDKs say it, in seconds: Node's, then Python's.
const CLIENT_TIMEOUTS: [HeaderName; 2] =
    [HeaderName::from_static("x-stainless-timeout"), HeaderName::from_static("x-stainless-read-timeout")];

/// How often the client has retried by itself, as the same SDKs say it.
const CLIENT_RETRIES: HeaderName = HeaderName::from_static("x-stainless-retry-count");

/// By this a provider tells a second send from another request (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What stays as it is from attempt to attempt.
pub(super) struct Errand<'a, 's> {
    pub(super) upstream: &'a Upstream,
    pub(super) generations: &'s Generations<'s>,
    pub(super) client: &'a Client,
    pub(super) asks: Asks,
    /// Whether it asks for a WebSocket.
    pub(super) upgrades: bool,
    pub(super) facts: retry::Request,
    /// When its client stops waiting, if it says so.
    pub(super) patience: Option<Duration>,
    /// Without its fields once it has gone up and can't a second time.
    pub(super) request: Admitted,
    /// Gone by then.
    upload: Option<Upload>,
}

impl<'a, 's> Errand<'a, 's> {
    pub(super) fn new(
        (upstream, client): (&'a Upstream, &'a Client),
        (generations, asks): (&'s Generations<'s>, Asks),
        (mut request, upload): (Admitted, Upload),
        route: &Route,
    ) -> Self {
        let upgrades = upgrade::asked(&mut request.head, &upload);
        let headers = &request.head.headers;
        // One look says whether any of them is there.
        let says = request.present.has(Present::AGAIN);
        let number = |name: &HeaderName| if says { number(headers, name) } else { None };
        let facts = retry::Request {
            repeat: asks.repeat,
            is_idempotent: request.head.method.is_idempotent() || says && headers.contains_key(IDEMPOTENCY_KEY),
            key_is_callers: route.credentials == config::Credentials::Client,
            client_retries: number(&CLIENT_RETRIES).map_or(0, |count| count as u32),
        };
        let patience = CLIENT_TIMEOUTS.iter().find_map(number).map(Duration::from_secs_f64);
        Self { upstream, generations, client, asks, upgrades, facts, patience, request, upload: Some(upload) }
    }

    pub(super) fn runtime(&self) -> &'s Runtime {
        self.generations.runtime
    }

    pub(super) fn now(&self) -> Moment {
        self.runtime().moment()
    }

    /// What bounds the memory for decoded copies.
    pub(super) fn memory(&self) -> (&'s Held, u64) {
        (&self.runtime().held, self.generations.own.body.buffer_total.0)
    }

    /// What it asks of a provider's pool.
    pub(super) fn asked<'k>(&self, provider: &Provider, model: Option<&'k str>, tried: &'k Tried) -> Asked<'k> {
        let Asks { whose, tokens, prefix, .. } = self.asks;
        Asked {
            choice: provider.choice(&whose),
            model,
            tokens,
            prefix,
            tried,
            repeatable: self.can_be_repeated(),
            random: fastrand::u64(..),
        }
    }

    /// Whether it can go up as a whole now: for the first time, or again.
    pub(super) fn can_be_sent(&self) -> bool {
        self.upload.is_some()
    }

    /// Whether it could go up again after it went up now.
    pub(super) fn can_be_repeated(&self) -> bool {
        self.upload.as_ref().is_some_and(Upload::can_go_again)
    }

    /// The body that goes up. It is kept as well where it may go again, and `could_go_again`: then [`Self::can_be_sent`].
    pub(super) fn take(&mut self, could_go_again: bool) -> Option<Upload> {
        let kept = self.upload.as_ref().filter(|_| could_go_again).and_then(Upload::again);
        std::mem::replace(&mut self.upload, kept)
    }

    /// Whether the target's name for the model can be put into the request, if it has one.
    pub(super) fn can_be_renamed(&self, target: &Target, trail: &Trail) -> Result<(), Stopped> {
        let asks_for_model = trail.ask().model.is_some();
        if target.model.is_none() || !asks_for_model || target.provider.dialect.request_format() == RequestFormat::Gemini {
            return Ok(());
        }
        let fits = || {
            let (request, upload) = (&self.request, self.upload.as_ref()?);
            let may_change = body_may_change(request.present);
            (may_change && upload.whole().is_some()).then_some(trail.ask().model_at.as_ref()?)
        };
        fits().map(drop).ok_or(Stopped::Unrenamable)
    }
}

/// Puts the target's name for the model into the body, where it stands in one.
pub(super) fn rename(upload: &mut Upload, target: &Target, trail: &Trail) {
    let Some((name, at)) = target.model.as_deref().zip(trail.ask().model_at.as_ref()) else { return };
    if let Some(renamed) = upload.whole().map(|body| splice::model(body, at, name)) {
        upload.replace(renamed);
    }
}

/// A number that is neither negative nor beyond a day's seconds.
fn number(headers: &HeaderMap, name: &HeaderName) -> Option<f64> {
    let number: f64 = headers.get(name)?.to_str().ok()?.parse().ok()?;
    (0.0..=86_400.0).contains(&number).then_some(number)
}
