//! The query of a request: names and values.

use axum::http::Uri;

use super::answer::Refusal;

/// What follows a `?`, name by name, decoded (WHATWG URL, `application/x-www-form-urlencoded`).
///
/// # Errors
///
/// [`Refusal::Query`] for what is no text.
pub fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Refusal> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(value)?))
    };
    let all = uri.query().unwrap_or_default().split('&').filter(|text| !text.is_empty()).map(pair);
    all.collect::<Option<_>>()
        .ok_or(Refusal::Query("The query is no text: write each byte that is no letter or digit as % and two hex digits."))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The value as a query may hold it.
#[must_use]
pub fn encoded(value: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    value.bytes().map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Option<Vec<(String, String)>> {
        pairs(&format!("/limits?{query}").parse().unwrap()).ok()
    }

    #[test]
    fn names_and_values_are_decoded() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("").unwrap(), []);
        assert_eq!(read("a=b&&c").unwrap(), [pair("a", "b"), pair("c", "")]);
        assert_eq!(
            read("client=J%C3%BCrgen+Gro%c3%9f&ip=2001:db8::1").unwrap(),
            [pair("client", "Jürgen Groß"), pair("ip", "2001:db8::1")]
        );
        for wrong in ["a=%", "a=%4", "a=%zz", "a=%ff", "%+1=a"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_encoded_is_read_as_the_same() {
        for value in ["plain", "a b&c=d+e%?#", "Jürgen Groß", "spiffe://prod/ns/web", ""] {
            assert_eq!(read(&format!("v={}", encoded(value))).unwrap()[0].1, value);
        }
    }
}
