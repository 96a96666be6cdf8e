use std::collections::HashSet;

use data_encoding::BASE64;
use proptest::prelude::*;

use super::*;

fn id(text: &str) -> MasterKeyId {
    text.parse().unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// What the text holds, or why it can't be had.
fn opened(text: &str, key: &MasterKey) -> Result<String, Unopened> {
    Sealed::parse(text)?.open(key).map(|secret| secret.expose().to_owned())
}

#[test]
fn what_is_sealed_opens_and_says_by_which_key() {
    let key = MasterKey::random().unwrap();
    let text = key.seal(&id("2026-11"), &secret("sk-hunter2")).unwrap();
    assert!(Sealed::is_sealed(&text) && text.starts_with("sealed:2026-11:"), "{text}");
    assert_eq!(Sealed::parse(&text).unwrap().id(), &id("2026-11"));
    assert_eq!(opened(&text, &key), Ok("sk-hunter2".to_owned()));
    assert!(!text.contains("hunter2"));
    assert_eq!(format!("{key:?}"), "[secret]");
}

/// A text made once and written down: what was sealed by one version opens with the next.
#[test]
fn the_format_stays_as_it_is() {
    let key = MasterKey::from_text(&"0123456789abcdef".repeat(4)).unwrap();
    let text = "sealed:2026-11:AQRwG0WopiWLZkwIBP7Kxzma7N8F0PML0vi9ppYr098Z4352HzdwGxYcFx4";
    assert_eq!(opened(text, &key), Ok("sk-written-down".to_owned()));
}

#[test]
fn no_byte_of_it_can_be_changed_and_none_left_out_or_added() {
    let key = MasterKey::random().unwrap();
    let text = key.seal(&id("a"), &secret("sk-hunter2-0123")).unwrap();
    for at in 0..text.len() {
        for by in [b'A', b'B', b'z', b'_', b'-', b'=', b':', b' ', b'+'] {
            let mut bytes = text.clone().into_bytes();
            if std::mem::replace(&mut bytes[at], by) == by {
                continue;
            }
            let changed = String::from_utf8(bytes).unwrap();
            assert!(opened(&changed, &key).is_err(), "{changed} for {text}");
        }
        assert!(opened(&text[..at], &key).is_err(), "cut at {at}");
        let (head, tail) = text.split_at(at);
        assert!(opened(&format!("{head}A{tail}"), &key).is_err(), "with one more at {at}");
    }
    let payload = BASE64URL_NOPAD.decode(text.strip_prefix("sealed:a:").unwrap().as_bytes()).unwrap();
    for bit in 0..payload.len() * 8 {
        let mut payload = payload.clone();
        payload[bit / 8] ^= 1 << (bit % 8);
        let changed = format!("sealed:a:{}", BASE64URL_NOPAD.encode(&payload));
        let expected = if bit < 8 { Unopened::Version(payload[0]) } else { Unopened::Refused };
        assert_eq!(opened(&changed, &key), Err(expected), "bit {bit}");
    }
}

#[test]
fn another_key_or_another_id_opens_nothing() {
    let (key, other) = (MasterKey::random().unwrap(), MasterKey::random().unwrap());
    let text = key.seal(&id("a"), &secret("sk-hunter2")).unwrap();
    assert_eq!(opened(&text, &other), Err(Unopened::Refused));
    assert_eq!(opened(&text.replace("sealed:a:", "sealed:b:"), &key), Err(Unopened::Refused));
}

#[test]
fn no_two_sealed_texts_share_a_nonce() {
    let key = MasterKey::random().unwrap();
    let nonces: HashSet<Vec<u8>> =
        (0..1_000).map(|_| Sealed::parse(&key.seal(&id("a"), &secret("same")).unwrap()).unwrap().payload[1..=NONCE_LEN].to_vec()).collect();
    assert_eq!(nonces.len(), 1_000);
}

#[test]
fn what_has_not_the_form_is_damaged_and_another_version_is_told() {
    let short = format!("sealed:a:{}", BASE64URL_NOPAD.encode(&[VERSION; OVERHEAD]));
    let newer = format!("sealed:a:{}", BASE64URL_NOPAD.encode(&[2; 40]));
    let key = MasterKey::random().unwrap();
    for text in ["", "sealed", "sealed:", "sealed:a", "sealed:a:", "sealed::AAAA", "sealed:a b:AQ", "sealed:a:AQ==", "sealed:a:é", &short]
    {
        assert_eq!(opened(text, &key), Err(Unopened::Damaged), "{text}");
    }
    assert_eq!(opened(&newer, &key), Err(Unopened::Version(2)));
}

#[test]
fn a_text_sealed_twice_is_told() {
    let key = MasterKey::random().unwrap();
    let once = key.seal(&id("a"), &secret("sk-hunter2")).unwrap();
    let twice = key.seal(&id("a"), &secret(&once)).unwrap();
    assert_eq!(opened(&twice, &key), Err(Unopened::Twice));
}

#[test]
fn a_master_key_is_32_bytes_in_hex_or_base64() {
    let bytes: Vec<u8> = (0..32).map(|i| i * 8 + 3).collect();
    let key = MasterKey::from_text(&HEXLOWER.encode(&bytes)).unwrap();
    let hex = HEXLOWER.encode(&bytes);
    for text in [
        hex.to_uppercase(),
        format!("  {hex}\r\n"),
        BASE64.encode(&bytes),
        BASE64_NOPAD.encode(&bytes),
        BASE64URL_NOPAD.encode(&bytes),
        format!("{}=\n", BASE64URL_NOPAD.encode(&bytes)),
    ] {
        assert_eq!(MasterKey::from_text(&text), Ok(MasterKey::from_text(&hex).unwrap()), "{text}");
    }
    assert_eq!(*key.to_text(), hex);
    assert_ne!(MasterKey::random().unwrap(), key);
    // Base64 that has nothing but hex digits in it.
    assert!(MasterKey::from_text(&format!("{}A=", "a".repeat(42))).is_ok());
    assert!(MasterKey::from_text(&format!("{}A", "a".repeat(42))).is_ok());
}

#[test]
fn a_text_that_is_no_master_key_is_refused_without_being_repeated() {
    for (text, words) in [
        ("", "empty"),
        ("\n", "empty"),
        ("deadbeef", "4 bytes, not 32"),
        (&"ab".repeat(31), "31 bytes"),
        (&"ab".repeat(33), "33 bytes"),
        ("aHVudGVyMi1odW50ZXIy", "15 bytes"),
        ("hunter2!", "neither hex nor base64"),
        ("hunter2\nhunter2", "neither hex nor base64"),
        (&format!("{}+_", "A".repeat(41)), "neither hex nor base64"),
        ("é", "neither hex nor base64"),
    ] {
        let refused = MasterKey::from_text(text).unwrap_err();
        assert!(refused.contains(words) && !refused.contains("hunter2"), "{text}: {refused}");
    }
}

proptest! {
    #[test]
    fn whatever_is_sealed_comes_back(text in "\\PC{1,80}", name in "[a-z0-9][a-z0-9._-]{0,20}") {
        prop_assume!(!Sealed::is_sealed(&text));
        let key = MasterKey::random().unwrap();
        let sealed = key.seal(&id(&name), &secret(&text)).unwrap();
        prop_assert!(sealed.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(opened(&sealed, &key), Ok(text));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(sealed:)?[a-z0-9:_-]{0,80}|\\PC*") {
        if let Ok(sealed) = Sealed::parse(&text) {
            let head = format!("sealed:{}:", sealed.id());
            prop_assert!(text.starts_with(&head));
            prop_assert_eq!(sealed.open(&MasterKey::random().unwrap()).unwrap_err(), Unopened::Refused);
        }
    }
}
