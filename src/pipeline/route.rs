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
pub struct Candidates<'s> {
    routes: Vec<&'s Route>,
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
pub fn candidates<'s>(snapshot: &'s Snapshot, method: &Method, path: &str) -> Result<Candidates<'s>, Reject> {
    let routes: Vec<_> = snapshot.routes.iter().filter(|route| route.rest(path).is_some()).collect();
    if routes.is_empty() {
        return Err(Reject::NoRoute);
    }
    let mut endpoints = routes.iter().filter_map(|route| Some(Endpoint::of(route.format, method, route.rest(path)?)));
    let known = endpoints.find(|endpoint| *endpoint != Endpoint::Opaque);
    let (reads_body, model_in_path) = match known {
        Some(Endpoint::ModelInBody) => (true, None),
        Some(Endpoint::ModelInPath(model)) => (false, Some(model)),
        _ => (false, None),
    };
    Ok(Candidates { routes, reads_body, model_in_path })
}

impl<'s> Candidates<'s> {
    /// Whether only the model can tell where the request goes.
    #[must_use]
    pub fn need_model(&self) -> bool {
        self.routes.iter().all(|route| !route.models.is_empty())
    }

    /// The first route that serves the model. An operation that has no model goes to the first route of its path.
    ///
    /// # Errors
    ///
    /// 404 if none does.
    pub fn select(&self, ask: &Ask) -> Result<&'s Route, Reject> {
        let has_model = self.reads_body || self.model_in_path.is_some();
        let fits = |route: &&&Route| match &ask.model {
            Some(model) => route.serves(model),
            None => route.models.is_empty(),
        };
        let first = self.routes.iter().find(fits).or_else(|| self.routes.first().filter(|_| !has_model));
        first.copied().ok_or_else(|| Reject::NoModel(ask.model.clone()))
    }
}
