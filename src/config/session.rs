//! `clients.session`: which requests belong together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a request names its session: one of these. What stands there is the client's own word, so a session is a bound on what one
/// conversation may use, and none on a client that invents sessions. A name of more than 256 bytes is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionField {
    /// A header field, such as `x-session-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A cookie, such as `sid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
}
