//! Stories of hosts that fail; `properties` holds for whatever happens.

mod properties;

use super::*;
use crate::types::Blame;

const SECOND: u64 = 1_000_000_000;

/// The middle of the spread: neither sooner nor later.
const MIDDLE: u64 = 1 << 63;

const SPEC: Spec =
    Spec { error_rate: 0.5, window: Duration::from_secs(10), minimum: 20, consecutive: 5, open: Duration::from_secs(30), slow: None };

fn at(seconds: f64) -> Moment {
    let nanos = (seconds * SECOND as f64) as u64;
    Moment { nanos, unix: 1_800_000_000 + nanos / SECOND }
}

/// A board, and the time there.
struct Rig {
    board: Arc<Board>,
    spec: Spec,
    now: f64,
}

impl Rig {
    fn new() -> Self {
        // Not at the very beginning: there nothing is past yet.
        Self { board: Arc::default(), spec: SPEC, now: 1_000.0 }
    }

    fn pass(&mut self, seconds: f64) -> &mut Self {
        self.now += seconds;
        self
    }

    fn take(&self, model: &str) -> Permit {
        let mut permit = self.ask(model).unwrap();
        permit.transitions();
        permit
    }

    fn ask(&self, model: &str) -> Result<Permit, Refused> {
        acquire(&self.spec, &self.board, Some(model), at(self.now))
    }

    fn end(&self, permit: Permit, cause: Cause) -> Vec<Transition> {
        permit.settle(cause, at(self.now), MIDDLE)
    }

    /// A call from its begin to its end, all at once.
    fn call(&self, model: &str, cause: Cause) -> Vec<Transition> {
        self.end(self.take(model), cause)
    }

    fn begin(&self, permit: &mut Permit, after: f64) -> Vec<Transition> {
        permit.first_token(Duration::from_secs_f64(after), at(self.now), MIDDLE)
    }

    /// As many failures as open the breaker of a model.
    fn break_model(&self, model: &str) -> Vec<Transition> {
        (0..self.spec.consecutive).flat_map(|_| self.call(model, Cause::ServerError)).collect()
    }

    fn standing(&self, scope: Scope, model: Option<&str>) -> Option<Standing> {
        let all = self.board.standings(&self.spec, at(self.now));
        all.into_iter().find(|standing| (standing.scope, standing.model.as_deref()) == (scope, model))
    }

    fn phase(&self, model: &str) -> Phase {
        self.standing(Scope::Model, Some(model)).map_or(Phase::Closed, |standing| standing.phase)
    }

    fn host(&self) -> Phase {
        self.standing(Scope::Host, None).unwrap().phase
    }
}

#[test]
fn five_failures_in_a_row_open_a_model_and_leave_the_others_alone() {
    let rig = Rig::new();
    for _ in 0..4 {
        assert_eq!(rig.call("a", Cause::Overloaded), []);
    }
    let until = at(rig.now + 30.0).nanos;
    let (from, to, why) = (Phase::Closed, Phase::Open, Why::Failures(Cause::ServerError));
    let opened = Transition { scope: Scope::Model, model: Some("a".into()), from, to, why, until: Some(until) };
    assert_eq!(rig.call("a", Cause::ServerError), [opened]);

    let refused = rig.ask("a").unwrap_err();
    assert_eq!(refused, Refused { until, scope: Scope::Model, why });
    assert_eq!(peek(&rig.spec, &rig.board, Some("a"), at(rig.now)), Err(refused));
    assert_eq!(rig.call("b", Cause::Served), []);
    assert_eq!(rig.host(), Phase::Closed);
    assert!(acquire(&rig.spec, &rig.board, None, at(rig.now)).is_ok(), "what names no model has to do with none");
}

#[test]
fn a_quiet_sidecar_finds_out_as_well_and_a_success_begins_the_count_anew() {
    let mut rig = Rig::new();
    for _ in 0..4 {
        rig.pass(60.0).call("a", Cause::NoReply);
    }
    rig.pass(60.0).call("a", Cause::Served);
    for _ in 0..4 {
        assert_eq!(rig.pass(60.0).call("a", Cause::NoReply), []);
    }
    assert_eq!(rig.pass(60.0).call("a", Cause::NoReply)[0].to, Phase::Open);
}

#[test]
fn half_of_twenty_open_it_and_half_of_nineteen_do_not() {
    let mut rig = Rig::new();
    for call in 1..=19 {
        let cause = if call % 2 == 1 { Cause::ServerError } else { Cause::Served };
        assert_eq!(rig.pass(0.4).call("a", cause), [], "call {call}");
    }
    assert_eq!(rig.standing(Scope::Model, Some("a")).map(|standing| (standing.total, standing.failures)), Some((19, 10)));
    rig.call("a", Cause::Served);
    assert_eq!(rig.call("a", Cause::ServerError)[0].to, Phase::Open);
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let mut rig = Rig::new();
    for _ in 0..6 {
        rig.call("a", Cause::ServerError);
        rig.call("a", Cause::Served);
    }
    rig.pass(10.1);
    for _ in 0..9 {
        rig.call("a", Cause::ServerError);
        assert_eq!(rig.call("a", Cause::Served), []);
    }
}

#[test]
fn nothing_that_a_caller_or_a_key_can_do_counts() {
    let rig = Rig::new();
    let innocent = Cause::ALL.into_iter().filter(|cause| cause.blame() != Blame::Host && *cause != Cause::Unreachable);
    for cause in innocent {
        for call in 0..1_000 {
            let mut permit = rig.take(if call % 2 == 0 { "a" } else { "no-such-model" });
            if call % 3 == 0 {
                rig.begin(&mut permit, 500.0);
            }
            assert_eq!(rig.end(permit, cause), []);
        }
    }
    drop(rig.take("a"));
    assert!(rig.board.calm().is_some(), "so that nobody takes the lock");
    assert_eq!(rig.board.standings(&rig.spec, at(rig.now)).len(), 1, "the host's");
}

#[test]
fn a_host_that_cannot_be_reached_is_open_for_all_and_no_model_is_blamed() {
    let rig = Rig::new();
    let opened: Vec<_> = (0..5).flat_map(|call| rig.call(&format!("model-{call}"), Cause::Unreachable)).collect();
    assert_eq!(opened.iter().map(|one| (one.scope, one.to)).collect::<Vec<_>>(), [(Scope::Host, Phase::Open)]);
    assert_eq!(rig.ask("another").unwrap_err().scope, Scope::Host);
    assert_eq!(rig.board.standings(&rig.spec, at(rig.now)).len(), 1, "the host's");
}

#[test]
fn an_answer_does_not_hide_that_a_host_cannot_be_reached_but_being_served_ends_the_run() {
    let rig = Rig::new();
    for _ in 0..4 {
        rig.call("a", Cause::Unreachable);
    }
    rig.call("a", Cause::Served);
    for _ in 0..4 {
        assert_eq!(rig.call("a", Cause::Unreachable), []);
        assert_eq!(rig.call("a", Cause::Overloaded), []);
    }
    assert_eq!(rig.call("a", Cause::Unreachable)[0].scope, Scope::Host);
}

#[test]
fn three_probes_at_once_and_their_success_closes_it() {
    let mut rig = Rig::new();
    rig.break_model("a");
    assert!(rig.pass(29.9).ask("a").is_err());
    let mut first = rig.pass(0.2).ask("a").unwrap();
    let probing = first.transitions();
    assert_eq!(probing.iter().map(|one| (one.from, one.to, one.why)).collect::<Vec<_>>(), [(Phase::Open, Phase::HalfOpen, Why::Waited)]);
    let (second, third) = (rig.take("a"), rig.take("a"));
    assert!(rig.ask("a").is_err());
    assert!(peek(&rig.spec, &rig.board, Some("a"), at(rig.now)).is_err());

    assert_eq!(rig.end(first, Cause::Served), []);
    assert_eq!(rig.end(second, Cause::Refused), [], "an answer is what a probe is for");
    let closed = rig.end(third, Cause::RateLimited(crate::types::Dimension::Unknown));
    assert_eq!(
        closed.iter().map(|one| (one.from, one.to, one.why)).collect::<Vec<_>>(),
        [(Phase::HalfOpen, Phase::Closed, Why::Recovered)]
    );
    assert_eq!(rig.call("a", Cause::ServerError), [], "and nothing is left of what was counted");
}

#[test]
fn one_success_is_enough_where_nobody_else_probes_and_it_comes_with_the_first_token() {
    let mut rig = Rig::new();
    rig.break_model("a");
    let mut stream = rig.pass(31.0).take("a");
    assert_eq!(rig.begin(&mut stream, 2.0)[0].to, Phase::Closed, "the stream has not ended yet");
    rig.pass(60.0);
    assert_eq!(rig.end(stream, Cause::BrokenOff), [], "and it decides nothing any more");
    assert_eq!(rig.standing(Scope::Model, Some("a")).map_or(0, |standing| standing.failures), 0);
}

#[test]
fn a_probe_that_fails_opens_it_for_twice_as_long_up_to_ten_times() {
    let mut rig = Rig::new();
    let mut opened = rig.break_model("a").remove(0);
    for times in [1.0, 2.0, 4.0, 8.0, 10.0, 10.0] {
        assert_eq!(opened.until.unwrap(), at(rig.now + 30.0 * times).nanos, "{times} times as long");
        rig.now = opened.until.unwrap() as f64 / SECOND as f64;
        let (good, bad) = (rig.take("a"), rig.take("a"));
        assert_eq!(rig.end(good, Cause::Served), []);
        opened = rig.end(bad, Cause::GatewayTimeout).remove(0);
        assert_eq!((opened.from, opened.to), (Phase::HalfOpen, Phase::Open));
    }
    rig.pass(301.0).call("a", Cause::Served);
    assert_eq!(rig.break_model("a")[0].until.unwrap(), at(rig.now + 30.0).nanos, "it was well in between");
}

#[test]
fn the_time_is_spread_by_a_fifth() {
    for (random, seconds) in [(0, 24.0), (MIDDLE, 30.0), (u64::MAX, 36.0)] {
        let rig = Rig::new();
        let opened: Vec<_> = (0..5).flat_map(|_| rig.take("a").settle(Cause::ServerError, at(rig.now), random)).collect();
        let until = opened[0].until.unwrap();
        assert!(until.abs_diff(at(rig.now + seconds).nanos) < 1_000, "{until}");
    }
}

#[test]
fn probes_that_hang_make_room_after_a_while_and_may_still_succeed() {
    let mut rig = Rig::new();
    rig.break_model("a");
    rig.pass(31.0);
    let mut hanging: Vec<_> = (0..3).map(|_| rig.take("a")).collect();
    assert!(rig.pass(29.0).ask("a").is_err());
    rig.pass(1.1);
    let more: Vec<_> = (0..3).map(|_| rig.take("a")).collect();
    assert!(rig.ask("a").is_err(), "no more than three more");
    drop(more);
    let slow: Vec<_> = hanging.iter_mut().flat_map(|permit| rig.begin(permit, 60.0)).collect();
    assert_eq!(slow[0].to, Phase::Closed);
}

#[test]
fn a_probe_that_is_dropped_or_left_says_nothing_and_makes_room() {
    let mut rig = Rig::new();
    rig.break_model("a");
    rig.pass(31.0);
    for _ in 0..10 {
        let probes: Vec<_> = (0..3).map(|_| rig.take("a")).collect();
        assert!(rig.ask("a").is_err());
        for (number, probe) in probes.into_iter().enumerate() {
            match number {
                0 => drop(probe),
                1 => assert_eq!(rig.end(probe, Cause::Left), []),
                _ => assert_eq!(rig.end(probe, Cause::Unprocessed), []),
            }
        }
    }
    assert_eq!(rig.phase("a"), Phase::HalfOpen);
}

#[test]
fn what_was_sent_before_decides_nothing_after() {
    let mut rig = Rig::new();
    let old: Vec<_> = (0..12).map(|_| rig.take("a")).collect();
    rig.break_model("a");
    let probe = rig.pass(31.0).take("a");
    for (permit, cause) in old.into_iter().zip([Cause::Served, Cause::ServerError].into_iter().cycle()) {
        assert_eq!(rig.end(permit, cause), []);
        assert_eq!(rig.phase("a"), Phase::HalfOpen);
    }
    assert_eq!(rig.end(probe, Cause::Served)[0].to, Phase::Closed);
}

#[test]
fn streams_that_all_break_off_open_it_although_they_began_well() {
    let mut rig = Rig::new();
    let opened: Vec<_> = (0..5)
        .flat_map(|_| {
            let mut stream = rig.pass(60.0).take("a");
            rig.begin(&mut stream, 1.0);
            rig.pass(30.0).end(stream, Cause::BrokenOff)
        })
        .collect();
    assert_eq!(opened.len(), 1);
}

#[test]
fn long_streams_that_go_well_outweigh_failures_before_they_end() {
    let rig = Rig::new();
    let mut streams = Vec::new();
    for _ in 0..30 {
        assert_eq!(rig.call("a", Cause::ServerError), []);
        for _ in 0..3 {
            let mut stream = rig.take("a");
            rig.begin(&mut stream, 1.0);
            streams.push(stream);
        }
    }
    for stream in streams {
        assert_eq!(rig.end(stream, Cause::Served), [], "and they do not count twice");
    }
    let standing = rig.standing(Scope::Model, Some("a")).unwrap();
    // What went well before the first failure is not known.
    assert_eq!((standing.total, standing.failures), (120, 30));
}

#[test]
fn a_stream_that_breaks_off_takes_up_no_run_that_another_has_ended() {
    let rig = Rig::new();
    (0..4).for_each(|_| drop(rig.call("a", Cause::ServerError)));
    let mut stream = rig.take("a");
    rig.begin(&mut stream, 1.0);
    rig.call("a", Cause::Served);
    // One of these ends the run too.
    rig.begin(&mut rig.take("a"), 1.0);
    assert_eq!(rig.end(stream, Cause::BrokenOff), []);
    assert_eq!(rig.standing(Scope::Model, Some("a")).unwrap().consecutive, 1);
}

#[test]
fn a_silence_does_not_show_that_a_host_can_be_reached_again() {
    let mut rig = Rig::new();
    (0..5).for_each(|_| drop(rig.call("a", Cause::Unreachable)));
    rig.pass(31.0);
    assert_eq!(rig.call("a", Cause::NoReply).len(), 0);
    assert_eq!(rig.host(), Phase::HalfOpen);
    assert_eq!(rig.call("b", Cause::Overloaded)[0].to, Phase::Closed, "an answer does");
}

#[test]
fn a_stream_that_breaks_off_counts_once() {
    let rig = Rig::new();
    rig.call("a", Cause::ServerError);
    let mut stream = rig.take("a");
    rig.begin(&mut stream, 1.0);
    rig.end(stream, Cause::BrokenOff);
    let standing = rig.standing(Scope::Model, Some("a")).unwrap();
    assert_eq!((standing.total, standing.failures, standing.consecutive), (2, 2, 2));
}

#[test]
fn four_slow_first_tokens_of_five_open_it_and_close_it_no_sooner_than_they_are_quick() {
    let mut rig = Rig::new();
    rig.spec.slow = Some(Duration::from_secs(10));
    let opened: Vec<_> = (0..20)
        .flat_map(|call| {
            let mut permit = rig.take("a");
            let begun = rig.begin(&mut permit, if call % 5 == 1 { 1.0 } else { 10.1 });
            rig.end(permit, Cause::Served);
            begun
        })
        .collect();
    assert_eq!(opened.iter().map(|one| (one.scope, one.why)).collect::<Vec<_>>(), [(Scope::Model, Why::Slow)]);
    let mut slow = rig.pass(31.0).take("a");
    assert_eq!(rig.begin(&mut slow, 20.0)[0].to, Phase::Open);
    drop(slow);
    let mut quick = rig.pass(61.0).take("a");
    assert_eq!(rig.begin(&mut quick, 0.5)[0].to, Phase::Closed);
}

#[test]
fn slow_first_tokens_are_nobodys_business_unless_it_is_said_what_is_slow() {
    let rig = Rig::new();
    for _ in 0..100 {
        let mut permit = rig.take("a");
        assert_eq!(rig.begin(&mut permit, 3_600.0), []);
        rig.end(permit, Cause::Served);
    }
    assert!(rig.board.calm().is_some());
}

#[test]
fn a_host_is_open_when_most_of_its_models_are() {
    let rig = Rig::new();
    rig.break_model("a");
    rig.break_model("b");
    let opened = rig.break_model("c");
    let scopes: Vec<_> = opened.iter().map(|one| (one.scope, one.to, one.why)).collect();
    assert_eq!(scopes[1], (Scope::Host, Phase::Open, Why::Models));
    assert_eq!(rig.ask("d").unwrap_err().scope, Scope::Host);
}

#[test]
fn a_host_stays_closed_for_models_that_it_serves() {
    let mut rig = Rig::new();
    let models = ["a", "b", "c", "d", "e"];
    models.iter().for_each(|model| drop(rig.call(model, Cause::Served)));
    for model in ["a", "b", "c"] {
        rig.break_model(model);
    }
    assert_eq!(rig.host(), Phase::Closed, "three of five");
    rig.break_model("d");
    assert_eq!(rig.host(), Phase::Open, "four of five");
    rig.board.reset(None);

    rig.pass(11.0).call("e", Cause::Served);
    (0..60).for_each(|invented| drop(rig.break_model(&format!("invented-{invented}"))));
    assert_eq!(rig.host(), Phase::Closed, "models that it never served");
    assert!(rig.ask("e").is_ok());
}

#[test]
fn a_host_whose_models_fail_again_is_open_for_longer() {
    let mut rig = Rig::new();
    ["a", "b", "c"].iter().for_each(|model| drop(rig.break_model(model)));
    rig.pass(31.0);
    let opened = rig.call("a", Cause::ServerError);
    let host = opened.iter().find(|one| one.scope == Scope::Host && one.to == Phase::Open).unwrap();
    assert_eq!((host.from, host.until), (Phase::HalfOpen, Some(at(rig.now + 60.0).nanos)));
}

#[test]
fn invented_models_on_a_host_that_fails_for_them_shut_out_no_model_that_works() {
    let rig = Rig::new();
    rig.call("real", Cause::Served);
    for round in 0..20 {
        (0..200).for_each(|invented| {
            if let Ok(permit) = rig.ask(&format!("invented-{round}-{invented}")) {
                rig.end(permit, Cause::ServerError);
            }
        });
        assert_eq!(rig.call("real", Cause::Served), []);
    }
    let standings = rig.board.standings(&rig.spec, at(rig.now));
    assert!(standings.len() <= 64 + 3, "{}", standings.len());
    assert_eq!(rig.ask("one-more").unwrap_err().scope, Scope::Others);
    assert!(acquire(&rig.spec, &rig.board, None, at(rig.now)).is_ok(), "files are not theirs");

    let opened = rig.break_model("real");
    assert_eq!((opened[0].scope, opened[0].model.as_deref()), (Scope::Model, Some("real")), "it has a breaker of its own");
}

#[test]
fn a_name_that_is_no_name_has_no_breaker_of_its_own() {
    let rig = Rig::new();
    let endless = "x".repeat(100_000);
    assert_eq!(rig.break_model(&endless)[0].scope, Scope::Others);
    assert_eq!(rig.board.force(Some(&endless), Forced::Open), None);
    assert!(rig.ask("a").is_ok());
}

#[test]
fn what_is_well_again_costs_nothing_again() {
    let mut rig = Rig::new();
    rig.call("a", Cause::ServerError);
    rig.call("b", Cause::Unreachable);
    assert!(rig.board.calm().is_none());
    rig.call("a", Cause::Served);
    rig.pass(11.0).call("a", Cause::Served);
    assert!(rig.board.calm().is_some());
    assert_eq!(rig.board.standings(&rig.spec, at(rig.now)).len(), 1, "the host's");
}

#[test]
fn a_model_that_failed_and_was_never_asked_for_again_is_forgotten() {
    let mut rig = Rig::new();
    rig.call("a", Cause::ServerError);
    rig.pass(15.0 * 60.0 - 1.0).call("b", Cause::Served);
    assert!(rig.standing(Scope::Model, Some("a")).is_some());
    rig.pass(2.0).call("b", Cause::Served);
    assert!(rig.standing(Scope::Model, Some("a")).is_none() && rig.board.calm().is_some());
}

#[test]
fn an_operator_has_the_last_word() {
    let mut rig = Rig::new();
    let held = rig.board.force(Some("a"), Forced::Open).unwrap();
    assert_eq!((held.from, held.to, held.why, held.until), (Phase::Closed, Phase::Open, Why::Operator, None));
    assert_eq!(rig.ask("a").unwrap_err().why, Why::Operator);
    assert!(rig.pass(3_600.0).ask("a").is_err(), "time does not open it");

    rig.board.force(Some("a"), Forced::Closed).unwrap();
    for _ in 0..100 {
        assert_eq!(rig.call("a", Cause::ServerError), []);
    }
    let standing = rig.standing(Scope::Model, Some("a")).unwrap();
    assert_eq!((standing.phase, standing.forced, standing.total), (Phase::Closed, Some(Forced::Closed), 0));

    rig.board.force(None, Forced::Open).unwrap();
    assert_eq!(rig.ask("b").unwrap_err().scope, Scope::Host);
    let reset = rig.board.reset(None);
    assert_eq!(
        reset.iter().map(|one| (one.scope, one.to)).collect::<Vec<_>>(),
        [(Scope::Host, Phase::Closed), (Scope::Model, Phase::Closed)]
    );
    assert!(rig.ask("b").is_ok());
    assert_eq!(rig.break_model("a").len(), 1, "and it trips by itself again");
    assert_eq!(rig.board.reset(Some("a")).len(), 1);
    assert!(rig.ask("a").is_ok());
}

#[test]
fn other_numbers_meet_the_same_counts() {
    let mut rig = Rig::new();
    for _ in 0..4 {
        rig.call("a", Cause::ServerError);
    }
    rig.spec.window = Duration::from_secs(60);
    assert_eq!(rig.call("a", Cause::ServerError)[0].to, Phase::Open);
}
