use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, header::CONTENT_TYPE};

use super::*;
use crate::types::ObjectId;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";
const CREATED: &[u8] = b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";

struct Case {
    homes: Arc<Homes>,
    account: MakerId,
    learner: Option<Box<Learner>>,
}

impl Case {
    fn new(media: &'static str, coding: Option<&'static str>) -> Self {
        let (homes, account) = (Arc::<Homes>::default(), MakerId::named("acme"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        let learner = Learner::of(&headers, RequestFormat::Openai, &homes, account);
        Self { homes, account, learner }
    }

    /// Frames of so many bytes, until no more are wanted.
    fn frames(&mut self, body: &[u8], size: usize) {
        for frame in body.chunks(size) {
            if self.learner.as_mut().is_some_and(|learner| learner.frame(&Bytes::copy_from_slice(frame))) {
                self.learner = None;
            }
        }
    }

    fn ends(&mut self) {
        self.learner.take().unwrap().finish();
    }

    fn knows(&self, id: &str) -> bool {
        self.homes.find(ObjectId::of(id.as_bytes()).unwrap()) == Some(self.account)
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_body_is_known_at_its_end_however_it_is_split() {
    let body = br#"{"object":"response","id":"resp_1"}"#;
    for size in [1, 7, 1_000] {
        for (coding, body) in [(None, body.to_vec()), (Some("gzip"), gzip(body))] {
            let mut case = Case::new(JSON, coding);
            case.frames(&body, size);
            assert!(!case.knows("resp_1"));
            case.ends();
            assert!(case.knows("resp_1"), "{coding:?}, {size}");
        }
    }
}

#[test]
fn a_stream_is_known_by_its_first_event_long_before_its_end() {
    let mut case = Case::new(EVENTS, None);
    case.frames(CREATED, CREATED.len());
    assert!(case.knows("resp_1") && case.learner.is_none(), "and nothing is held any more");
    let mut case = Case::new(EVENTS, None);
    case.frames(CREATED, 1);
    assert!(case.knows("resp_1"));
    let mut case = Case::new(EVENTS, Some("gzip"));
    let encoded = gzip(CREATED);
    case.frames(&encoded, encoded.len());
    assert!(case.knows("resp_1"));
}

#[test]
fn the_first_part_of_a_long_reply_is_enough_and_no_more_of_it_is_held() {
    let long = "x".repeat(1 << 20);
    let created = CREATED.strip_suffix(b"}}\n\n").unwrap();
    let stream = [created, b",\"instructions\":\"", long.as_bytes(), b"\"}}\n\n"].concat();
    let body = format!(r#"{{"id":"resp_1","instructions":"{long}"}}"#);
    for (media, body) in [(EVENTS, &stream[..]), (JSON, body.as_bytes())] {
        let mut case = Case::new(media, None);
        case.frames(body, 1_000);
        assert!(case.knows("resp_1") && case.learner.is_none(), "{media}");
    }
    let mut hostile = Case::new(JSON, None);
    hostile.frames(format!(r#"{{"id":"{long}"}}"#).as_bytes(), 1 << 20);
    assert!(hostile.learner.is_none());
}

#[test]
fn a_bomb_is_decoded_no_further_than_a_plain_reply_is_read() {
    let bomb = gzip(&vec![b' '; 16 << 20]);
    let first = &bomb[..LONGEST.min(bomb.len())];
    assert_eq!(decoded(Coding::Gzip, first).len(), LONGEST);
    assert_eq!(decoded(Coding::Gzip, b"no gzip at all"), b"");
}

#[test]
fn what_breaks_off_tells_what_had_come() {
    let mut case = Case::new(JSON, None);
    case.frames(br#"{"id":"resp_1","output":[{"#, 5);
    case.ends();
    assert!(case.knows("resp_1"));
}

#[test]
fn what_can_not_be_read_is_left_alone() {
    assert!(Case::new("application/octet-stream", None).learner.is_none());
    assert!(Case::new(JSON, Some("br")).learner.is_none());
}
