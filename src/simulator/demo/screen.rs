//! What the demo prints: plain text, with quiet colours on a terminal.

use std::{
    env, fmt,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use super::super::{End, Seen, faults::FAULTS};
use crate::types::Fingerprint;

/// The lines of the demo, in the order in which they come.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    keys: Vec<(Fingerprint, &'static str)>,
    colour: bool,
}

/// How a piece of text looks on a terminal.
#[derive(Clone, Copy)]
enum Look {
    Bold,
    Dim,
    Good,
    Bad,
}

impl<'a> Screen<'a> {
    /// A screen that knows the pool's keys by name.
    pub(super) fn new(out: &'a mut dyn Write, keys: &[(&'static str, &'static str)]) -> Self {
        let keys = keys.iter().map(|(name, key)| (Fingerprint::of(key.as_bytes()), *name)).collect();
        let colour = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { out, keys, colour }
    }

    /// Who stands where, and what to paste.
    pub(super) fn welcome(&mut self, provider: SocketAddr, proxy: SocketAddr, wanted: u16) -> io::Result<()> {
        let title = self.look(Look::Bold, "Sidegate demo");
        writeln!(self.out, "{title}: no account, no network, no bill.\n")?;
        let taken = if [0, proxy.port()].contains(&wanted) { String::new() } else { format!("  (port {wanted} is taken)") };
        writeln!(self.out, "  proxy     http://{proxy}/v1{taken}")?;
        writeln!(self.out, "  provider  http://{provider}/v1  (simulated)")?;
        for (fingerprint, name) in &self.keys {
            writeln!(self.out, "  key       {fingerprint}  {name}")?;
        }
        writeln!(self.out, "\n{}\n", self.look(Look::Bold, "Point the SDK you have at it"))?;
        let dim = |text| self.look(Look::Dim, text);
        let (python, node, curl) = (dim("# Python"), dim("// Node"), dim("# curl"));
        write!(
            self.out,
            "  {python}
  from openai import OpenAI
  client = OpenAI(base_url=\"http://{proxy}/v1\", api_key=\"anything\")

  {node}
  import OpenAI from \"openai\";
  const client = new OpenAI({{ baseURL: \"http://{proxy}/v1\", apiKey: \"anything\" }});

  {curl}
  curl -N http://{proxy}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{\"model\":\"gpt-4o\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'

"
        )?;
        write!(self.out, "{}\n\n  ", self.look(Look::Bold, "A first request, streamed through the proxy"))?;
        self.out.flush()
    }

    /// A token of the first reply, shown as it arrives.
    pub(super) fn token(&mut self, token: &str) -> io::Result<()> {
        write!(self.out, "{token}")?;
        self.out.flush()
    }

    /// Behind the last token.
    pub(super) fn end_of_text(&mut self) -> io::Result<()> {
        writeln!(self.out)?;
        self.out.flush()
    }

    /// The heading of what follows.
    pub(super) fn before_traffic(&mut self) -> io::Result<()> {
        let faults: Vec<&str> = FAULTS.iter().map(|fault| fault.model).collect();
        let heading = self.look(Look::Bold, "Traffic, as the provider sees it");
        writeln!(self.out, "\n\n{heading} (Ctrl-C ends; models that misbehave: {})\n", faults.join(" "))?;
        self.out.flush()
    }

    /// One request: time, what was asked, with which key, what came of it.
    pub(super) fn exchange(&mut self, seen: &Seen) -> io::Result<()> {
        let time = self.look(Look::Dim, time_of_day(SystemTime::now()));
        let (method, path) = (&seen.method, &seen.path);
        let model = seen.model.as_deref().map(|model| format!(" {model}")).unwrap_or_default();
        let key = match seen.key {
            None => "no key".to_owned(),
            Some(key) => match self.keys.iter().find(|(known, _)| *known == key) {
                Some((_, name)) => format!("key {key} ({name})"),
                None => format!("key {key}"),
            },
        };
        let tokens = if seen.tokens == 0 { String::new() } else { format!("{} tokens in ", seen.tokens) };
        let (outcome, elapsed) = (self.outcome(seen), seen.elapsed().as_millis());
        writeln!(self.out, "  {time}  {method} {path}{model} → {key} → {outcome}, {tokens}{elapsed} ms")?;
        self.out.flush()
    }

    fn outcome(&self, seen: &Seen) -> String {
        let status = seen.status.map_or_else(|| "no reply".to_owned(), |status| status.as_u16().to_string());
        match seen.end {
            End::Complete if seen.status.is_some_and(|status| status.is_success()) => self.look(Look::Good, status),
            End::Complete => self.look(Look::Bad, status),
            End::Broken => self.look(Look::Bad, format!("{status}, broken off")),
            End::Cancelled => self.look(Look::Bad, format!("{status}, cancelled by the client")),
        }
    }

    fn look(&self, look: Look, text: impl fmt::Display) -> String {
        let code = match look {
            Look::Bold => 1,
            Look::Dim => 2,
            Look::Good => 32,
            Look::Bad => 31,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// `23:59:59Z`: UTC, as the time zone is not the standard library's to know.
fn time_of_day(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
