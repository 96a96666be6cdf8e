//! Step 3: where a request may go, by its path; and, once the model is known, where it goes.

use http::{Method, Uri};

use super::{reject::Reject, wanted::Counts};
use crate::{
    config::Credentials,
    policy::key_pool::homes::Whose,
    provider::{Endpoint, ModelIn},
    runtime::{Route, Snapshot},
    types::{Ask, Dialect, ObjectIds, Question, Repeat, RequestFormat},
};

/// The routes that have a request's path, and what is known of its operation.
#[derive(Debug)]
pub struct Candidates<'s, 'p> {
    routes: &'s [Route],
    path: &'p str,
    /// Whether the body may be read.
    pub reads_body: bool,
    /// The model, if the target says it.
    pub model_in_target: Option<Box<str>>,
    /// Whether a model is named where nobody looks.
    hides_model: bool,
    /// Whether the operation is about objects that live in one account, unless its body says otherwise.
    keeps_objects: bool,
    /// The ids of those that the path names.
    objects: ObjectIds,
    /// Whether the reply may tell ids of such objects.
    tells_objects: bool,
    /// Whether the reply may tell what it used.
    pub tells_usage: bool,
    /// Whether a stream tells it only if the request asks for it.
    pub tells_if_asked: bool,
    /// What the operation asks, and of which route that was read: in which format, and in what of the path.
    question: Option<(RequestFormat, &'p str, Question)>,
    /// What a second send would do, as far as the path tells: the worst that any of the routes' formats makes of it.
    repeat: Repeat,
    /// Whether a limit turns on the model.
    limits_turn_on_model: bool,
}

/// Finds the routes for a path.
///
/// # Errors
///
/// 404 if there is none; 400 if the model has a say and the query names two.
pub fn candidates<'s, 'p>(snapshot: &'s Snapshot, method: &Method, uri: &'p Uri) -> Result<Candidates<'s, 'p>, Reject> {
    let path = uri.path();
    let under_path = || snapshot.routes.iter().filter_map(|route| Some((route, route.rest(path)?)));
    let mut found = Candidates {
        routes: &snapshot.routes,
        path,
        reads_body: false,
        model_in_target: None,
        hides_model: false,
        keeps_objects: false,
        objects: ObjectIds::default(),
        tells_objects: false,
        tells_usage: false,
        tells_if_asked: false,
        question: None,
        repeat: Repeat::Safe,
        limits_turn_on_model: snapshot.limits.turn_on_model,
    };
    if under_path().next().is_none() {
        return Err(Reject::NoRoute);
    }
    for (route, rest) in under_path() {
        let Endpoint { model, keeps_objects, objects, tells_objects, tells_usage, tells_if_asked, question, repeat } =
            Endpoint::of(route.format, method, (rest, uri.query()));
        found.keeps_objects |= keeps_objects;
        found.objects.extend(objects);
        found.tells_objects |= tells_objects;
        found.tells_usage |= tells_usage;
        found.tells_if_asked |= tells_if_asked;
        found.question = question.map(|question| (route.format, rest, question)).or(found.question);
        found.repeat = found.repeat.max(repeat);
        match model {
            ModelIn::Body => found.reads_body = true,
            ModelIn::Target(model) => found.model_in_target = Some(model),
            ModelIn::Unclear if found.turn_on_model() => return Err(Reject::Malformed("the query names the model twice")),
            ModelIn::Unclear => {}
            ModelIn::Hidden => {
                found.hides_model = true;
                continue;
            }
            ModelIn::Nothing => continue,
        }
        break;
    }
    Ok(found)
}

impl<'s> Candidates<'s, '_> {
    fn iter(&self) -> impl Iterator<Item = &'s Route> {
        self.routes.iter().filter(|route| route.rest(self.path).is_some())
    }

    /// Whether the model has a say in where the request goes: then it must be known for certain.
    #[must_use]
    pub fn turn_on_model(&self) -> bool {
        self.limits_turn_on_model || self.iter().any(|route| !route.models.is_empty())
    }

    /// The dialect of the provider that sees the caller's own credential, if that is so whichever of the routes is taken.
    #[must_use]
    pub fn pass_on(&self) -> Option<Dialect> {
        let whole = self.iter().all(|route| route.credentials == Credentials::Client);
        let first = self.iter().next().filter(|_| whole)?;
        Some(first.targets.first()?.provider.dialect)
    }

    /// Whether the operation names a model.
    fn has_model(&self) -> bool {
        self.reads_body || self.model_in_target.is_some()
    }

    /// What the limits of step 7 turn on.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { has_model: self.has_model() || self.hides_model, tells_usage: self.tells_usage, tells_if_asked: self.tells_if_asked }
    }

    /// What the operation asks, where this route serves it. A route that takes the path for something else, or may, is not asked.
    #[must_use]
    pub fn question(&self, route: &Route) -> Option<Question> {
        let (format, rest, question) = self.question?;
        (route.format == format && route.rest(self.path) == Some(rest)).then_some(question)
    }

    /// What a second send of it would do.
    #[must_use]
    pub fn repeat(&self, ask: &Ask) -> Repeat {
        self.repeat.asked(ask)
    }

    /// Whether it is held for a second send although nobody reads it: a model's answer to a JSON body, such as Gemini's or an encoded one.
    #[must_use]
    pub fn may_go_again(&self) -> bool {
        self.repeat == Repeat::Billed && self.has_model()
    }

    /// Whether a route counts the tokens that its keys may use.
    #[must_use]
    pub fn weigh(&self) -> bool {
        self.iter().any(|route| route.weighs)
    }

    /// Whose key can serve this.
    #[must_use]
    pub fn whose(&self, ask: &Ask) -> Whose {
        if !ask.refers && !self.keeps_objects(ask) {
            return Whose::Any;
        }
        let mut ids = self.objects;
        ids.extend(ask.objects);
        if ids.is_empty() { Whose::Home } else { Whose::Maker(ids) }
    }

    /// Whether the reply may tell the ids of objects that its account keeps.
    #[must_use]
    pub fn tells_objects(&self, ask: &Ask) -> bool {
        self.tells_objects && self.keeps_objects(ask)
    }

    fn keeps_objects(&self, ask: &Ask) -> bool {
        ask.store.unwrap_or(self.keeps_objects)
    }

    /// The first route that serves the model. An operation that has no model goes to the first route of its path.
    ///
    /// # Errors
    ///
    /// 404 if none does.
    pub fn select(&self, ask: &Ask) -> Result<&'s Route, Reject> {
        let fits = |route: &&Route| match &ask.model {
            Some(model) => route.serves(model),
            None => route.models.is_empty(),
        };
        let first = self.iter().find(fits).or_else(|| self.iter().next().filter(|_| !self.has_model()));
        first.ok_or_else(|| Reject::NoModel(ask.model.clone()))
    }
}
