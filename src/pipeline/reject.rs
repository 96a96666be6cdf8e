//! The answers that Sidegate gives itself: every refusal and failure of the steps before becomes a response here and
//! nowhere else. `docs/errors.md` has a row for each.

mod limited;
mod unserved;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, DATE, RETRY_AFTER},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;

pub use self::{limited::Limited, unserved::Unserved};
use super::{
    body::Body,
    fields::{X_REQUEST_ID, X_SHOULD_RETRY, X_SIDEGATE_ATTEMPTS},
    trail::{End, Trail},
};
use crate::{
    config::Annotate,
    policy::jwt::Refused,
    upstream::{Failure, Phase, Reason},
};

/// How much of a refused body is read, and for how long (RFC 9112 §9.6).
const LINGER: (usize, Duration) = (1 << 20, Duration::from_secs(2));

/// The methods that a request may use.
pub const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// Why a request gets no reply from a provider.
#[derive(Clone, Debug)]
pub enum Reject {
    /// The request itself is malformed or could be read in two ways.
    Malformed(&'static str),
    /// The method is none that this proxy forwards.
    Method,
    /// `OPTIONS` with `Max-Forwards: 0`: it is ours to answer (RFC 9110 §7.6.2).
    FinalRecipient,
    /// More header fields, or more bytes of them, than allowed.
    HeadTooLarge,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// No credential, where one is needed.
    Unauthenticated,
    /// A credential that claims to be ours and is not.
    WrongKey,
    /// A token that is not believed.
    Jwt(Refused),
    /// A limit has not enough left.
    Limited(Box<Limited>),
    /// No route has this path.
    NoRoute,
    /// Routes have this path, and none serves this model.
    NoModel(Option<Box<str>>),
    /// The body is encoded in a way that can't be read, and only its model could tell where it goes.
    Encoded,
    /// The body is larger than `body.max`.
    BodyTooLarge,
    /// The client stalled in the middle of its body.
    BodyTimeout,
    /// The client's body broke off or was malformed.
    BodyBroken,
    /// The memory for bodies that must be read is used up.
    Overloaded,
    /// The client wants what is stored or nothing, and nothing is (RFC 9111 §5.2.1.7).
    NotCached,
    /// Every key of every target is out of use.
    NoKey,
    /// Nothing was sent: what would have served it can't now.
    Unserved(Unserved),
    /// The provider could not be reached, or its reply broke off before it began.
    Upstream(Failure),
}

/// What stands in a row of `docs/errors.md`.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The status.
    pub status: StatusCode,
    /// The stable code, for programs.
    pub code: &'static str,
    /// OpenAI's type, by which its SDKs group errors.
    pub kind: &'static str,
    /// Whether an SDK that tries again by itself should not.
    pub final_answer: bool,
    /// Whether the connection can't be trusted to carry another request.
    pub close: bool,
}

const fn caller(status: StatusCode, code: &'static str) -> Shape {
    Shape { status, code, kind: "invalid_request_error", final_answer: true, close: false }
}

const fn upstream(status: StatusCode, code: &'static str) -> Shape {
    Shape { status, code, kind: "upstream_error", final_answer: false, close: false }
}

impl Reject {
    /// Status, code and what goes with them.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let closing = |shape: Shape| Shape { close: true, ..shape };
        match self {
            Self::Malformed(_) => closing(caller(StatusCode::BAD_REQUEST, "malformed_request")),
            Self::Method => closing(caller(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")),
            Self::FinalRecipient => caller(StatusCode::NO_CONTENT, "final_recipient"),
            Self::HeadTooLarge => closing(caller(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")),
            Self::Expectation => closing(caller(StatusCode::EXPECTATION_FAILED, "expectation_failed")),
            Self::Unauthenticated | Self::WrongKey => {
                Shape { kind: "authentication_error", ..caller(StatusCode::UNAUTHORIZED, "invalid_api_key") }
            }
            // Nobody can tell whether it holds: that is no caller's fault, and passes.
            Self::Jwt(Refused::NoKeys) => {
                Shape { kind: "server_error", ..upstream(StatusCode::SERVICE_UNAVAILABLE, "jwt_keys_unavailable") }
            }
            Self::Jwt(_) => Shape { kind: "authentication_error", ..caller(StatusCode::UNAUTHORIZED, "invalid_jwt") },
            Self::Limited(limited) => limited.shape(),
            Self::NoRoute => caller(StatusCode::NOT_FOUND, "route_not_found"),
            Self::NoModel(_) => caller(StatusCode::NOT_FOUND, "model_not_found"),
            Self::Encoded => caller(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding_not_supported"),
            Self::BodyTooLarge => closing(caller(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large")),
            Self::BodyTimeout => closing(caller(StatusCode::REQUEST_TIMEOUT, "request_timeout")),
            Self::BodyBroken => closing(caller(StatusCode::BAD_REQUEST, "request_incomplete")),
            Self::Overloaded => closing(Shape { kind: "server_error", ..upstream(StatusCode::SERVICE_UNAVAILABLE, "overloaded") }),
            Self::NotCached => caller(StatusCode::GATEWAY_TIMEOUT, "not_cached"),
            Self::NoKey => upstream(StatusCode::SERVICE_UNAVAILABLE, "no_key_available"),
            Self::Unserved(unserved) => unserved.shape(),
            Self::Upstream(failure) => match (failure.phase, failure.reason) {
                (_, Reason::Upload) => closing(caller(StatusCode::BAD_REQUEST, "request_incomplete")),
                (_, Reason::TooLarge) => Self::BodyTooLarge.shape(),
                (_, Reason::Timeout | Reason::Full) => upstream(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
                (Phase::Connect, _) | (_, Reason::Unprocessed) => upstream(StatusCode::BAD_GATEWAY, "upstream_unavailable"),
                _ => upstream(StatusCode::BAD_GATEWAY, "upstream_failed"),
            },
        }
    }

    /// Whether a credential was presented and failed, which counts as a failed authentication; not so where there was none.
    #[must_use]
    pub fn is_failed_proof(&self) -> bool {
        match self {
            Self::WrongKey => true,
            Self::Jwt(refused) => *refused != Refused::NoKeys,
            _ => false,
        }
    }

    /// Whether nobody has answered, for no fault of the caller's: what was charged is given back.
    #[must_use]
    pub fn is_upstreams_fault(&self) -> bool {
        match self {
            Self::NoKey => true,
            Self::Unserved(unserved) => !matches!(unserved, Unserved::Unrenamable),
            Self::Upstream(failure) => !matches!(failure.reason, Reason::Upload | Reason::TooLarge),
            _ => false,
        }
    }

    /// What went wrong, for people.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Malformed(problem) => format!("The request is malformed: {problem}."),
            Self::Method => format!("This method is not forwarded; use one of {METHODS}."),
            Self::FinalRecipient => String::new(),
            Self::HeadTooLarge => "The request has too many header fields, or too many bytes in them.".to_owned(),
            Self::Expectation => "The only expectation that can be met is `100-continue`.".to_owned(),
            Self::Unauthenticated => "A client key is needed: send it as `Authorization: Bearer …`.".to_owned(),
            Self::WrongKey => "This client key is not known.".to_owned(),
            Self::Jwt(refused) => format!("This token {}.", refused.reason()),
            Self::Limited(limited) => limited.message(),
            Self::NoRoute => "No route is configured for this path.".to_owned(),
            Self::NoModel(Some(model)) => format!("No route is configured for the model `{}`.", shorten(model)),
            Self::NoModel(None) => {
                "The request names no model, or not within the part of it that is read, and every route for this path needs one.".to_owned()
            }
            Self::Encoded => {
                "The request's body is encoded and can't be decoded, and its model decides where it goes: send it without `Content-Encoding`.".to_owned()
            }
            Self::BodyTooLarge => "The request's body is larger than the configured maximum.".to_owned(),
            Self::BodyTimeout => "The request's body did not arrive in time.".to_owned(),
            Self::BodyBroken => "The request's body ended early or was malformed.".to_owned(),
            Self::Overloaded => "Too many large requests are being read at once.".to_owned(),
            Self::NotCached => "No answer to this is stored, and `Cache-Control: only-if-cached` asks for nothing else.".to_owned(),
            Self::NoKey => "No key of the provider is in use.".to_owned(),
            Self::Unserved(unserved) => unserved.message(),
            Self::Upstream(failure) => match (failure.phase, failure.reason) {
                (_, Reason::Upload) => "The request's body broke off or stalled.".to_owned(),
                (_, Reason::TooLarge) => Self::BodyTooLarge.message(),
                (_, Reason::Certificate(_)) => "The provider's certificate does not hold.".to_owned(),
                (_, Reason::Full) => "All connections to the provider are in use.".to_owned(),
                (Phase::Connect, Reason::Timeout) => "The provider could not be reached in time.".to_owned(),
                (_, Reason::Timeout) => "The provider did not answer in time.".to_owned(),
                (Phase::Connect, _) | (_, Reason::Unprocessed) => "The provider could not be reached.".to_owned(),
                _ => "The provider's reply broke off before it began.".to_owned(),
            },
        }
    }

    /// The response in OpenAI's error shape.
    #[must_use]
    pub fn respond(&self, request_id: &HeaderValue) -> Response<Body> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: Error<'a>,
        }
        #[derive(Serialize)]
        struct Error<'a> {
            message: &'a str,
            r#type: &'a str,
            param: Option<&'a str>,
            code: &'a str,
        }

        let Shape { status, code, kind, final_answer, close } = self.shape();
        let message = self.message();
        let error = Error { message: &message, r#type: kind, param: None, code };
        let instead = if let Self::Unserved(unserved) = self { unserved.instead() } else { None };
        let text = match (self, instead) {
            (Self::FinalRecipient, _) => Vec::new(),
            (_, Some(resort)) => resort.body.clone().into_bytes(),
            // Strings and nothing else: this can't fail.
            _ => serde_json::to_vec(&Envelope { error }).unwrap_or_default(),
        };
        let mut response = Response::new(Body::ours(Bytes::from(text)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if status != StatusCode::NO_CONTENT {
            let media = instead.and_then(|resort| HeaderValue::from_str(&resort.content_type).ok());
            headers.insert(CONTENT_TYPE, media.unwrap_or(const { HeaderValue::from_static("application/json") }));
        }
        if let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(std::time::SystemTime::now())) {
            headers.insert(DATE, now);
        }
        headers.insert(X_REQUEST_ID, request_id.clone());
        if final_answer && status != StatusCode::NO_CONTENT {
            headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        match self {
            Self::Overloaded => drop(headers.insert(RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::Jwt(Refused::NoKeys) => drop(headers.insert(RETRY_AFTER, HeaderValue::from_static("2"))),
            Self::Limited(limited) => limited.add(headers),
            Self::Unserved(unserved) => unserved.add(headers),
            _ => {}
        }
        if matches!(self, Self::Method | Self::FinalRecipient) {
            headers.insert(ALLOW, HeaderValue::from_static(METHODS));
        }
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The end of every request that gets no reply from a provider. It tells of the caller's limits as any reply does.
#[must_use]
pub fn answer(reject: &Reject, unread: Option<Incoming>, mut trail: Trail, add: Annotate) -> Response<Body> {
    if let Some(body) = unread.filter(|_| !trail.expects_continue()) {
        tokio::task::spawn_local(drain(body));
    }
    if let Reject::Upstream(failure) = reject {
        trail.failed(failure.name());
    }
    if let Reject::Limited(limited) = reject {
        trail.refused_by(limited.limit.clone());
    }
    if let Reject::Jwt(refused) = reject {
        trail.failed(refused.name());
    }
    let shape = reject.shape();
    trail.runtime().metrics.rejected(shape.code);
    trail.settle_rejected(reject);
    let mut response = reject.respond(&trail.request_id());
    if let Reject::Limited(limited) = reject {
        trail.limited(limited.standings.clone());
    }
    if let Some(standings) = trail.standings() {
        standings.tell(response.headers_mut(), add, false);
    }
    if add.should_retry && trail.is_spent() {
        response.headers_mut().insert(X_SHOULD_RETRY, const { HeaderValue::from_static("false") });
    }
    if add.attempts && trail.attempts() > 0 {
        response.headers_mut().insert(X_SIDEGATE_ATTEMPTS, HeaderValue::from(trail.attempts()));
    }
    let now = Instant::now();
    let overhead = trail.overhead(now);
    trail.end((shape.status, End::Rejected(shape.code)), 0, overhead, now);
    response
}

/// Reads a little of what the client is still sending, so that it gets to read the answer and may use its connection
/// again. What is longer ends with the connection.
async fn drain(mut body: Incoming) {
    let small = async {
        let mut left: usize = LINGER.0;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(still) => left = still,
                None => return,
            }
        }
    };
    drop(tokio::time::timeout(LINGER.1, small).await);
}

/// A model's name as a message may repeat it.
fn shorten(model: &str) -> String {
    let mut short: String = model.chars().filter(|c| !c.is_control()).take(64).collect();
    if short.len() < model.len() {
        short.push('…');
    }
    short
}
