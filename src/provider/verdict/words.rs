//! The codes, types and reasons of errors, over all dialects: they are the providers' own words, never a caller's.

use super::{Facts, told::Told};
use crate::types::{Cause, Dimension};

const LIMITED: Cause = Cause::RateLimited(Dimension::Unknown);

/// In small letters, each with what it says. Sources: the error pages of each provider's API reference and, for those that
/// document none, what they send, as of 2026-11.
const WORDS: &[(Cause, &[&str])] = &[
    (
        Cause::InvalidKey,
        &[
            "access_terminated",
            "access_token_expired",
            "account_deactivated",
            "api_key_invalid",
            "authentication_error",
            "consumer_invalid",
            "consumer_suspended",
            "incorrect_api_key",
            "invalid_api_key",
            "invalid_authentication_error",
            "service_disabled",
            "token_expired",
            "unauthenticated",
        ],
    ),
    (
        Cause::Exhausted,
        &[
            "billing_disabled",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_limit_user_error",
            "billing_not_active",
            "credit_balance_exhausted",
            "enforced_spend_limit_reached",
            "exceeded_current_quota_error",
            "insufficient_balance",
            "insufficient_credits",
            "insufficient_quota",
            "organization_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "project_spend_limit_exceeded",
        ],
    ),
    (
        LIMITED,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "rate_limited",
            "ratelimitreached",
            "requests",
            "resource_exhausted",
            "slow_down",
            "tokens",
            "too_many_requests",
        ],
    ),
    (
        Cause::Overloaded,
        &[
            "capacity_exceeded",
            "engine_overloaded_error",
            "nocapacity",
            "overloaded_error",
            "server_is_overloaded",
            "service_tier_capacity_exceeded",
            "service_unavailable_error",
            "serviceunavailableerror",
            "unavailable",
        ],
    ),
    (Cause::GatewayTimeout, &["deadline_exceeded", "timeout_error"]),
    (Cause::ServerError, &["api_error", "internal", "internal_error", "internal_server_error", "internalservererror", "server_error"]),
    (Cause::UnknownModel, &["deploymentnotfound", "invalid_model", "model_decommissioned", "model_not_found", "unknown_model"]),
    (
        Cause::Forbidden,
        &[
            "access_token_scope_insufficient",
            "api_key_service_blocked",
            "insufficient_permissions",
            "missing_scope",
            "model_permission_blocked_org",
            "model_permission_blocked_project",
            "model_terms_required",
            "permissiondenied",
            "permission_denied",
            "permission_error",
            "permissions_error",
        ],
    ),
    (Cause::Region, &["api_key_ip_address_blocked", "ip_not_authorized", "unsupported_country_region_territory"]),
    (Cause::ContextLength, &["context_length_exceeded", "context_window_exceeded", "exceed_context_size_error"]),
    // The caller's own `referer` decides about this one.
    (Cause::Refused, &["api_key_http_referrer_blocked"]),
];

/// Inside a stream there is no status that would say so.
const REFUSALS: &[&str] = &[
    "badrequesterror",
    "bad_request_error",
    "content_filter",
    "failed_precondition",
    "failed_to_download_image",
    "not_found_error",
    "notfounderror",
    "out_of_range",
    "request_too_large",
    "validation_error",
];
const REFUSAL_BEGINS: &[&str] = &["content_policy", "empty_image", "image_", "invalid_", "unsupported_"];

/// The cause by the most exact word that is known and may stand beside the status.
pub(super) fn cause(facts: &Facts<'_>) -> Option<Cause> {
    facts.told.words().filter(|word| !word.is_empty()).find_map(|word| {
        let known = WORDS.iter().find(|(_, words)| words.contains(&word)).map(|(cause, _)| *cause);
        let known = known.filter(|cause| fits(*cause, facts.status));
        known.or_else(|| (facts.status.is_none() && is_refusal(word)).then_some(Cause::Refused))
    })
}

/// Words for what is wrong with a request, whenever it is sent.
const FAULTS: &[&str] =
    &["badrequesterror", "bad_request_error", "not_found_error", "notfounderror", "request_too_large", "validation_error"];
const FAULT_BEGINS: &[&str] = &["invalid_", "unsupported_"];
/// Words that speak against that, wherever they stand beside the others: those of filters, of what a provider failed to fetch, and
/// of a model that has not written what it should have (Groq's), which it may the next time.
const PASSING: &[&str] = &["failed_to_download_image", "invalid_image_url", "invalid_prompt", "json_validate_failed", "tool_use_failed"];
const PASSING_BEGINS: &[&str] = &["content_"];
/// And DeepSeek's filter, which has no word of its own.
const PASSING_MESSAGE: &str = "Content Exists Risk";

/// Whether an error blames what stands in the request, in words that are known.
pub(super) fn blame_the_request(told: &Told) -> bool {
    let begins = |word: &str, begins: &[&str]| begins.iter().any(|begin| word.starts_with(begin));
    let passing = told.message() == PASSING_MESSAGE || told.words().any(|word| PASSING.contains(&word) || begins(word, PASSING_BEGINS));
    !passing && told.words().any(|word| FAULTS.contains(&word) || begins(word, FAULT_BEGINS))
}

fn is_refusal(word: &str) -> bool {
    REFUSALS.contains(&word) || REFUSAL_BEGINS.iter().any(|begin| word.starts_with(begin))
}

/// Whether a cause may stand beside a status: what blames us is no server's failure, and the other way round.
pub(super) fn fits(cause: Cause, status: Option<u16>) -> bool {
    let Some(status) = status else { return true };
    match cause {
        Cause::RateLimited(_) => matches!(status, 403 | 429 | 500..),
        Cause::Overloaded => matches!(status, 429 | 498 | 500..),
        Cause::GatewayTimeout => matches!(status, 408 | 500..),
        // OpenAI's `server_error` stands beside 503 too, which says more.
        Cause::ServerError => false,
        _ => status < 500,
    }
}
