//! The path of one request: credentials → endpoint → body → fault → reply.

use std::{convert::Infallible, future, rc::Rc, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Options, Provider,
    body::{Body, Ending},
    chat, embeddings,
    error::{ApiError, Fields, INVALID_REQUEST},
    exchange::{Counters, Exchange, credential},
    faults::{Fault, Kind},
    models, responses,
    script::Script,
    text::Author,
};

/// Where a test reads [`Counters`] from another process; it needs no key and counts as no request.
const COUNTERS_PATH: &str = "/simulator/counters";

/// What OpenAI's replies carry beside the type of their content. The limits are those of an account that is never short of them.
const USUAL_FIELDS: Fields = &[
    ("openai-organization", "simulated"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "2000000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-remaining-tokens", "1999000"),
    ("x-ratelimit-reset-requests", "6ms"),
    ("x-ratelimit-reset-tokens", "30ms"),
];

/// A body as it was asked for, with what every endpoint reads from it.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) body: Value,
}

impl Ask {
    fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let body: Value = serde_json::from_slice(bytes).map_err(ApiError::malformed)?;
        if !body.is_object() {
            return Err(ApiError::malformed("it is of another type"));
        }
        let model = match &body["model"] {
            Value::String(model) => model.clone(),
            Value::Null => return Err(ApiError::missing("model")),
            _ => return Err(ApiError::parameter("model", "invalid_type", "`model` must be a string.".to_owned())),
        };
        Ok(Self { model, stream: body["stream"] == true, body })
    }

    /// A field that counts something.
    pub(super) fn tokens(&self, field: &str) -> Option<usize> {
        self.body[field].as_u64().map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    }
}

/// What answers, by method and path.
enum Endpoint<'a> {
    Models,
    Model(&'a str),
    Chat,
    Responses,
    Embeddings,
}

impl<'a> Endpoint<'a> {
    fn of(method: &Method, path: &'a str) -> Option<Self> {
        let path = path.strip_prefix("/v1/")?;
        match (method, path) {
            (&Method::GET, "models") => Some(Self::Models),
            (&Method::GET, path) => path.strip_prefix("models/").map(Self::Model),
            (&Method::POST, "chat/completions") => Some(Self::Chat),
            (&Method::POST, "responses") => Some(Self::Responses),
            (&Method::POST, "embeddings") => Some(Self::Embeddings),
            _ => None,
        }
    }
}

/// How a reply is sent.
struct Reply {
    status: StatusCode,
    fields: Fields,
    script: Script,
    pace: Pace,
    ending: Ending,
}

impl Reply {
    fn good(script: Script, pace: Pace, ending: Ending) -> Self {
        Self { status: StatusCode::OK, fields: &[], script, pace, ending }
    }

    fn error(error: &ApiError) -> Self {
        let script = Script::whole(&error.json(), 0);
        Self { status: error.status, fields: error.fields, script, pace: Pace::AT_ONCE, ending: Ending::Clean }
    }
}

/// When the tokens come.
#[derive(Clone, Copy)]
struct Pace {
    /// Until the first one.
    first: Duration,
    /// From one to the next.
    each: Duration,
}

impl Pace {
    const AT_ONCE: Self = Self { first: Duration::ZERO, each: Duration::ZERO };

    fn of(options: &Options) -> Self {
        let each = Duration::try_from_secs_f64(options.tokens_per_second.recip()).unwrap_or(Duration::ZERO);
        Self { first: options.first_token, each }
    }

    fn slowed(self, times: u32) -> Self {
        Self { first: self.first.saturating_mul(times), each: self.each.saturating_mul(times) }
    }

    /// Until the head may leave: with the first token of a stream, and with the last one of a whole reply.
    fn until_head(&self, script: &Script) -> Duration {
        match script {
            Script::Stream { .. } => self.first,
            Script::Whole { tokens, .. } => {
                let gaps = u32::try_from(tokens.saturating_sub(1)).unwrap_or(u32::MAX);
                self.first + self.each.saturating_mul(gaps)
            }
        }
    }
}

/// Answers one request. Dropped at any point, it counts as cancelled: the exchange is its own guard.
pub(super) async fn answer(provider: Rc<Provider>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let counters = request.uri().path() == COUNTERS_PATH;
    let mut exchange = if counters { Exchange::unseen(&provider) } else { Exchange::begin(&provider, &request) };
    let reply = if counters {
        Reply::good(Script::whole(&snapshot(&provider.onlooker.counters), 0), Pace::AT_ONCE, Ending::Clean)
    } else {
        reply(&provider, request, &mut exchange).await.unwrap_or_else(|error| Reply::error(&error))
    };
    sleep(reply.pace.until_head(&reply.script)).await;
    Ok(respond(reply, exchange))
}

/// Everything before the first byte of the reply.
async fn reply(provider: &Provider, request: Request<Incoming>, exchange: &mut Exchange) -> Result<Reply, ApiError> {
    let (head, body) = request.into_parts();
    if credential(&head.headers).is_none() {
        return Err(NO_KEY);
    }
    let path = head.uri.path();
    let endpoint = Endpoint::of(&head.method, path).ok_or_else(|| ApiError::unknown_endpoint(&head.method, path))?;
    let pace = Pace::of(&provider.options);
    match endpoint {
        Endpoint::Models => return Ok(Reply::good(models::list(), Pace::AT_ONCE, Ending::Clean)),
        Endpoint::Model(id) => return Ok(Reply::good(models::get(id)?, Pace::AT_ONCE, Ending::Clean)),
        Endpoint::Chat | Endpoint::Responses | Endpoint::Embeddings => {}
    }
    let bytes = body.collect().await.map_err(ApiError::malformed)?.to_bytes();
    let ask = Ask::parse(&bytes)?;
    exchange.note(|seen| seen.model = Some(ask.model.clone()));
    let (pace, ending) = misbehave(provider, &ask.model, pace).await?;
    let author = |prompt: &[u8]| Author::new(provider.options.seed, provider.options.length, prompt);
    let script = match endpoint {
        Endpoint::Embeddings => embeddings::answer(&ask, author)?,
        Endpoint::Responses => responses::answer(&ask, &mut author(ask.body["input"].to_string().as_bytes()))?,
        _ => chat::answer(&ask, &mut author(ask.body["messages"].to_string().as_bytes()))?,
    };
    Ok(Reply::good(script, pace, ending))
}

/// What the model's name asks for; most ask for nothing.
async fn misbehave(provider: &Provider, model: &str, pace: Pace) -> Result<(Pace, Ending), ApiError> {
    match Fault::of(model).map(|fault| &fault.kind) {
        None => Ok((pace, Ending::Clean)),
        Some(Kind::Error(error)) => Err(error.clone()),
        Some(Kind::ByTurns(error)) => {
            let turn = provider.turns.replace(provider.turns.get() + 1);
            if turn.is_multiple_of(2) { Err(error.clone()) } else { Ok((pace, Ending::Clean)) }
        }
        Some(Kind::Hang) => future::pending().await,
        Some(Kind::Ends(ending)) => Ok((pace, *ending)),
        Some(Kind::Slow(times)) => Ok((pace.slowed(*times), Ending::Clean)),
    }
}

fn respond(reply: Reply, mut exchange: Exchange) -> Response<Body> {
    let Reply { status, fields, script, pace, ending } = reply;
    let (stream, each) = match &script {
        Script::Stream { .. } => (true, pace.each),
        // Its head has waited for all tokens.
        Script::Whole { .. } => (false, Duration::ZERO),
    };
    exchange.note(|seen| (seen.status, seen.stream) = (Some(status), stream));
    let mut headers = HeaderMap::new();
    let content_type = if stream { "text/event-stream; charset=utf-8" } else { "application/json" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if stream {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    for (name, value) in USUAL_FIELDS.iter().chain(fields) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert("openai-processing-ms", HeaderValue::from(exchange.elapsed().as_millis() as u64));
    if let Ok(id) = HeaderValue::try_from(format!("req_{:016x}", fastrand::u64(..))) {
        headers.insert("x-request-id", id);
    }
    let mut response = Response::new(Body::new(script, each, ending, exchange));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn snapshot(counters: &Counters) -> Value {
    json!({
        "requests": counters.requests(), "open": counters.open(), "completed": counters.completed(),
        "broken": counters.broken(), "cancelled": counters.cancelled(),
    })
}

/// What a request without a key gets.
const NO_KEY: ApiError = ApiError::fixed(
    StatusCode::UNAUTHORIZED,
    INVALID_REQUEST,
    Some("invalid_api_key"),
    "No API key was sent. Send it as `Authorization: Bearer <key>`.",
    &[("www-authenticate", "Bearer realm=\"simulator\"")],
);
