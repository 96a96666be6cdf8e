//! What holds in whatever order things happen.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const MODELS: [Option<&str>; 3] = [Some("a"), Some("b"), None];

#[derive(Clone, Debug)]
enum Step {
    Take(usize),
    Begin(usize, bool),
    Settle(usize, Cause),
    Abandon(usize),
    Wait(u64),
    Force(usize, Forced),
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cause = prop_oneof![
        4 => Just(Cause::ServerError),
        3 => Just(Cause::Unreachable),
        2 => Just(Cause::NoReply),
        2 => Just(Cause::BrokenOff),
        4 => Just(Cause::Served),
        1 => prop::sample::select(Cause::ALL.to_vec()),
    ];
    let forced = prop_oneof![Just(Forced::Open), Just(Forced::Closed)];
    let step = prop_oneof![
        12 => (0..MODELS.len()).prop_map(Step::Take),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(which, slow)| Step::Begin(which, slow)),
        12 => (any::<usize>(), cause).prop_map(|(which, cause)| Step::Settle(which, cause)),
        3 => any::<usize>().prop_map(Step::Abandon),
        5 => prop_oneof![0..2_000_u64, 5_000..40_000_u64].prop_map(Step::Wait),
        1 => (0..MODELS.len(), forced).prop_map(|(which, forced)| Step::Force(which, forced)),
        1 => Just(Step::Reset),
    ];
    prop::collection::vec(step, 1..250)
}

type Which = (Scope, Option<Box<str>>);

/// What a permit is known to be by whoever has only looked on.
struct Known {
    permit: Permit,
    /// How often each breaker had changed when it was taken.
    changes: HashMap<Which, u32>,
    is_decided: bool,
}

#[derive(Default)]
struct Watch {
    changes: HashMap<Which, u32>,
    half_open_since: HashMap<Which, u64>,
}

impl Watch {
    /// Which breakers a permit is counted at.
    fn of(permit: &Permit) -> [Which; 2] {
        let model = match &permit.place {
            Place::Own(name) => Some(name.text()),
            Place::Unnamed | Place::Others => None,
        };
        [(Scope::Host, None), (Scope::Model, model)]
    }

    fn note(&mut self, transitions: &[Transition], now: u64) {
        for one in transitions {
            let which = (one.scope, one.model.clone());
            *self.changes.entry(which.clone()).or_default() += 1;
            match one.to {
                Phase::HalfOpen => self.half_open_since.insert(which, now),
                Phase::Open | Phase::Closed => self.half_open_since.remove(&which),
            };
        }
    }

    fn is_late(&self, known: &Known, which: &Which) -> bool {
        self.changes.get(which) != known.changes.get(which)
    }
}

/// Those that say something, by whom they are.
fn phases(rig: &Rig) -> HashMap<Which, Standing> {
    let all = rig.board.standings(&rig.spec, at(rig.now)).into_iter();
    let says = |one: &Standing| one.phase != Phase::Closed || one.forced.is_some() || one.failures + one.slow + one.consecutive > 0;
    all.filter(says).map(|one| ((one.scope, one.model.clone()), one)).collect()
}

/// The drawing of the module, by who may bring about what.
fn is_drawn(step: &Step, from: Phase, to: Phase) -> bool {
    match step {
        Step::Take(_) => (from, to) == (Phase::Open, Phase::HalfOpen),
        Step::Begin(..) | Step::Settle(..) => {
            matches!((from, to), (Phase::Closed, Phase::Open) | (Phase::HalfOpen, Phase::Closed | Phase::Open))
        }
        Step::Force(_, Forced::Open) => to == Phase::Open,
        Step::Force(_, Forced::Closed) | Step::Reset => to == Phase::Closed,
        Step::Abandon(_) | Step::Wait(_) => false,
    }
}

fn quick() -> Rig {
    let mut rig = Rig::new();
    rig.spec.consecutive = 3;
    rig.spec.minimum = 6;
    rig.spec.slow = Some(Duration::from_secs(5));
    rig.spec.open = Duration::from_secs(10);
    rig
}

fn step_on(rig: &mut Rig, live: &mut Vec<Known>, watch: &Watch, step: &Step) -> Vec<Transition> {
    let (now, count) = (at(rig.now), live.len().max(1));
    match step {
        Step::Take(which) => match acquire(&rig.spec, &rig.board, MODELS[*which], now) {
            Ok(mut permit) => {
                let transitions = permit.transitions();
                live.push(Known { permit, changes: HashMap::new(), is_decided: false });
                transitions
            }
            Err(_) => Vec::new(),
        },
        Step::Begin(which, slow) if !live.is_empty() => {
            let known = &mut live[which % count];
            let before = phases(rig);
            known.is_decided = true;
            let transitions = known.permit.first_token(Duration::from_secs(if *slow { 6 } else { 1 }), now, MIDDLE);
            late_changes_nothing(rig, watch, &live[which % count], &before);
            transitions
        }
        Step::Settle(which, cause) if !live.is_empty() => {
            let Known { permit, changes, .. } = live.swap_remove(which % count);
            let before = phases(rig);
            let of = Watch::of(&permit);
            let transitions = permit.settle(*cause, now, MIDDLE);
            let after = phases(rig);
            // The host may open for its models, whose permits are not late.
            let late = of.iter().filter(|which| watch.changes.get(*which) != changes.get(*which));
            for which in late.filter(|_| transitions.iter().all(|one| one.why != Why::Models)) {
                assert_eq!(before.get(which), after.get(which), "{which:?}");
            }
            transitions
        }
        Step::Abandon(which) if !live.is_empty() => {
            drop(live.swap_remove(which % count));
            Vec::new()
        }
        Step::Wait(millis) => {
            rig.pass(*millis as f64 / 1e3);
            Vec::new()
        }
        Step::Force(which, forced) => rig.board.force(MODELS[*which], *forced).into_iter().collect(),
        Step::Reset => rig.board.reset(None),
        Step::Begin(..) | Step::Settle(..) | Step::Abandon(_) => Vec::new(),
    }
}

fn late_changes_nothing(rig: &Rig, watch: &Watch, known: &Known, before: &HashMap<Which, Standing>) {
    let after = phases(rig);
    for which in Watch::of(&known.permit).iter().filter(|which| watch.is_late(known, which)) {
        assert_eq!(before.get(which), after.get(which), "{which:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn phases_change_as_drawn_and_probes_are_few_and_late_results_change_nothing(steps in steps()) {
        let mut rig = quick();
        let (mut live, mut watch) = (Vec::<Known>::new(), Watch::default());
        for step in &steps {
            let before = phases(&rig);
            let told = step_on(&mut rig, &mut live, &watch, step);
            let after = phases(&rig);
            let now = at(rig.now).nanos;
            watch.note(&told, now);
            if let (Step::Take(_), Some(last)) = (step, live.last_mut())
                && last.changes.is_empty()
            {
                last.changes = watch.changes.clone();
                last.changes.entry((Scope::Others, None)).or_default();
            }

            // What is told is what has happened, and it is drawn.
            let phase = |all: &HashMap<Which, Standing>, which: &Which| all.get(which).map_or(Phase::Closed, |one| one.phase);
            for one in &told {
                let which = (one.scope, one.model.clone());
                prop_assert!(is_drawn(step, one.from, one.to), "{:?} by {:?}", one, step);
                prop_assert_eq!((phase(&before, &which), phase(&after, &which)), (one.from, one.to), "{:?}", step);
            }
            for which in before.keys().chain(after.keys()) {
                let has_changed = phase(&before, which) != phase(&after, which);
                prop_assert!(!has_changed || told.iter().any(|one| (one.scope, &one.model) == (which.0, &which.1)), "{:?}", which);
            }

            // Three probes that have not spoken, in each time for which a breaker is open at first.
            for (which, since) in &watch.half_open_since {
                let rounds = 1 + (now - since) / (10 * SECOND);
                let is_out = |known: &&Known| {
                    !known.is_decided && Watch::of(&known.permit).contains(which) && !watch.is_late(known, which)
                };
                let out = live.iter().filter(is_out).count() as u64;
                prop_assert!(out <= 3 * rounds, "{} in {} rounds", out, rounds);
            }
        }

        // Whatever was dropped on the way: all places of probes are there again.
        live.clear();
        for (which, standing) in phases(&rig) {
            prop_assert_eq!(standing.probes, 0, "{:?}", which);
        }
        rig.board.reset(None);
        rig.pass(60.0);
        rig.break_model("a");
        rig.pass(11.0);
        let probes: Vec<_> = (0..4).map_while(|_| rig.ask("a").ok()).collect();
        prop_assert_eq!(probes.len(), 3);
    }
}
