//! The flags of `sidegate load`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use super::site::Site;
use crate::types::{Period, Secret};

/// Requests where nothing else is said, and with `--small`.
const REQUESTS: u64 = 600;
const FEW_REQUESTS: u64 = 50;

/// Put a bounded load on a URL and measure it: success, latency, time to first token, tokens, cost
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The base URL, as an SDK takes it: `http://127.0.0.1:8080/v1`, or `unix:/path`
    #[arg(value_name = "URL")]
    pub url: Site,
    /// Requests in all
    #[arg(long, value_name = "COUNT", default_value_t = REQUESTS, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub requests: u64,
    /// 50 requests
    #[arg(long, conflicts_with_all = ["requests", "time"])]
    pub small: bool,
    /// No new request after this time, instead of a count
    #[arg(long = "for", id = "time", value_name = "DURATION", conflicts_with = "requests")]
    pub time: Option<Period>,
    /// Concurrent users; each has one connection and one request open
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub users: u32,
    /// Start requests at this rate, whatever the replies do; latency counts from when each should have started
    #[arg(long, value_name = "RATE")]
    pub rate: Option<Rate>,
    /// What a reply may take, from its request to its last byte
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub timeout: Period,
    /// What is asked for
    #[command(flatten)]
    pub asked: Asked,
    /// The API key; it is never printed
    #[arg(long, value_name = "KEY", env = "OPENAI_API_KEY", hide_env_values = true, value_parser = secret, allow_hyphen_values = true)]
    pub key: Option<Secret>,
    /// Root certificates to trust for https, in PEM; without it, Mozilla's
    #[arg(long, value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// Put half of the load on this URL at the same time, and show what the first one adds to it
    #[arg(long, value_name = "URL")]
    pub compare: Option<Site>,
    /// The key for the URL to compare with, if it is another one
    #[arg(long, value_name = "KEY", requires = "compare", value_parser = secret, allow_hyphen_values = true)]
    pub compare_key: Option<Secret>,
    /// Prices in dollars per million tokens, as YAML or JSON: `models: { mine: { input: 0.15, output: 0.60 } }`
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Exit with 1 if fewer succeed
    #[arg(long, value_name = "PERCENT", default_value = "99", value_parser = percent)]
    pub min_success: f64,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// What every request asks for.
#[derive(Clone, Debug, clap::Args)]
pub struct Asked {
    /// The model to ask for
    #[arg(long, value_name = "NAME", default_value = "gpt-4o-mini")]
    pub model: String,
    /// Ask for streamed replies, which is the default
    #[arg(long, overrides_with = "no_stream")]
    pub stream: bool,
    /// Ask for replies in one piece
    #[arg(long)]
    pub no_stream: bool,
    /// About how long each prompt is
    #[arg(long, value_name = "TOKENS", default_value = "16", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub prompt_tokens: u32,
    /// How long a reply may be
    #[arg(long, value_name = "TOKENS", default_value = "8", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: u32,
    /// Send the same prompt each time; else each has a number of its own, so that no cache answers
    #[arg(long)]
    pub same_prompt: bool,
}

const AFTER_HELP: &str = "\
Ends early with Ctrl-C, and prints what was measured. Exits with 0 if enough requests succeeded (--min-success), with 1 if not or if
the URL can't be reached, and with 64 if it can't make sense of its arguments.";

/// What every request asks for, as one word for each.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) prompt_tokens: u32,
    pub(super) max_tokens: u32,
    pub(super) same_prompt: bool,
}

/// When a load is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Requests(u64),
    Time(Duration),
}

impl Args {
    pub(super) fn ask(&self) -> Ask {
        let Asked { model, no_stream, prompt_tokens, max_tokens, same_prompt, .. } = self.asked.clone();
        Ask { model, stream: !no_stream, prompt_tokens, max_tokens, same_prompt }
    }

    pub(super) fn bound(&self) -> Bound {
        match self.time {
            Some(Period(time)) => Bound::Time(time),
            None if self.small => Bound::Requests(FEW_REQUESTS),
            None => Bound::Requests(self.requests),
        }
    }

    /// The key for each of the two URLs.
    ///
    /// # Errors
    /// A key that can't stand in a header; its text is not in the error.
    pub(super) fn keys(&self) -> Result<[Option<&Secret>; 2], &'static str> {
        let usable = |key: &Option<Secret>| key.as_ref().is_none_or(|key| key.expose().bytes().all(|byte| byte.is_ascii_graphic()));
        if !usable(&self.key) || !usable(&self.compare_key) {
            return Err("the key holds characters that no header can carry");
        }
        // A variable that is set to nothing is no key.
        let given = |key: &Secret| !key.expose().is_empty();
        let second = self.compare_key.as_ref().or(self.key.as_ref());
        Ok([self.key.as_ref().filter(|key| given(key)), second.filter(|key| given(key))])
    }
}

/// Requests per second, written as `100/s`, `600/min` or a bare number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(pub f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, seconds) = match text.split_once('/') {
            None | Some((_, "s")) => (text.trim_end_matches("/s"), 1.0),
            Some((number, "min")) => (number, 60.0),
            Some(_) => ("", 1.0),
        };
        let rate = number.parse::<f64>().ok().map(|number| number / seconds);
        // Below, the next request may be years away; above, no machine sends them.
        rate.filter(|rate| (0.001..=1e6).contains(rate))
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a rate; write `100/s` or `600/min`"))
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').trim_end().parse().ok();
    number.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| format!("`{text}` is not a number from 0 to 100"))
}

/// Never an error: clap would repeat the text in it.
#[expect(clippy::unnecessary_wraps, reason = "clap wants a Result")]
fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(flags: &[&str]) -> Result<Args, clap::Error> {
        Ok(Flags::try_parse_from(["load", "http://a/v1"].iter().chain(flags))?.args)
    }

    #[test]
    fn a_load_is_bounded_by_a_count_or_by_a_time() {
        for (flags, bound) in [
            (&[][..], Bound::Requests(600)),
            (&["--small"], Bound::Requests(50)),
            (&["--requests", "7"], Bound::Requests(7)),
            (&["--for", "60s"], Bound::Time(Duration::from_secs(60))),
        ] {
            assert_eq!(parsed(flags).unwrap().bound(), bound);
        }
        for flags in [&["--small", "--for", "1s"][..], &["--requests", "5", "--for", "1s"], &["--requests", "0"], &["--users", "0"]] {
            assert!(parsed(flags).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn replies_are_streamed_unless_the_last_word_says_otherwise() {
        for (flags, stream) in [(&[][..], true), (&["--stream"], true), (&["--no-stream"], false), (&["--no-stream", "--stream"], true)] {
            assert_eq!(parsed(flags).unwrap().ask().stream, stream, "{flags:?}");
        }
    }

    #[test]
    fn rates_and_shares_are_read_and_nonsense_is_refused() {
        for (text, rate) in [("100", 100.0), ("100/s", 100.0), ("90/min", 1.5), ("0.5/s", 0.5)] {
            assert_eq!(text.parse(), Ok(Rate(rate)));
        }
        for text in ["", "0", "-1", "nan", "inf", "1/h", "/s", "1e9"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        assert_eq!(percent("99.9%"), Ok(99.9));
        assert!(percent("101").is_err() && percent("NaN").is_err());
    }

    #[test]
    fn a_key_for_one_url_serves_both_unless_there_is_another() {
        let key = |n: usize, flags: &[&str]| parsed(flags).unwrap().keys().unwrap()[n].map(|key| key.expose().to_owned());
        let two = ["--key", "one", "--compare", "http://b", "--compare-key", "two"];
        assert_eq!((key(0, &two).as_deref(), key(1, &two).as_deref()), (Some("one"), Some("two")));
        assert_eq!(key(1, &two[..4]).as_deref(), Some("one"));
        assert_eq!(key(0, &["--key", ""]), None);
        let wrong = parsed(&["--key", "hidden\nx: y"]).unwrap().keys().unwrap_err();
        assert!(!wrong.contains("hidden"));
    }
}
