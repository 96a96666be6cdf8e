//! Why no provider has answered, where nothing was sent: what would have served is resting, broken, full or unfit.
//!
//! Each says when to come back, if that is known. Beyond a minute SDKs take the time for a mistake and come back within seconds;
//! `x-should-retry: false` lets them raise at once.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};

use super::{Shape, upstream};
use crate::{
    config::LastResort,
    pipeline::standing::{millis_up, seconds_up},
};

/// The longest wait that SDKs keep to.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why nothing was sent.
#[derive(Clone, Debug)]
pub enum Unserved {
    /// Every key that could serve it rests until its account may ask again, and that is beyond the request's deadline.
    Resting(Duration),
    /// The breaker is open, for so long.
    Open(Duration),
    /// All places are taken, and all that wait for one too.
    Full(Duration),
    /// It waited in line for too long; one comes free about so often.
    TooLong(Duration),
    /// A target's model has another name than was asked for, and the body can't be changed.
    Unrenamable,
    /// The route says what is answered then.
    LastResort(Arc<LastResort>),
}

impl Unserved {
    /// Its row in `docs/errors.md`.
    pub(super) fn shape(&self) -> Shape {
        let shape = match self {
            Self::Resting(_) => Shape { kind: "requests", ..upstream(StatusCode::TOO_MANY_REQUESTS, "keys_resting") },
            Self::Open(_) => upstream(StatusCode::SERVICE_UNAVAILABLE, "circuit_open"),
            Self::Full(_) => Shape { kind: "server_error", ..upstream(StatusCode::SERVICE_UNAVAILABLE, "queue_full") },
            Self::TooLong(_) => Shape { kind: "server_error", ..upstream(StatusCode::SERVICE_UNAVAILABLE, "queue_timeout") },
            Self::Unrenamable => super::caller(StatusCode::UNSUPPORTED_MEDIA_TYPE, "model_not_renamable"),
            Self::LastResort(resort) => {
                let status = StatusCode::from_u16(resort.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                return Shape { final_answer: status.is_server_error(), ..upstream(status, "last_resort") };
            }
        };
        Shape { final_answer: shape.final_answer || self.wait().is_some_and(|wait| wait > PATIENCE), ..shape }
    }

    /// For people.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Resting(_) => "Every key that could serve this has asked for all that its account may ask for now.".to_owned(),
            Self::Open(_) => "The provider has failed too often and is left alone for a while.".to_owned(),
            Self::Full(_) => "Too many requests are waiting for this provider.".to_owned(),
            Self::TooLong(_) => "The request has waited for its turn for too long.".to_owned(),
            Self::Unrenamable => {
                "The target has another name for this model, and the request's body is too long, encoded or signed, so that it can't be put in."
                    .to_owned()
            }
            Self::LastResort(_) => String::new(),
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Resting(wait) | Self::Open(wait) | Self::Full(wait) | Self::TooLong(wait) => Some(*wait),
            Self::Unrenamable | Self::LastResort(_) => None,
        }
    }

    /// Adds when to come back.
    pub(super) fn add(&self, headers: &mut HeaderMap) {
        let Some(wait) = self.wait() else { return };
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds_up(wait).max(1)));
        if wait <= PATIENCE {
            headers.insert("retry-after-ms", HeaderValue::from(millis_up(wait).max(1)));
        }
    }

    /// What is answered in the place of an error.
    pub(super) fn instead(&self) -> Option<&LastResort> {
        match self {
            Self::LastResort(resort) => Some(resort),
            _ => None,
        }
    }
}
