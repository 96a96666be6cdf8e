//! Every reply and event in `tests/corpus/verdicts`, in the shapes that providers send, and `docs/verdicts.md`, which is made from them.
//!
//! A file names what is expected, and behind a blank line is the reply (`.http`) or the event (`.sse`). Those in `every` mean the
//! same in each dialect. `UPDATE_DOCS=1 cargo test --lib verdict` writes the page anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    str,
    time::Duration,
};

use http::{HeaderName, HeaderValue};

use super::*;
use crate::{
    provider::rate_headers::duration,
    types::{Action, Blame},
};

/// 2025-11-24T16:00:00Z, when all of it was sent.
const NOW: u64 = 1_764_000_000;
/// Fewer than this mean that the walk looked in the wrong place.
const FEWEST_CASES: usize = 250;

struct Case {
    path: PathBuf,
    dialects: Vec<Dialect>,
    cause: Cause,
    wait: Option<Duration>,
    shape: String,
    sent: Sent,
}

enum Sent {
    Reply { status: StatusCode, headers: HeaderMap, body: Vec<u8> },
    Event(Vec<u8>),
}

impl Case {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (expected, sent) = text.split_once("\n\n").unwrap_or_else(|| panic!("{}: no blank line", path.display()));
        let expected: BTreeMap<_, _> = expected.lines().map(|line| line.split_once(": ").unwrap()).collect();
        assert_eq!(expected.keys().copied().collect::<Vec<_>>(), ["cause", "shape", "wait"], "{}", path.display());
        let named = |cause: &Cause| cause.name() == expected["cause"];
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let dialects: Vec<_> = Dialect::ALL.into_iter().filter(|dialect| folder == "every" || folder == dialect.name()).collect();
        assert!(!dialects.is_empty(), "{}: no such dialect", path.display());
        Self {
            path: path.to_owned(),
            dialects,
            cause: Cause::ALL.into_iter().find(named).unwrap_or_else(|| panic!("{}: no such cause", path.display())),
            wait: match expected["wait"] {
                "none" => None,
                wait => Some(duration::read(wait.as_bytes()).unwrap()),
            },
            shape: expected["shape"].to_owned(),
            sent: match path.extension().and_then(|extension| extension.to_str()) {
                Some("http") => Sent::reply(sent),
                Some("sse") => Sent::Event(sent.trim_end().into()),
                _ => panic!("{}: neither a reply nor an event", path.display()),
            },
        }
    }

    fn verdict(&self, dialect: Dialect) -> Verdict {
        match &self.sent {
            Sent::Reply { status, headers, body } => of_reply(dialect, *status, headers, body, NOW),
            Sent::Event(event) => of_event(dialect, event).unwrap_or(Cause::Served.into()),
        }
    }
}

impl Sent {
    fn reply(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value.trim()).unwrap());
        }
        Self::Reply { status, headers, body: body.into() }
    }
}

/// Every file, in order.
fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/verdicts");
    let entries = |folder: &Path| -> BTreeSet<PathBuf> { fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect() };
    let cases: Vec<_> = entries(&root).iter().flat_map(|folder| entries(folder)).map(|path| Case::read(&path)).collect();
    assert!(cases.len() >= FEWEST_CASES, "found only {} cases", cases.len());
    cases
}

#[test]
fn every_reply_and_event_is_judged_as_it_should_be() {
    let mut wrong = String::new();
    for case in cases() {
        let expected = Verdict { cause: case.cause, wait: case.wait };
        for dialect in &case.dialects {
            let found = case.verdict(*dialect);
            if found != expected {
                writeln!(wrong, "{} as {}: {found:?}", case.path.display(), dialect.name()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn only_known_faults_of_a_request_are_its_callers_own() {
    let (mut own, mut others) = (0, 0);
    for case in cases() {
        let Sent::Reply { status, body, .. } = &case.sent else { continue };
        for dialect in &case.dialects {
            let is_own = is_callers_own(*dialect, *status, body);
            let may_be = matches!(case.cause, Cause::Refused | Cause::ContextLength | Cause::UnknownModel)
                && [400, 404, 422].contains(&status.as_u16());
            assert!(may_be || !is_own, "{} as {}", case.path.display(), dialect.name());
            assert!(
                !is_own || !is_callers_own(*dialect, *status, &body[..body.trim_ascii_end().len() - 1]),
                "{} cut off",
                case.path.display()
            );
            (own, others) = (own + u32::from(is_own), others + u32::from(may_be && !is_own));
        }
    }
    assert!(own > 30 && others > 5, "{own} are, {others} are not");
}

#[test]
fn every_dialect_and_every_cause_that_a_reply_can_have_is_shown() {
    let cases = cases();
    for cause in Cause::ALL {
        let without_reply = matches!(cause, Cause::Unreachable | Cause::NoReply | Cause::BrokenOff | Cause::Left);
        let shown = cases.iter().any(|case| case.cause == cause);
        assert_eq!(shown, !without_reply, "{cause:?}");
    }
    for dialect in Dialect::ALL {
        let shown = cases.iter().filter(|case| case.dialects == [dialect]).count();
        assert!(shown >= 10, "{dialect:?}: {shown}");
    }
}

#[test]
fn a_reply_that_is_cut_off_anywhere_blames_nobody_else() {
    for case in cases() {
        let Sent::Reply { status, headers, body } = &case.sent else { continue };
        // What the status alone says, or what the whole says, or what is said in between by a part of its words.
        for length in (0..body.len()).step_by(7) {
            let verdict = of_reply(case.dialects[0], *status, headers, &body[..length], NOW);
            if case.cause == Cause::Served {
                assert_eq!(verdict.cause, Cause::Served, "{} up to {length}", case.path.display());
            }
            if status.is_server_error() {
                assert!(!matches!(verdict.cause.blame(), Blame::Key | Blame::Caller) || *status == 501, "{}", case.path.display());
            }
        }
    }
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verdicts.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    let (above, below) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (_, below) = below.split_once(END).expect("the table has an end");
    let expected = format!("{above}{BEGIN}\n{}\n{END}{below}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(page == expected, "docs/verdicts.md is not what tests/corpus/verdicts says: UPDATE_DOCS=1 cargo test --lib verdict");
}

const BEGIN: &str = "<!-- made from tests/corpus/verdicts -->";
const END: &str = "<!-- end -->";

fn table() -> String {
    let cases = cases();
    let mut table = "| verdict | about | what follows | reply or event | dialects |\n| --- | --- | --- | --- | --- |".to_owned();
    for cause in Cause::ALL {
        let mut shapes: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for case in cases.iter().filter(|case| case.cause == cause) {
            let dialects = Dialect::ALL.iter().enumerate().filter(|(_, dialect)| case.dialects.contains(dialect)).map(|(i, _)| i);
            shapes.entry(&case.shape).or_default().extend(dialects);
        }
        for (shape, dialects) in shapes {
            let dialects = match dialects.len() == Dialect::ALL.len() {
                true => "all".to_owned(),
                false => dialects.into_iter().map(|at| Dialect::ALL[at].name()).collect::<Vec<_>>().join(", "),
            };
            let (about, follows) = (about(cause.blame()), follows(cause.action()));
            write!(table, "\n| `{}` | {about} | {follows} | {shape} | {dialects} |", cause.name()).unwrap();
        }
    }
    table
}

fn about(blame: Blame) -> &'static str {
    match blame {
        Blame::Nobody => "nobody",
        Blame::Caller => "the caller",
        Blame::Key => "the key",
        Blame::Account => "the account",
        Blame::Model => "the model, for this account",
        Blame::Host => "the host, for this model",
        Blame::Network => "the way there",
    }
}

fn follows(action: Action) -> &'static str {
    match action {
        Action::Pass => "it passes as it is",
        Action::Cool => "the account rests for this model",
        Action::Quarantine => "it is taken out until a probe succeeds",
        Action::TurnOff => "it is not asked for a while, if another account is known to serve the model",
        Action::Count => "the model's breaker counts a failure",
        Action::CountForAll => "the provider's breaker counts a failure",
        Action::Avoid => "another one is asked, nothing is held against this one",
    }
}
