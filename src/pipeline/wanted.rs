//! What a request wants of a provider, once its body is read: what steps 6 to 8 go on with.

use super::{admit::Admitted, client::Client};
use crate::{
    policy::{estimate::Prompt, key_pool::homes::Whose},
    runtime::Reserved,
    types::Repeat,
    upstream::Upload,
};

/// What a request wants of a provider.
#[derive(Debug)]
pub struct Wanted {
    /// Its head.
    pub request: Admitted,
    /// Who wants it.
    pub client: Client,
    /// Its body.
    pub upload: Upload,
    /// The memory that the body occupies, until a reply has begun.
    pub reserved: Option<Reserved>,
    /// What the body weighs, where that is needed.
    pub prompt: Prompt,
    /// Whose key it needs.
    pub whose: Whose,
    /// What a second send would do.
    pub repeat: Repeat,
    /// What limits turn on.
    pub counts: Counts,
    /// Whether step 7 has charged for it already.
    pub is_charged: bool,
}

/// What is known of an operation, as far as limits turn on it.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Whether it has a model.
    pub has_model: bool,
    /// Whether its reply may tell what it used.
    pub tells_usage: bool,
    /// Whether a stream tells it only if the request asks for it.
    pub tells_if_asked: bool,
}
