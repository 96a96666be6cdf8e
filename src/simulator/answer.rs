//! The path of one request: dialect → key → body → limits → fault → endpoint → reply.

use std::{convert::Infallible, future, sync::Arc, sync::atomic::Ordering, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::{
    Provider, anthropic,
    ask::{Ask, Weight},
    body::{Body, Ending},
    control, dialect,
    error::{ApiError, INVALID_REQUEST},
    exchange::Exchange,
    faults::{Fault, Kind, chance},
    gemini,
    keys::{self, Key},
    limits::{Levels, Refusal},
    listen::Line,
    memo::Question,
    openai,
    pace::Pace,
    realtime,
    reply::Reply,
    script::Script,
    text::Author,
};
use crate::types::{Dialect, RequestFormat};

/// The largest body that is read; OpenAI takes files of 512 MB, which no test needs.
const LARGEST_BODY: usize = 64 << 20;

/// What an endpoint may know beside what it was asked.
pub(super) struct Desk<'a> {
    pub(super) provider: &'a Provider,
    pub(super) key: &'a Key,
    pub(super) dialect: Dialect,
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// The path behind the API's version.
    pub(super) path: &'a str,
}

impl Desk<'_> {
    /// Writes the reply to this prompt.
    pub(super) fn author(&self, prompt: &Value) -> Author {
        Author::new(self.provider.options.seed, self.provider.options.length, prompt)
    }

    /// A parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        dialect::query(self.uri, name)
    }

    /// Nothing answers here.
    pub(super) fn unknown(&self) -> ApiError {
        ApiError::unknown_endpoint(self.method, self.uri.path())
    }
}

/// Answers one request. Dropped at any point, it counts as cancelled: the exchange is its own guard.
pub(super) async fn answer(provider: Arc<Provider>, request: Request<Incoming>, line: &Line) -> Result<Response<Body>, Infallible> {
    if control::is_meant(&request) {
        return Ok(control::answer(&provider, request).await.respond(Exchange::unseen(&provider)));
    }
    let dialect = provider.options.dialect.unwrap_or_else(|| dialect::of(request.uri(), request.headers()));
    let key = dialect::credential(dialect, request.uri(), request.headers()).map(|text| provider.keys.get(text));
    let mut exchange = Exchange::begin(&provider, &request, key.clone());
    let Some(key) = key else {
        return Ok(Reply::error(dialect, &keys::MISSING, false).respond(exchange));
    };
    if realtime::is_wanted(&request) {
        let (_, taken) = take(&provider, &key, 0);
        return Ok(match key.check().and(taken.map_err(limited)) {
            Ok(()) => realtime::accept(&provider, request, exchange, line),
            Err(error) => Reply::error(dialect, &error, false).respond(exchange),
        });
    }
    let wrapped = dialect::is_compatible(request.uri().path());
    let mut levels = Levels::AMPLE;
    let reply = reply(&provider, &key, dialect, request, (&mut exchange, &mut levels)).await;
    let reply = reply.unwrap_or_else(|error| Reply::error(dialect, &error, wrapped)).at(levels);
    reply.pace.wait_for_head(&reply.script).await;
    Ok(reply.respond(exchange))
}

/// What to reply; for a model that hangs, never.
async fn reply(
    provider: &Provider,
    key: &Key,
    dialect: Dialect,
    request: Request<Incoming>,
    (exchange, levels): (&mut Exchange, &mut Levels),
) -> Result<Reply, ApiError> {
    key.check()?;
    let (head, body) = request.into_parts();
    let path = dialect::rest(head.uri.path()).ok_or_else(|| ApiError::unknown_endpoint(&head.method, head.uri.path()))?;
    let body = read(body).await?;
    let question = Question::of(dialect, &head, &body);
    if let Some(known) = question.as_ref().and_then(|question| provider.memo.get(question)) {
        let conduct = admit(provider, key, &known.weight, exchange, levels).await?;
        exchange.process();
        return Ok(Reply::new(dialect, known.script(), conduct));
    }
    let ask = Ask::read(&head.headers, &body);
    let weight = ask.weight(gemini::model(path), provider.options.length);
    let conduct = admit(provider, key, &weight, exchange, levels).await?;
    let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
    let desk = Desk { provider, key, dialect, method, uri, headers, path };
    let script = match dialect {
        Dialect::Gemini if dialect::is_compatible(uri.path()) => openai::answer(&desk, ask),
        dialect => match dialect.request_format() {
            RequestFormat::Openai => openai::answer(&desk, ask),
            RequestFormat::Anthropic => anthropic::answer(&desk, ask),
            RequestFormat::Gemini => gemini::answer(&desk, ask),
        },
    }?;
    exchange.process();
    let script = match question {
        Some(question) => provider.memo.keep(question, weight, script),
        None => script,
    };
    Ok(Reply::new(dialect, script, conduct))
}

/// Takes a request and its tokens from the account's buckets.
fn take(provider: &Provider, key: &Key, tokens: usize) -> (Levels, Result<(), Refusal>) {
    let limits = key.owner.limits.unwrap_or(provider.options.limits);
    key.owner.buckets.take(limits, provider.options.bucket, tokens, Instant::now())
}

pub(super) async fn read(body: Incoming) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::fixed(StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST, Some("request_too_large"), "")
            .saying(format!("The body is larger than {LARGEST_BODY} bytes."))
    };
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(error) => Err(ApiError::malformed(error)),
    }
}

/// Takes a request and its tokens from the account's buckets, and says how the reply will come.
async fn admit(
    provider: &Provider,
    key: &Key,
    weight: &Weight,
    exchange: &mut Exchange,
    levels: &mut Levels,
) -> Result<(Pace, Ending), ApiError> {
    if !weight.model.is_empty() {
        exchange.note(|seen| seen.model = Some(weight.model.clone()));
    }
    let (now, taken) = take(provider, key, weight.prompt + weight.most);
    *levels = now;
    taken.map_err(limited)?;
    exchange.charge(weight.prompt);
    misbehave(provider, &weight.model, exchange).await
}

fn limited(Refusal { what, wait }: Refusal) -> ApiError {
    let message = format!("Rate limit reached on {what} per min. Please try again in {}ms.", wait.as_millis());
    ApiError::fixed(StatusCode::TOO_MANY_REQUESTS, what, Some("rate_limit_exceeded"), "").after(wait).saying(message)
}

/// What has been switched on, what the model's name asks for, or chance; most ask for nothing.
async fn misbehave(provider: &Provider, model: &str, exchange: &mut Exchange) -> Result<(Pace, Ending), ApiError> {
    let pace = Pace::of(&provider.options);
    let options = &provider.options;
    let by_chance = || chance(&options.faults, options.seed, provider.requests.fetch_add(1, Ordering::Relaxed));
    match provider.switches.fault(model).or_else(|| Fault::of(model)).or_else(by_chance).map(|fault| &fault.kind) {
        None => Ok((pace, Ending::Clean)),
        Some(Kind::Error(error)) => Err(error.clone()),
        Some(Kind::ByTurns(error)) => {
            let turn = provider.turns.fetch_add(1, Ordering::Relaxed);
            if turn.is_multiple_of(2) { Err(error.clone()) } else { Ok((pace, Ending::Clean)) }
        }
        Some(Kind::Hang) => {
            // Nobody outside can tell that nothing comes of it.
            exchange.process();
            future::pending().await
        }
        Some(Kind::Ends(ending)) => Ok((pace, *ending)),
        Some(Kind::Slow(times)) => Ok((pace.slowed(*times), Ending::Clean)),
    }
}

/// A script that an endpoint may give, or the error that it has instead.
pub(super) type Answer = Result<Script, ApiError>;
