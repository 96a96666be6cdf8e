//! The path of one request: credentials → endpoint → body → fault → reply.

use std::{convert::Infallible, future, rc::Rc};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{
    Provider,
    body::{Body, Ending},
    chat, embeddings,
    error::{ApiError, Fields, INVALID_REQUEST},
    exchange::{Counters, Exchange, credential},
    faults::{Fault, Kind},
    models,
    pace::Pace,
    responses,
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
    Generation(Generation),
}

/// The endpoints that read a body, and at which a model may misbehave.
enum Generation {
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
            (&Method::POST, "chat/completions") => Some(Self::Generation(Generation::Chat)),
            (&Method::POST, "responses") => Some(Self::Generation(Generation::Responses)),
            (&Method::POST, "embeddings") => Some(Self::Generation(Generation::Embeddings)),
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
    /// A good reply that nothing delays.
    fn at_once(script: Script) -> Self {
        Self { status: StatusCode::OK, fields: &[], script, pace: Pace::AT_ONCE, ending: Ending::Clean }
    }

    fn error(error: &ApiError) -> Self {
        Self { status: error.status, fields: error.fields, ..Self::at_once(Script::whole(&error.json(), 0)) }
    }
}

/// Answers one request. Dropped at any point, it counts as cancelled: the exchange is its own guard.
pub(super) async fn answer(provider: Rc<Provider>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if request.uri().path() == COUNTERS_PATH {
        let counters = Script::whole(&snapshot(&provider.onlooker.counters), 0);
        return Ok(respond(Reply::at_once(counters), Exchange::unseen(&provider)));
    }
    let mut exchange = Exchange::begin(&provider, &request);
    let reply = reply(&provider, request, &mut exchange).await.unwrap_or_else(|error| Reply::error(&error));
    reply.pace.wait_for_head(&reply.script).await;
    Ok(respond(reply, exchange))
}

/// What to reply; for a model that hangs, never.
async fn reply(provider: &Provider, request: Request<Incoming>, exchange: &mut Exchange) -> Result<Reply, ApiError> {
    let (head, body) = request.into_parts();
    if credential(&head.headers).is_none() {
        return Err(NO_KEY);
    }
    let path = head.uri.path();
    let generation = match Endpoint::of(&head.method, path) {
        None => return Err(ApiError::unknown_endpoint(&head.method, path)),
        Some(Endpoint::Models) => return Ok(Reply::at_once(models::list())),
        Some(Endpoint::Model(id)) => return models::get(id).map(Reply::at_once),
        Some(Endpoint::Generation(generation)) => generation,
    };
    let bytes = body.collect().await.map_err(ApiError::malformed)?.to_bytes();
    let ask = Rc::new(Ask::parse(&bytes)?);
    exchange.note(|seen| seen.model = Some(ask.model.clone()));
    let (pace, ending) = misbehave(provider, &ask.model).await?;
    let author = |prompt: &Value| Author::new(provider.options.seed, provider.options.length, prompt);
    let script = match generation {
        Generation::Chat => chat::answer(&ask, author(&ask.body["messages"]))?,
        Generation::Responses => responses::answer(&ask, author(&ask.body["input"]))?,
        Generation::Embeddings => embeddings::answer(&ask, author)?,
    };
    Ok(Reply { pace, ending, ..Reply::at_once(script) })
}

/// What the model's name asks for; most ask for nothing.
async fn misbehave(provider: &Provider, model: &str) -> Result<(Pace, Ending), ApiError> {
    let pace = Pace::of(&provider.options);
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
    let stream = matches!(script, Script::Stream { .. });
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
    headers.insert("openai-processing-ms", HeaderValue::from(u64::try_from(exchange.elapsed().as_millis()).unwrap_or(u64::MAX)));
    // The only thing in a reply, beside times, that no seed decides: it must tell equal requests apart.
    if let Ok(id) = HeaderValue::try_from(format!("req_{:016x}", fastrand::u64(..))) {
        headers.insert("x-request-id", id);
    }
    let mut response = Response::new(Body::new(script, pace, ending, exchange));
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
