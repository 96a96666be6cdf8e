//! One JSON line, written out field by field into memory that is used again.
//!
//! A serializer that knows nothing of what it writes costs five times as much, and every request has its line.

use std::{
    fmt,
    io::Write,
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::Entry;
use crate::types::Money;

/// The memory of one line, and the second that its last moment was in.
#[derive(Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
    second: Option<u64>,
    /// That second as `2026-11-22T06:30:41`: requests of one second share it.
    written: Vec<u8>,
}

impl Line {
    /// The line of `entry`, with its line feed.
    pub(super) fn of(&mut self, entry: &Entry<'_>) -> &[u8] {
        self.bytes.clear();
        entry.write(self);
        // In the place of the first comma.
        self.bytes[0] = b'{';
        self.bytes.extend_from_slice(b"}\n");
        &self.bytes
    }

    pub(super) fn text(&mut self, key: &'static str, text: Option<&str>) {
        let Some(text) = text else { return };
        // Without an early end, so that the loop is done many bytes at a time.
        let plain = text.bytes().fold(true, |plain, byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'));
        if plain {
            self.word(key, Some(text));
        } else {
            self.bytes.extend_from_slice(key.as_bytes());
            // Writing to memory can't fail, nor can text.
            drop(serde_json::to_writer(&mut self.bytes, text));
        }
    }

    /// A text that nothing needs to be escaped in: a name that the config was checked for, or a word of ours.
    pub(super) fn word(&mut self, key: &'static str, word: Option<&str>) {
        let Some(word) = word else { return };
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(word.as_bytes());
        self.bytes.push(b'"');
    }

    pub(super) fn number(&mut self, key: &'static str, number: u64) {
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    pub(super) fn flag(&mut self, key: &'static str, flag: bool) {
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    /// Dollars, all digits of them.
    pub(super) fn money(&mut self, key: &'static str, money: Money) {
        self.bytes.extend_from_slice(key.as_bytes());
        // Writing to memory can't fail.
        drop(write!(self.bytes, "{money}"));
    }

    /// To the microsecond.
    pub(super) fn millis(&mut self, key: &'static str, duration: Option<Duration>) {
        let Some(duration) = duration else { return };
        self.number(key, duration.as_millis() as u64);
        let [hundreds, tens, ones] = digits(duration.subsec_micros() % 1_000);
        self.bytes.extend_from_slice(&[b'.', hundreds, tens, ones]);
    }

    pub(super) fn ip(&mut self, key: &'static str, ip: Option<IpAddr>) {
        let Some(ip) = ip else { return };
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.push(b'"');
        match ip {
            IpAddr::V4(ip) => {
                for (at, octet) in ip.octets().into_iter().enumerate() {
                    if at > 0 {
                        self.bytes.push(b'.');
                    }
                    self.bytes.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
                }
            }
            // Writing to memory can't fail.
            IpAddr::V6(ip) => drop(write!(self.bytes, "{ip}")),
        }
        self.bytes.push(b'"');
    }

    /// RFC 3339, in UTC, with milliseconds.
    pub(super) fn time(&mut self, key: &'static str, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != Some(since.as_secs()) {
            self.second = Some(since.as_secs());
            self.written.clear();
            write_second(&mut self.written, since.as_secs());
        }
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(&self.written);
        let [hundreds, tens, ones] = digits(since.subsec_millis());
        self.bytes.extend_from_slice(&[b'.', hundreds, tens, ones, b'Z', b'"']);
    }
}

/// A moment of the wall clock, printed as the log does.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp(pub SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut second = Vec::new();
        write_second(&mut second, since.as_secs());
        write!(f, "{}.{:03}Z", String::from_utf8_lossy(&second), since.subsec_millis())
    }
}

/// The three digits of a number below a thousand.
fn digits(number: u32) -> [u8; 3] {
    [100, 10, 1].map(|place| b'0' + (number / place % 10) as u8)
}

/// Days to year, month and day in the proleptic Gregorian calendar, counted from 1 March of year 0, so that the leap day is
/// a year's last.
fn write_second(out: &mut Vec<u8>, since: u64) {
    let (days, seconds) = (since / 86_400, since % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // Writing to memory can't fail.
    drop(write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// One field, read again.
    fn read(write: impl Fn(&mut Line)) -> Value {
        let mut line = Line::default();
        write(&mut line);
        line.bytes[0] = b'{';
        line.bytes.push(b'}');
        serde_json::from_slice(&line.bytes).unwrap()
    }

    #[test]
    fn moments_are_written_as_rfc_3339() {
        let mut line = Line::default();
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_709_251_199, "2024-02-29T23:59:59.007Z"),
            (1_709_251_200, "2024-03-01T00:00:00.007Z"),
            (4_102_444_800, "2100-01-01T00:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            line.bytes.clear();
            let time = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(7);
            line.time(",\"t\":", time);
            assert_eq!(Timestamp(time).to_string(), text);
            assert_eq!(std::str::from_utf8(&line.bytes).unwrap(), format!(",\"t\":\"{text}\""));
        }
    }

    #[test]
    fn addresses_and_flags_are_written_as_they_are() {
        for ip in ["0.0.0.0", "127.0.0.1", "255.249.10.100", "::1", "2001:db8::ff"] {
            assert_eq!(read(|line| line.ip(",\"ip\":", ip.parse().ok())), json!({ "ip": ip }));
        }
        assert_eq!(read(|line| (line.flag(",\"yes\":", true), line.flag(",\"no\":", false)).0), json!({ "yes": true, "no": false }));
    }

    proptest! {
        #[test]
        fn any_text_reads_as_itself(text in any::<String>()) {
            prop_assert_eq!(read(|line| line.text(",\"text\":", Some(&text))), json!({ "text": text }));
        }

        #[test]
        fn any_time_reads_in_milliseconds(micros in 0..u64::MAX / 4_096, number in any::<u64>()) {
            let read = read(|line| { line.millis(",\"ms\":", Some(Duration::from_micros(micros))); line.number(",\"n\":", number); });
            let ms = read["ms"].as_f64().unwrap();
            prop_assert!((ms - micros as f64 / 1_000.0).abs() <= micros as f64 * 1e-12, "{} is {}", micros, ms);
            prop_assert_eq!(read["n"].as_u64(), Some(number));
        }
    }
}
