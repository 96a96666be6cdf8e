//! `/limits`: what each limit counts and who is near its end, and `/limits/check`: what limits would say to a request.
//!
//! Names of clients and their addresses stand here and in the access log, and nowhere else.

use std::time::Duration;

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Json, Response},
};
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{Refusal, rounded},
    query,
};
use crate::{
    pipeline::trial::{Supposed, Trial, Verdict, suppose},
    policy::limits::{Counting, Standing},
    runtime::limits::Rule,
    types::{Moment, Money, Unit},
};

/// The most consumers of a limit that are told.
const MOST: usize = 20;

/// As many as are told where nobody says how many.
const USUAL: usize = 5;

/// The path that most requests have.
pub const USUAL_PATH: &str = "/v1/chat/completions";

/// All limits, in the order in which they are asked.
///
/// # Errors
///
/// [`Refusal::Query`] for a query that is not understood.
pub async fn show(State(admin): State<Shared>, uri: Uri) -> Result<Json<Value>, Refusal> {
    let mut most = USUAL;
    for (name, value) in query::pairs(&uri)? {
        match (name.as_str(), value.parse()) {
            ("top", Ok(count @ 0..=MOST)) => most = count,
            ("top", _) => return Err(Refusal::Query("`top` is a number up to 20.")),
            _ => return Err(Refusal::Query("There is one thing to ask for here: `top`.")),
        }
    }
    let snapshot = admin.runtime.snapshot.load_full();
    let now = admin.runtime.moment();
    let told: Vec<_> = snapshot.limits.rules().map(|rule| told(rule, now, most)).collect();
    Ok(Json(json!({ "limits": told })))
}

fn told(rule: &Rule, now: Moment, most: usize) -> Value {
    let unit = rule.spec.unit();
    let top = rule.consumers(now, most).into_iter().map(|consumer| {
        let Standing { limit, remaining, reset, .. } = consumer.standing;
        let used = amount(unit, limit.saturating_sub(remaining));
        json!({ "label": consumer.label, "used": used, "limit": amount(unit, limit), "remaining": amount(unit, remaining), "reset_seconds": seconds(reset) })
    });
    let ago = |last: Duration| seconds(Duration::from_nanos(now.nanos).saturating_sub(last));
    let refused = rule.record.most_refused(most).into_iter();
    let refused = refused.map(|turned| json!({ "label": turned.label, "times": turned.times, "last_seconds_ago": ago(turned.last) }));
    let outcomes: serde_json::Map<_, _> = rule.record.outcomes().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
    let mut all = numbers(rule);
    let more = json!({
        "checks": outcomes,
        "subjects": rule.subjects(),
        "memory_bytes": rule.bytes(),
        "shared": rule.shared(),
        "top": top.collect::<Vec<_>>(),
        "most_refused": refused.collect::<Vec<_>>(),
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

/// What the config says of it.
fn numbers(rule: &Rule) -> Value {
    let spec = &rule.spec;
    let burst = matches!(spec.counting(), Counting::Bucket(_)).then(|| spec.at_once());
    json!({
        "name": rule.name,
        "unit": spec.unit().as_str(),
        "when": rule.when,
        "per": rule.per.to_vec(),
        "rate": rate(rule),
        "amount": amount(spec.unit(), spec.amount()),
        "burst": burst,
        "window_seconds": rule.window().map(seconds),
        "shadow": rule.shadow,
    })
}

/// The numbers as the config writes them, such as `10/min`.
#[must_use]
pub fn rate(rule: &Rule) -> String {
    use crate::types::{CostRate, Rate, Window};
    let spec = &rule.spec;
    let window = match spec.counting() {
        Counting::Sliding(length) | Counting::Bucket(length) => Window::Sliding(length),
        Counting::Day => Window::Day,
        Counting::Month => Window::Month,
        Counting::Permits => return format!("{} at once", spec.amount()),
    };
    if spec.unit() == Unit::Cost {
        return CostRate { amount: Money(spec.amount()), window }.to_string();
    }
    spec.amount().try_into().map_or_else(|_| String::new(), |amount| Rate { amount, window }.to_string())
}

/// Money is told in dollars.
fn amount(unit: Unit, amount: u64) -> Value {
    if unit == Unit::Cost { Money(amount).dollars().into() } else { amount.into() }
}

fn seconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64())
}

/// What limits would say to a request that is as the query says. Nothing is charged.
///
/// # Errors
///
/// [`Refusal::Query`] for a query that is not understood.
pub async fn check(State(admin): State<Shared>, uri: Uri) -> Result<Response, Refusal> {
    let mut supposed = Supposed { path: USUAL_PATH.to_owned(), ..Supposed::default() };
    for (name, value) in query::pairs(&uri)? {
        set(&mut supposed, &name, value)?;
    }
    let snapshot = admin.runtime.snapshot.load_full();
    let trial = suppose(&snapshot, &supposed, admin.runtime.moment());
    Ok(Json(told_trial(&trial.map_err(|_| Refusal::Query("There could be no such request; see docs/admin.md for what may be asked."))?))
        .into_response())
}

fn set(supposed: &mut Supposed, name: &str, value: String) -> Result<(), Refusal> {
    match name {
        "ip" => supposed.ip = Some(value.parse().map_err(|_| Refusal::Query("`ip` is an address, such as 203.0.113.7."))?),
        "client" => supposed.client = Some(value),
        "tier" => supposed.tier = Some(value.parse().map_err(|_| Refusal::Query("`tier` is a name: letters, digits, `-`, `_` and `.`."))?),
        "region" => {
            supposed.region = Some(value.parse().map_err(|_| Refusal::Query("`region` is a name: letters, digits, `-`, `_` and `.`."))?)
        }
        "session" => supposed.session = Some(value),
        "model" => supposed.model = Some(value),
        "tokens" => supposed.tokens = Some(value.parse().map_err(|_| Refusal::Query("`tokens` is a number."))?),
        "path" => supposed.path = value,
        // A credential in a query would stand in logs.
        "key" => return Err(Refusal::Query("A key has no place in a query: ask by `client`.")),
        _ => return Err(Refusal::Query("There is `ip`, `client`, `tier`, `region`, `session`, `model`, `tokens` and `path` to ask by.")),
    }
    Ok(())
}

/// A trial as JSON.
#[must_use]
pub fn told_trial(trial: &Trial<'_>) -> Value {
    let Trial { client, reject, verdicts } = trial;
    json!({
        "passes": trial.passes(),
        "caller": {
            "client": client.name.as_ref().map(|name| name.as_str()),
            "ip": client.ip,
            "tier": client.tier,
            "region": client.region,
        },
        "error": reject.as_ref().map(|reject| json!({ "code": reject.shape().code, "message": reject.message() })),
        "limits": verdicts.iter().map(told_verdict).collect::<Vec<_>>(),
    })
}

fn told_verdict(verdict: &Verdict<'_>) -> Value {
    let mut all = numbers(verdict.rule);
    let unit = verdict.rule.spec.unit();
    let more = match &verdict.outcome {
        Err(why) => json!({ "applies": false, "why_not": why }),
        Ok(weighed) => {
            let Standing { limit, remaining, reset, .. } = weighed.standing;
            json!({
                "applies": true,
                "subject": weighed.subject,
                "asked": amount(unit, weighed.amount),
                "limit": amount(unit, limit),
                "remaining": amount(unit, remaining),
                "reset_seconds": seconds(reset),
                "passes": weighed.over.is_none(),
                "wait_seconds": weighed.over.flatten().map(seconds),
            })
        }
    };
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}
