use std::{future::poll_fn, task::Waker};

use proptest::prelude::*;

use super::*;
use crate::{
    runtime::Held,
    upstream::{Phase, Reason},
};

/// The most that is kept of a flight here.
const MOST: u64 = 100;

fn flight(finishes: bool) -> (Arc<Flight>, Cursor, Held) {
    let held = Held::default();
    let (flight, cursor) = Flight::new(MOST, finishes, held.reserve(0, 10 * MOST).map(|reserved| (reserved, 10 * MOST)));
    (flight, cursor, held)
}

fn head() -> Head {
    Head { status: StatusCode::OK, headers: HeaderMap::new(), length: None, says: Says::Answer }
}

fn bytes(length: usize) -> Bytes {
    vec![b'x'; length].into()
}

/// What the reader gets now: a frame, its end, an error, or nothing yet.
#[derive(Debug, PartialEq)]
enum Got {
    Data(Bytes),
    End,
    Broken,
    Nothing,
}

fn read(cursor: &mut Cursor) -> Got {
    match cursor.poll_frame(&Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => Got::Data(frame.into_data().unwrap()),
        Poll::Ready(Some(Err(_))) => Got::Broken,
        Poll::Ready(None) => Got::End,
        Poll::Pending => Got::Nothing,
    }
}

fn has_room(flight: &Flight) -> bool {
    flight.poll_room(&Context::from_waker(Waker::noop())).is_ready()
}

fn is_abandoned(flight: &Flight) -> bool {
    flight.poll_abandoned(&Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn who_joins_late_gets_what_has_come_and_then_follows() {
    let (flight, mut first, _) = flight(false);
    flight.open(head());
    flight.push(Bytes::from("one"));
    assert_eq!(read(&mut first), Got::Data("one".into()));
    let mut late = flight.join().unwrap();
    assert_eq!(read(&mut late), Got::Data("one".into()));
    assert_eq!(read(&mut late), Got::Nothing);
    flight.push(Bytes::from("two"));
    flight.complete(None, None, Paid::default());
    for reader in [&mut first, &mut late] {
        assert!(!reader.is_at_end());
        assert_eq!(read(reader), Got::Data("two".into()));
        assert!(reader.is_at_end());
        assert_eq!((read(reader), read(reader)), (Got::End, Got::End));
    }
    assert_eq!(flight.joined(), 1);
}

#[test]
fn trailers_come_once_behind_the_last_frame_and_to_the_first_reader_alone() {
    let (flight, mut reader, _) = flight(false);
    let mut other = flight.join().unwrap();
    flight.push(bytes(1));
    flight.complete(None, Some(HeaderMap::new()), Paid::default());
    assert_eq!(read(&mut reader), Got::Data(bytes(1)));
    assert!(!reader.is_at_end());
    let trailers = reader.poll_frame(&Context::from_waker(Waker::noop()));
    assert!(matches!(trailers, Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
    assert_eq!(read(&mut reader), Got::End);
    assert_eq!(read(&mut other), Got::Data(bytes(1)));
    assert!(other.is_at_end());
    assert_eq!(read(&mut other), Got::End);
}

#[test]
fn a_break_is_seen_by_all_behind_what_came_before_it_and_nobody_joins_any_more() {
    let (flight, mut first, _) = flight(false);
    let mut second = flight.join().unwrap();
    flight.open(head());
    flight.push(bytes(3));
    flight.break_off(Failure::new(Phase::Body, Reason::Closed));
    flight.complete(None, None, Paid::default());
    for reader in [&mut first, &mut second] {
        assert_eq!((read(reader), read(reader)), (Got::Data(bytes(3)), Got::Broken));
        assert!(!reader.is_at_end());
    }
    assert!(flight.join().is_none());
}

#[test]
fn the_last_reader_ends_the_call_unless_it_is_finished_for_the_cache() {
    for finishes in [false, true] {
        let (flight, first, _) = flight(finishes);
        let second = flight.join().unwrap();
        drop(first);
        assert!(!is_abandoned(&flight));
        drop(second);
        assert_eq!(is_abandoned(&flight), !finishes);
        assert_eq!(flight.join().is_some(), finishes);
    }
}

#[test]
fn what_can_not_be_kept_is_finished_for_nobody() {
    let (flight, first, _) = flight(true);
    drop(first);
    assert!(!is_abandoned(&flight));
    assert!(!flight.push(bytes(101)));
    assert!(is_abandoned(&flight));
}

#[test]
fn a_reply_that_is_kept_waits_for_nobody_and_a_longer_one_for_its_slowest_reader() {
    let window = LEAST_WINDOW as usize - 100;
    let (flight, mut quick, held) = flight(false);
    let mut slow = flight.join().unwrap();
    assert!(flight.push(bytes(100)) && has_room(&flight));
    assert_eq!(held.bytes(), weight(&bytes(100)));
    assert!(!flight.push(bytes(window)));
    assert!(flight.join().is_none(), "it would miss nothing yet, but soon");
    assert!(!has_room(&flight));
    assert_eq!((read(&mut quick), read(&mut quick)), (Got::Data(bytes(100)), Got::Data(bytes(window))));
    assert!(!has_room(&flight), "the slow one has read nothing");
    assert_eq!(read(&mut slow), Got::Data(bytes(100)));
    assert!(has_room(&flight));
    drop((quick, slow, flight));
    assert_eq!(held.bytes(), 0);
}

#[test]
fn who_takes_nothing_is_cut_off_in_the_end_where_others_wait_for_it() {
    let (flight, mut quick, _) = flight(false);
    let mut slow = flight.join().unwrap();
    flight.push(bytes(LEAST_WINDOW as usize + 1));
    let mark = flight.next();
    flight.cut_behind(mark);
    assert!(!has_room(&flight), "all are as slow");
    read(&mut quick);
    assert!(!flight.all_have_read(mark));
    flight.cut_behind(mark);
    assert!(flight.all_have_read(mark));
    assert!(has_room(&flight));
    assert_eq!((read(&mut slow), read(&mut slow)), (Got::Broken, Got::End));
    drop(quick);
    assert!(is_abandoned(&flight), "who was cut off does not count");
    drop(slow);
}

#[test]
fn the_memory_of_all_flights_is_bounded_and_one_that_gets_none_goes_on() {
    let (held, limit) = (Held::default(), weight(&bytes(40)) + weight(&bytes(10)));
    let (one, _reader) = Flight::new(MOST, false, held.reserve(0, limit).map(|reserved| (reserved, limit)));
    let (other, mut reader) = Flight::new(MOST, false, held.reserve(0, limit).map(|reserved| (reserved, limit)));
    assert!(one.push(bytes(40)));
    assert!(!other.push(bytes(20)) && held.bytes() == weight(&bytes(40)));
    assert_eq!(read(&mut reader), Got::Data(bytes(20)));
    assert!(one.push(bytes(10)));
}

#[tokio::test]
async fn a_reader_that_waits_is_woken_by_what_comes() {
    let (flight, cursor, _) = flight(false);
    let mut late = flight.join().unwrap();
    let waiting = tokio::spawn(async move {
        poll_fn(|cx| cursor.poll_head(cx)).await.unwrap();
        poll_fn(|cx| late.poll_frame(cx)).await.unwrap().unwrap().into_data().unwrap()
    });
    tokio::task::yield_now().await;
    flight.open(head());
    tokio::task::yield_now().await;
    flight.push(bytes(7));
    assert_eq!(waiting.await.unwrap(), bytes(7));
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Join,
    Read(usize),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![(0..30_usize).prop_map(Step::Push), Just(Step::Join), (0..8_usize).prop_map(Step::Read), (0..8_usize).prop_map(Step::Leave)]
}

proptest! {
    #[test]
    fn every_reader_that_stays_gets_all_bytes_in_their_order(steps in proptest::collection::vec(step(), 1..60)) {
        let (flight, first, held) = flight(true);
        let (mut all, mut readers) = (Vec::new(), vec![(first, Vec::new())]);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(length) => {
                    let data: Bytes = vec![number as u8; length].into();
                    all.extend_from_slice(&data);
                    flight.push(data);
                }
                Step::Join => readers.extend(flight.join().map(|cursor| (cursor, Vec::new()))),
                Step::Read(which) => {
                    if let Some((cursor, got)) = readers.get_mut(which)
                        && let Got::Data(data) = read(cursor)
                    {
                        got.extend_from_slice(&data);
                    }
                }
                Step::Leave(which) => if which < readers.len() {
                    readers.swap_remove(which);
                },
            }
            prop_assert!(held.bytes() <= 10 * MOST);
        }
        flight.complete(None, None, Paid::default());
        for (cursor, got) in &mut readers {
            while let Got::Data(data) = read(cursor) {
                got.extend_from_slice(&data);
            }
            prop_assert_eq!(&*got, &all);
            prop_assert!(cursor.is_at_end());
        }
        drop((readers, flight));
        prop_assert_eq!(held.bytes(), 0);
    }
}
