//! Step 3: where a request may go, by its path; and, once the model is known, where it goes.

use http::Method;

use super::reject::Reject;
use crate::{
    provider::Endpoint,
    runtime::{Route, Snapshot},
    types::Ask,
};

/// The routes that have a request's path, and what is known of its operation.
#[derive(Debug)]
pub struct Candidates<'s, 'p> {
    routes: &'s [Route],
    path: &'p str,
    /// Whether the body may be read.
    pub reads_body: bool,
    /// The model, if the path says it.
    pub model_in_path: Option<Box<str>>,
}

/// Finds the routes for a path.
///
/// # Errors
///
/// 404 if there is none.
pub fn candidates<'s, 'p>(snapshot: &'s Snapshot, method: &Method, path: &'p str) -> Result<Candidates<'s, 'p>, Reject> {
    let mut found = Candidates { routes: &snapshot.routes, path, reads_body: false, model_in_path: None };
    if found.iter().next().is_none() {
        return Err(Reject::NoRoute);
    }
    let known =
        |route: &Route| Some(Endpoint::of(route.format, method, route.rest(path)?)).filter(|endpoint| *endpoint != Endpoint::Opaque);
    let known = found.iter().find_map(known);
    match known {
        Some(Endpoint::ModelInBody) => found.reads_body = true,
        Some(Endpoint::ModelInPath(model)) => found.model_in_path = Some(model),
        _ => {}
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
        self.iter().any(|route| !route.models.is_empty())
    }

    /// The first route that serves the model. An operation that has no model goes to the first route of its path.
    ///
    /// # Errors
    ///
    /// 404 if none does.
    pub fn select(&self, ask: &Ask) -> Result<&'s Route, Reject> {
        let has_model = self.reads_body || self.model_in_path.is_some();
        let fits = |route: &&Route| match &ask.model {
            Some(model) => route.serves(model),
            None => route.models.is_empty(),
        };
        let first = self.iter().find(fits).or_else(|| self.iter().next().filter(|_| !has_model));
        first.ok_or_else(|| Reject::NoModel(ask.model.clone()))
    }
}
