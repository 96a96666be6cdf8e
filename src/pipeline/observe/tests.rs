use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn observed<'b>(media: Media, format: RequestFormat, frames: impl IntoIterator<Item = &'b [u8]>, whole: bool) -> Usage {
    let mut observer = Observer::plain(media, format, false).unwrap();
    frames.into_iter().for_each(|frame| observer.frame(&Bytes::copy_from_slice(frame)));
    observer.usage(whole)
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

#[test]
fn only_events_and_json_are_read() {
    let media = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
        Media::of(&headers)
    };
    for value in ["application/json", "Application/JSON; charset=utf-8", "application/json ;x"] {
        assert_eq!(media(value), Media::Json, "{value}");
    }
    assert_eq!(media("text/event-stream; charset=utf-8"), Media::Events);
    for value in ["", "application/jsonl", "application/json-seq", "text/plain", "audio/mpeg", "text/event-strea"] {
        assert_eq!(media(value), Media::Other, "{value}");
    }
    assert_eq!(Media::of(&HeaderMap::new()), Media::Other);
    assert!(Observer::plain(Media::Other, RequestFormat::Openai, false).is_none());
}

#[test]
fn a_body_is_read_once_it_is_whole_and_not_before() {
    let body = br#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    assert_eq!(observed(Media::Json, RequestFormat::Openai, [&body[..]], true), usage(1, 2));
    assert_eq!(observed(Media::Json, RequestFormat::Openai, [&body[..]], false), Usage::default());
}

#[test]
fn of_a_long_body_the_end_is_held_and_no_more() {
    let body =
        [&vec![b' '; 10 << 20][..], br#"{"data":["#, &vec![b'1'; 1 << 20], br#"],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#]
            .concat();
    for size in [100, 16 << 10, 100 << 10, body.len()] {
        let mut ending = Ending::default();
        for part in body.chunks(size) {
            match ending.is_empty() {
                true => ending.only(&Bytes::copy_from_slice(part)),
                false => ending.push(part),
            }
            assert!(ending.joined.capacity() <= 4 * LONGEST_END && ending.only.len() <= LONGEST_END, "parts of {size}");
        }
        assert_eq!(ending.bytes(), &body[body.len() - LONGEST_END..], "parts of {size}");
        assert_eq!(observed(Media::Json, RequestFormat::Openai, body.chunks(size), true), usage(1, 2), "parts of {size}");
    }
}

#[test]
fn a_body_of_one_frame_is_not_copied() {
    let frame = Bytes::from_static(b"{}");
    let mut ending = Ending::default();
    ending.only(&frame);
    assert_eq!(ending.bytes().as_ptr(), frame.as_ptr());
}

#[test]
fn a_stream_tells_what_it_told_until_it_broke() {
    let stream = b"event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
        data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}";
    assert_eq!(observed(Media::Events, RequestFormat::Anthropic, [&stream[..]], false), usage(3, 1));
}

proptest! {
    #[test]
    fn a_stream_has_said_the_same_however_it_is_split(size in 1..400_usize, null: bool) {
        let null = if null { ",\"usage\":null" } else { "" };
        let stream = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"four\"}}}}]{null}}}\n\n").repeat(9);
        let mut observer = Observer::plain(Media::Events, RequestFormat::Openai, true).unwrap();
        stream.as_bytes().chunks(size).for_each(|frame| observer.frame(&Bytes::copy_from_slice(frame)));
        prop_assert_eq!(observer.produced(), Some(9));
    }

    #[test]
    fn a_stream_tells_the_same_however_it_is_split(cuts in prop::collection::vec(1..80usize, 1..30), crlf: bool, null: bool) {
        let null = if null { ",\"usage\":null" } else { "" };
        let mut stream = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}]{null}}}\n\n").repeat(5);
        stream += "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";
        let stream = if crlf { stream.replace('\n', "\r\n") } else { stream };
        let (mut rest, mut frames) = (stream.as_bytes(), Vec::new());
        for cut in cuts.iter().cycle() {
            let (frame, behind) = rest.split_at((*cut).min(rest.len()));
            frames.push(frame);
            rest = behind;
            if rest.is_empty() { break }
        }
        prop_assert_eq!(observed(Media::Events, RequestFormat::Openai, frames, false), usage(16, 4));
    }
}
