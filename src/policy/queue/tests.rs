//! Against a naive line, and with threads that take each other's slots.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    thread,
    time::Instant,
};

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

/// For what must happen sooner or later.
const DEADLINE: Duration = Duration::from_secs(10);

fn spec(concurrent: u32, waiting: u32) -> Spec {
    Spec { concurrent, waiting, timeout: Duration::from_secs(300) }
}

fn at(seconds: f64) -> Moment {
    Moment { nanos: (seconds * SECOND as f64) as u64, unix: 1_800_000_000 }
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn rings(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll(ticket: &mut Ticket, bell: &Arc<Bell>) -> Option<Slot> {
    let waker = Waker::from(Arc::clone(bell));
    match Pin::new(ticket).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(slot) => Some(slot),
        Poll::Pending => None,
    }
}

fn admitted(entry: Entry) -> Slot {
    let Entry::Admitted(slot) = entry else { panic!("{entry:?}") };
    slot
}

fn waiting(entry: Entry) -> Ticket {
    let Entry::Waiting(ticket) = entry else { panic!("{entry:?}") };
    ticket
}

fn full(entry: Entry) -> Duration {
    let Entry::Full { retry_after } = entry else { panic!("{entry:?}") };
    retry_after
}

#[test]
fn so_many_are_in_flight_so_many_wait_and_the_others_are_told_to_come_again() {
    let (spec, line) = (spec(2, 1), Arc::default());
    let slots = [admitted(enter(&spec, &line, at(0.0))), admitted(enter(&spec, &line, at(0.0)))];
    let mut ticket = waiting(enter(&spec, &line, at(0.0)));
    assert_eq!(full(enter(&spec, &line, at(0.0))), Duration::from_secs(5), "nothing is known yet");
    assert_eq!((line.in_flight(), line.waiting()), (2, 1));

    let bell = Arc::default();
    assert!(poll(&mut ticket, &bell).is_none());
    let [first, _second] = slots;
    drop(first);
    assert_eq!((line.in_flight(), line.waiting(), bell.rings()), (2, 0, 1), "it is the ticket's at once");
    let newcomer = enter(&spec, &line, at(0.0));
    assert!(matches!(newcomer, Entry::Waiting(_)), "nobody slips in between");
    let slot = poll(&mut ticket, &bell).unwrap();
    drop((newcomer, slot, ticket));
    assert_eq!((line.in_flight(), line.waiting()), (1, 0));
}

#[test]
fn a_slot_that_was_just_handed_to_one_who_leaves_goes_to_the_next() {
    let (spec, line) = (spec(1, 10), Arc::default());
    let slot = admitted(enter(&spec, &line, at(0.0)));
    let (mut leaving, mut next) = (waiting(enter(&spec, &line, at(0.0))), waiting(enter(&spec, &line, at(0.0))));
    let bell = Arc::default();
    assert!(poll(&mut leaving, &Arc::default()).is_none() && poll(&mut next, &bell).is_none());
    drop(slot);
    assert_eq!(bell.rings(), 0);
    drop(leaving);
    assert_eq!(bell.rings(), 1);
    assert!(poll(&mut next, &bell).is_some());
    assert_eq!((line.in_flight(), line.waiting()), (0, 0));
}

#[test]
fn with_no_line_nobody_waits() {
    let (spec, line) = (spec(1, 0), Arc::default());
    let _slot = admitted(enter(&spec, &line, at(0.0)));
    full(enter(&spec, &line, at(0.0)));
}

#[test]
fn more_room_is_given_out_at_once_and_less_as_slots_come_free() {
    let line = Arc::default();
    let mut slots = vec![admitted(enter(&spec(1, 10), &line, at(0.0)))];
    let mut tickets: Vec<_> = (0..4).map(|_| waiting(enter(&spec(1, 10), &line, at(0.0)))).collect();
    let bell = Arc::default();
    assert!(tickets.iter_mut().all(|ticket| poll(ticket, &bell).is_none()));
    line.follow(3);
    assert_eq!((bell.rings(), line.in_flight(), line.waiting()), (2, 3, 2));
    slots.extend(tickets.drain(..2).filter_map(|mut ticket| poll(&mut ticket, &bell)));

    line.follow(1);
    slots.truncate(1);
    assert_eq!((bell.rings(), line.in_flight(), line.waiting()), (2, 1, 2));
    slots.clear();
    assert_eq!((bell.rings(), line.in_flight(), line.waiting()), (3, 1, 1));
}

#[test]
fn how_long_to_wait_is_told_by_how_fast_slots_came_free_while_others_waited() {
    let (spec, line) = (spec(4, 20), Arc::default());
    let mut slots: VecDeque<_> = (0..4).map(|_| admitted(enter(&spec, &line, at(0.0)))).collect();
    let mut tickets: VecDeque<_> = (0..20).map(|_| waiting(enter(&spec, &line, at(0.0)))).collect();
    // Two a second.
    for half in 1..=40 {
        slots.pop_front();
        let mut first = tickets.pop_front().unwrap();
        slots.push_back(poll(&mut first, &Arc::default()).unwrap());
        tickets.push_back(waiting(enter(&spec, &line, at(f64::from(half) / 2.0))));
    }
    let is_about = |wait: Duration, seconds: f64| assert!((wait.as_secs_f64() - seconds).abs() < 0.5, "{wait:?}");
    is_about(full(enter(&spec, &line, at(20.0))), 10.5);
    is_about(tickets[9].retry_after(at(20.0)), 5.0);
    assert_eq!(tickets[0].retry_after(at(20.0)), Duration::from_secs(1), "no sooner");

    // A quiet hour says nothing of how fast they could go.
    slots.clear();
    tickets.clear();
    let _slots: Vec<_> = (0..4).map(|_| admitted(enter(&spec, &line, at(3_600.0)))).collect();
    let ticket = waiting(enter(&spec, &line, at(3_600.0)));
    assert_eq!(ticket.retry_after(at(3_600.0)), Duration::from_secs(1));
    // But if nothing moves, it gets longer and longer.
    assert_eq!(ticket.retry_after(at(7_200.0)), Duration::from_secs(5), "what was known is long past");
}

#[test]
fn nobody_is_told_to_come_later_than_in_a_minute() {
    let (spec, line) = (spec(1, 1_000), Arc::default());
    let mut slot = Some(admitted(enter(&spec, &line, at(0.0))));
    let mut tickets: VecDeque<_> = (0..1_000).map(|_| waiting(enter(&spec, &line, at(0.0)))).collect();
    drop(slot.take());
    slot = poll(&mut tickets.pop_front().unwrap(), &Arc::default());
    tickets.push_back(waiting(enter(&spec, &line, at(2.0))));
    assert_eq!(full(enter(&spec, &line, at(2.0))), Duration::from_secs(60));
    drop(slot);
}

#[derive(Clone, Debug)]
enum Step {
    Enter,
    Poll(usize),
    Leave(usize),
    Free(usize),
    Follow(u32),
}

/// One ticket as the naive line sees it.
struct Place {
    ticket: Ticket,
    bell: Arc<Bell>,
    has_polled: bool,
    number: u32,
}

/// The naive line: numbers in line, numbers that were handed a slot, and slots that are held.
#[derive(Default)]
struct Naive {
    concurrent: u32,
    line: VecDeque<u32>,
    handed: Vec<u32>,
    held: u32,
}

impl Naive {
    fn in_flight(&self) -> u32 {
        self.held + self.handed.len() as u32
    }

    fn hand_over(&mut self) {
        while self.in_flight() < self.concurrent {
            let Some(first) = self.line.pop_front() else { break };
            self.handed.push(first);
        }
    }
}

proptest! {
    #[test]
    fn a_line_does_what_a_naive_one_would_and_wakes_whom_it_serves(
        concurrent in 0..5_u32,
        steps in prop::collection::vec(
            prop_oneof![
                4 => Just(Step::Enter),
                3 => any::<usize>().prop_map(Step::Poll),
                2 => any::<usize>().prop_map(Step::Leave),
                3 => any::<usize>().prop_map(Step::Free),
                1 => (0..5_u32).prop_map(Step::Follow),
            ],
            1..200,
        ),
    ) {
        let (line, mut spec) = (Arc::<Line>::default(), spec(concurrent, 6));
        let mut naive = Naive { concurrent, ..Naive::default() };
        let (mut places, mut slots, mut next) = (Vec::<Place>::new(), Vec::new(), 0);
        for step in steps {
            let count = places.len().max(1);
            match step {
                Step::Enter => match enter(&spec, &line, at(1.0)) {
                    Entry::Admitted(slot) => {
                        prop_assert!(naive.line.is_empty() && naive.in_flight() < naive.concurrent);
                        naive.held += 1;
                        slots.push(slot);
                    }
                    Entry::Waiting(ticket) => {
                        prop_assert!(naive.in_flight() >= naive.concurrent && naive.line.len() < 6);
                        naive.line.push_back(next);
                        places.push(Place { ticket, bell: Arc::default(), has_polled: false, number: next });
                        next += 1;
                    }
                    Entry::Full { .. } => prop_assert!(naive.line.len() >= 6),
                },
                Step::Poll(which) if !places.is_empty() => {
                    let place = &mut places[which % count];
                    place.has_polled = true;
                    let slot = poll(&mut place.ticket, &place.bell);
                    prop_assert_eq!(slot.is_some(), naive.handed.contains(&place.number));
                    if let Some(slot) = slot {
                        let Place { number, .. } = places.swap_remove(which % count);
                        naive.handed.retain(|other| *other != number);
                        naive.held += 1;
                        slots.push(slot);
                    }
                }
                Step::Leave(which) if !places.is_empty() => {
                    let Place { number, ticket, .. } = places.swap_remove(which % count);
                    drop(ticket);
                    naive.line.retain(|other| *other != number);
                    naive.handed.retain(|other| *other != number);
                }
                Step::Free(which) if !slots.is_empty() => {
                    drop(slots.swap_remove(which % slots.len()));
                    naive.held -= 1;
                }
                Step::Follow(concurrent) => {
                    (spec.concurrent, naive.concurrent) = (concurrent, concurrent);
                    line.follow(spec.concurrent);
                }
                Step::Poll(_) | Step::Leave(_) | Step::Free(_) => {}
            }
            naive.hand_over();
            prop_assert_eq!((line.in_flight(), line.waiting()), (naive.in_flight(), naive.line.len() as u32));
            for place in places.iter().filter(|place| place.has_polled) {
                prop_assert_eq!(place.bell.rings() > 0, naive.handed.contains(&place.number), "whoever is served is woken, and nobody else");
            }
        }
        drop((places, slots));
        prop_assert_eq!((line.in_flight(), line.waiting()), (0, 0));
    }
}

/// Wakes the thread that waits.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait(mut ticket: Ticket) -> Slot {
    let (waker, began) = (Waker::from(Arc::new(Unpark(thread::current()))), Instant::now());
    loop {
        if let Poll::Ready(slot) = Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker)) {
            return slot;
        }
        thread::park_timeout(DEADLINE);
        assert!(began.elapsed() < DEADLINE, "it was never woken");
    }
}

#[test]
fn threads_that_come_and_leave_lose_no_slot_and_share_none() {
    let (spec, line) = (spec(3, 1_000), Arc::<Line>::default());
    let (in_flight, served) = (AtomicU32::new(0), Mutex::new(0_u32));
    thread::scope(|threads| {
        for worker in 0..8_u32 {
            let (line, spec, in_flight, served) = (&line, &spec, &in_flight, &served);
            threads.spawn(move || {
                for round in 0..2_000 {
                    let slot = match enter(spec, line, at(1.0)) {
                        Entry::Admitted(slot) => slot,
                        Entry::Waiting(ticket) if (round + worker) % 3 == 0 => {
                            // Perhaps with a slot that was handed over in this very moment.
                            drop(ticket);
                            continue;
                        }
                        Entry::Waiting(ticket) => wait(ticket),
                        Entry::Full { .. } => panic!("there is room for all threads"),
                    };
                    assert!(in_flight.fetch_add(1, Ordering::SeqCst) < spec.concurrent);
                    *served.lock().unwrap() += 1;
                    in_flight.fetch_sub(1, Ordering::SeqCst);
                    drop(slot);
                }
            });
        }
    });
    assert_eq!((line.in_flight(), line.waiting()), (0, 0));
    assert!(*served.lock().unwrap() > 8 * 1_000);
}
