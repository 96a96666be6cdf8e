//! The page at the admin root: one file that shows what the other endpoints tell, and loads nothing from anywhere else.
//!
//! What it shows comes from configs and providers, so it may hold markup. The page writes all of it as text; behind that,
//! its policy lets the browser run no script and no style but those two of the file, whose hashes it names, and forbids
//! to make markup of text at all.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    http::{
        HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
    },
    response::IntoResponse,
};

const PAGE: &str = include_str!("page.html");

/// The page at `/`.
pub async fn show() -> impl IntoResponse {
    (headers(), PAGE)
}

/// Kept by no cache: a page that is older than its proxy would ask for what is no more. In no frame: a click on *Drain*
/// must have been meant for it.
fn headers() -> [(HeaderName, HeaderValue); 6] {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        HeaderValue::try_from(policy(PAGE)).expect("a policy is ASCII") // invariant: hashes are written in base64
    });
    [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, POLICY.clone()),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ]
}

/// What a browser may do for this page (Content Security Policy Level 3, Trusted Types). Its icon is a `data:` URL.
fn policy(page: &str) -> String {
    let [script, style] = ["script", "style"].map(|tag| hash(inside(page, tag)));
    format!(
        "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// What stands between the tags, to the byte.
fn inside<'a>(page: &'a str, tag: &str) -> &'a str {
    let behind = page.split_once(&format!("<{tag}>")).map_or("", |(_, rest)| rest);
    behind.split_once(&format!("</{tag}>")).map_or("", |(text, _)| text)
}

/// `sha256-` and the digest in base64 (CSP Level 3 §2.3.1, RFC 4648 §4).
fn hash(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = "sha256-".to_owned();
    for group in digest(&SHA256, text.as_bytes()).as_ref().chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        out.extend((0..=group.len()).map(|at| char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize])));
        out.extend((group.len()..3).map(|_| '='));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_hash_of_the_only_script_and_the_only_style() {
        for tag in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{tag}")).count(), 1, "{tag}");
            assert!(inside(PAGE, tag).len() > 1000, "{tag}");
            assert!(policy(PAGE).contains(&format!("{tag}-src '{}';", hash(inside(PAGE, tag)))), "{tag}");
        }
        // That of nothing, as `openssl dgst -sha256 -binary </dev/null | base64` writes it.
        assert_eq!(hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(hash("abc"), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn the_page_stays_small_and_names_no_other_machine() {
        assert!(PAGE.len() <= 48 << 10, "{} bytes", PAGE.len());
        // The one address in it is the name of SVG, which nobody asks.
        let addresses = PAGE.match_indices("://").filter(|(at, _)| !PAGE[at + 3..].starts_with("www.w3.org/2000/svg"));
        assert_eq!(addresses.count(), 0);
        for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!PAGE.contains(markup), "{markup}");
        }
    }
}
