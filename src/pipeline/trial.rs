//! A request that nobody has sent: who would be its caller, which limits would be asked, and what they would say.
//!
//! It goes through the steps that real ones go through, as far as they need no body, and charges nothing.

use std::{net::IpAddr, time::Duration};

use http::{
    HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, COOKIE, HOST},
};
use smallvec::SmallVec;

use super::{
    admit,
    client::{Client, Name},
    fields::Present,
    identify::{self, Unproven},
    limit,
    reject::Reject,
    route,
};
use crate::{
    config::{CertificateRule, Few, ModelPattern, Per},
    policy::limits::{self, Check, Standing},
    runtime::{
        Snapshot,
        limits::{Caller, Rule},
        snapshot::SessionIn,
    },
    types::{Ask, ClientName, ForeignName, Moment, Region, Secret, Tier, Unit},
};

/// What the request would be.
#[derive(Debug, Default)]
pub struct Supposed {
    /// The peer's address; `None` on a Unix socket.
    pub ip: Option<IpAddr>,
    /// The credential that it brings.
    pub key: Option<Secret>,
    /// The client that it would prove to be, in place of what the credential says.
    pub client: Option<String>,
    /// Its tier, in place of what it would have.
    pub tier: Option<Tier>,
    /// Its region, in place of what it would have.
    pub region: Option<Region>,
    /// The session that it names.
    pub session: Option<String>,
    /// The model that it asks for.
    pub model: Option<String>,
    /// The tokens that it is expected to use; `None` asks for one.
    pub tokens: Option<u64>,
    /// Its path, perhaps with a query. It is a POST.
    pub path: String,
}

/// What would become of it.
#[derive(Debug)]
pub struct Trial<'s> {
    /// The caller.
    pub client: Client,
    /// Why it would not come as far as to its limits, or not further, if so.
    pub reject: Option<Reject>,
    /// Each limit, in the order of the steps.
    pub verdicts: Vec<Verdict<'s>>,
}

/// What one limit would say.
#[derive(Debug)]
pub struct Verdict<'s> {
    /// The limit.
    pub rule: &'s Rule,
    /// How it would turn out, or why it would not be asked.
    pub outcome: Result<Weighed, String>,
}

/// How a limit would turn out.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// Whom it counts.
    pub subject: String,
    /// How much of it the request would take.
    pub amount: u64,
    /// What is left, before the request: for the subject, or for the network around it if that has less.
    pub standing: Standing,
    /// If there is not enough, how long until there is, if ever.
    pub over: Option<Option<Duration>>,
}

impl Trial<'_> {
    /// Whether it would reach a provider.
    #[must_use]
    pub fn passes(&self) -> bool {
        let refuses = |verdict: &Verdict<'_>| !verdict.rule.shadow && verdict.outcome.as_ref().is_ok_and(|weighed| weighed.over.is_some());
        self.reject.is_none() && !self.verdicts.iter().any(refuses)
    }
}

/// Tries a request.
///
/// # Errors
///
/// What is wrong with it, in a sentence, if it could not be a request at all.
pub fn suppose<'s>(snapshot: &'s Snapshot, supposed: &Supposed, now: Moment) -> Result<Trial<'s>, String> {
    let uri: Uri = supposed.path.parse().ok().filter(|_| supposed.path.starts_with('/')).ok_or("The path must begin with `/`.")?;
    let head = Box::new(head(snapshot, supposed, uri.clone())?);
    let present = Present::read(&head.headers);
    let told = |reject: Reject| reject.message();
    let request = admit::admit(head, present, supposed.ip, &snapshot.listen, &snapshot.trust).map_err(told)?;
    let (client, mut reject) = match identify::identify(&request, None, &snapshot.clients, (&snapshot.trust, &snapshot.regions)) {
        Ok(client) => (client, None),
        Err(unproven) => {
            let Unproven { client, reject } = *unproven;
            (client, Some(reject).filter(|_| supposed.client.is_none()))
        }
    };
    let candidates = route::candidates(snapshot, &Method::POST, &uri);
    let pass_on = candidates.as_ref().ok().and_then(|candidates| if snapshot.passes_credentials { candidates.pass_on() } else { None });
    let client = if let Some(dialect) = pass_on { identify::as_holder(client, &request, dialect) } else { client };
    let client = overridden(client, snapshot, supposed)?;
    let mut ask = Ask { model: supposed.model.as_deref().map(Into::into), ..Ask::default() };
    let (mut has_model, mut tells_usage, mut cost) = (true, true, 1);
    match candidates {
        Ok(candidates) => {
            ask.model = candidates.model_in_target.clone().or(ask.model);
            // Without a model nothing is known of its route; limits are asked all the same.
            match candidates.select(&ask) {
                // Priced as if all of it were the reply, which costs more than a prompt.
                Ok(route) => {
                    cost = supposed.tokens.and_then(|tokens| route.reserve(ask.model.as_deref(), 0, tokens)).map_or(1, |cost| cost.0)
                }
                Err(unserved) => reject = reject.or_else(|| ask.model.is_some().then_some(unserved)),
            }
            (has_model, tells_usage) = (candidates.counts().has_model, candidates.tells_usage);
        }
        Err(no_route) => reject = reject.or(Some(no_route)),
    }
    let failed = reject.as_ref().is_some_and(Reject::is_failed_proof);
    let caller = limit::caller(&client, ask.model.as_deref(), snapshot.limits.hasher());
    let asked = |rule: &Rule| {
        let unit = rule.spec.unit();
        match unit {
            Unit::FailedAuth if !failed => Err("it counts credentials that do not hold".to_owned()),
            Unit::FailedAuth => Ok(1),
            _ if failed => Err("the request is refused before".to_owned()),
            _ if rule.turns_on_model && !has_model => Err("the operation has no model".to_owned()),
            Unit::Tokens | Unit::Cost if !tells_usage => Err(format!("the operation has no {unit}")),
            Unit::Tokens => Ok(supposed.tokens.unwrap_or(1)),
            Unit::Cost => Ok(cost),
            Unit::Requests | Unit::Concurrent => Ok(1),
        }
    };
    let verdict = |rule| Verdict { rule, outcome: asked(rule).and_then(|amount| weigh(snapshot, rule, &caller, (amount, now))) };
    let verdicts = snapshot.limits.rules().map(verdict).collect();
    Ok(Trial { client, reject, verdicts })
}

/// The head of the request.
fn head(snapshot: &Snapshot, supposed: &Supposed, uri: Uri) -> Result<http::request::Parts, String> {
    let mut request = Request::builder().method(Method::POST).uri(uri).header(HOST, "localhost");
    let value = |text: &str, what: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| format!("The {what} holds what no field may hold."))?;
        value.set_sensitive(true);
        Ok::<_, String>(value)
    };
    if let Some(key) = &supposed.key {
        request = request.header(AUTHORIZATION, value(&format!("Bearer {}", key.expose()), "key")?);
    }
    if let Some(session) = &supposed.session {
        request = match &snapshot.clients.session {
            Some(SessionIn::Header(name)) => request.header(name, value(session, "session")?),
            Some(SessionIn::Cookie(name)) => request.header(COOKIE, value(&format!("{name}={session}"), "session")?),
            None => return Err("The config does not say where a request names its session: see `clients.session`.".to_owned()),
        };
    }
    Ok(request.body(()).map_err(|error| format!("{error}."))?.into_parts().0)
}

/// The caller, with what is supposed of it in place of what it would be.
fn overridden(client: Client, snapshot: &Snapshot, supposed: &Supposed) -> Result<Client, String> {
    let mut client = client;
    if let Some(text) = &supposed.client {
        let (name, tier) = named(snapshot, text)?;
        client = Client { name: Some(name), tier: tier.or(client.tier), credential: None, ..client };
    }
    let (tier, region) = (supposed.tier.clone().or(client.tier), supposed.region.clone().or(client.region));
    Ok(Client { tier, region, ..client })
}

/// A client of this name, by the first proof that could give it: a key of the config, a rule for certificates, a token; a
/// certificate of that name where there are no tokens. And the tier that comes with it.
fn named(snapshot: &Snapshot, text: &str) -> Result<(Name, Option<Tier>), String> {
    let configured = snapshot.config.clients.as_ref();
    if let Some(key) = configured.and_then(|clients| clients.keys.iter().find(|key| key.name.as_str() == text)) {
        return Ok((Name::Key(key.name.clone()), Some(key.tier.clone())));
    }
    let foreign = ForeignName::new(text).ok_or_else(|| format!("`{text}` can't be the name of a client."))?;
    let tokens = snapshot.clients.jwt.as_ref();
    if let Some(mtls) = &snapshot.clients.mtls {
        let tier = |own: Option<&Tier>| own.or(mtls.tier.as_ref()).cloned();
        let of_rule = |rule: &&CertificateRule| rule.client.as_ref().is_some_and(|client| client.as_str() == text);
        if let Some((rule, name)) = mtls.names.iter().find(of_rule).and_then(|rule| Some((rule, rule.client.clone()?))) {
            return Ok((Name::Rule(name), tier(rule.tier.as_ref())));
        }
        if tokens.is_none() {
            let tier = tier(mtls.rule(&foreign).and_then(|rule| rule.tier.as_ref()));
            return Ok((Name::Certificate(foreign), tier));
        }
    }
    let tokens = tokens.ok_or_else(|| format!("No client of this config is called `{text}`."))?;
    Ok((Name::Token(foreign), tokens.tier.clone()))
}

/// What one limit would say; or why it is not asked.
fn weigh(snapshot: &Snapshot, rule: &Rule, caller: &Caller<'_>, (amount, now): (u64, Moment)) -> Result<Weighed, String> {
    if let Some(why) = why_not(rule, caller) {
        return Err(why);
    }
    let mut checks: SmallVec<[Check<'_>; 4]> = SmallVec::new();
    // A shadow is told as if it refused.
    snapshot.limits.checks((0, rule), caller, amount, |check| checks.push(Check { shadow: false, ..check }));
    if checks.is_empty() {
        let lacking = rule.per.iter().copied().find(|per| lacks(*per, caller)).unwrap_or(Per::All);
        return Err(format!("the request has no {}", word(lacking)));
    }
    let over = checks.iter_mut().fold(None, |longest, check| {
        let refused = limits::weigh(std::slice::from_mut(check), now).map(|refusal| refusal.wait);
        // No wait at all is the longest.
        match (longest, refused) {
            (Some(None), _) | (_, Some(None)) => Some(None),
            (longest, refused) => longest.max(refused),
        }
    });
    let part = |check: &&Check<'_>| check.outcome.standing.remaining as f64 / check.outcome.standing.limit.max(1) as f64;
    // invariant: there is at least one.
    let tightest = checks.iter().min_by(|one, other| part(one).total_cmp(&part(other))).unwrap_or(&checks[0]);
    Ok(Weighed { subject: rule.label(tightest.state, caller), amount, standing: tightest.outcome.standing, over })
}

/// Why a limit is not for this caller, if it is not.
fn why_not(rule: &Rule, caller: &Caller<'_>) -> Option<String> {
    let model = caller.model.is_some();
    let [tier, region, client] = [caller.tier.map(Tier::as_str), caller.region.map(Region::as_str), caller.name];
    (!rule.fits(caller)).then(|| {
        let whens = [
            names(rule.when.tier.as_ref(), Tier::as_str).map(|wanted| ("tier", tier, wanted)),
            names(rule.when.region.as_ref(), Region::as_str).map(|wanted| ("region", region, wanted)),
            names(rule.when.client.as_ref(), ClientName::as_str).map(|wanted| ("client", client, wanted)),
        ];
        let unfit = whens.into_iter().flatten().find(|(_, is, wanted)| is.is_none_or(|is| !wanted.contains(&is)));
        match unfit {
            Some((what, Some(is), wanted)) => format!("the {what} is {is}, not {}", wanted.join(" or ")),
            Some((what, None, wanted)) => format!("the request has no {what}, so not {}", wanted.join(" or ")),
            None if model => {
                let patterns = names(rule.when.model.as_ref(), ModelPattern::as_str).unwrap_or_default();
                format!("the model is {}, not {}", caller.model.unwrap_or_default(), patterns.join(" or "))
            }
            None => "it does not fit".to_owned(),
        }
    })
}

fn names<T>(few: Option<&Few<T>>, name: fn(&T) -> &str) -> Option<Vec<&str>> {
    few.map(|few| few.iter().map(name).collect())
}

/// Whether the request lacks what is counted by.
fn lacks(per: Per, caller: &Caller<'_>) -> bool {
    match per {
        Per::Ip => caller.ip.is_none(),
        Per::Tier => caller.tier.is_none(),
        Per::Region => caller.region.is_none(),
        Per::Session => caller.session.is_none(),
        Per::Client | Per::Model | Per::All => false,
    }
}

/// What is counted by, as a word of a sentence.
fn word(per: Per) -> &'static str {
    match per {
        Per::Ip => "address",
        Per::Client => "client",
        Per::Tier => "tier",
        Per::Region => "region",
        Per::Model => "model",
        Per::Session => "session",
        Per::All => "subject",
    }
}
