//! The choice: who is eligible, and who of them is taken.
//!
//! 1. A key whose probe is due, for one request.
//! 2. With affinity, the account that the prompt's beginning falls to, if enough is left there.
//! 3. Where quotas are known, three are drawn by weight and by how often they could afford the request, and the one with the
//!    most left is taken, less what it is slower than others. Drawing keeps workers from all running to the same one.
//! 4. Where they are not, the one with the least in flight for its weight; among equals the turn goes round.
//! 5. Where no key is sound, the one that was to be probed first, before its time: once a second and one at a time. What its
//!    provider says about it is a better answer than ours, and it may have become good again.

use std::{
    cell::{Cell, RefCell},
    sync::{Arc, atomic::Ordering},
};

use super::{
    Account, Asked, Choice, Exhausted, Slot, Turn, Unavailable,
    account::{Named, Place},
    drawn::{next, part},
    health::Look,
    lease::{Epochs, Lease, Taken, Why},
    scan::{Scan, Sight},
    shadow::{Fit, Mark, Need, Terms},
};
use crate::types::{Moment, verdict::Cause};

/// The part of a quota that must be left for a prompt to go where its beginning is known: a small account is no hot spot.
const ENOUGH: f64 = 0.15;

/// What a time to first token counts against what is left: a key that takes twice the usual time (`USUAL`, in seconds) is taken
/// only if it has six hundredths more left.
const SLOWNESS: f64 = 0.06;
const USUAL: f64 = 0.6;

/// How often a choice is made again after another worker was faster.
const ROUNDS: usize = 4;

/// How long to wait for what becomes of a probe.
const PROBING: u64 = 250_000_000;

/// How often a key that is out is asked before its time, where no key of the pool is sound.
const LAST_RESORT: u64 = 1_000_000_000;

/// Leases the key that serves the request best.
///
/// # Errors
///
/// [`Unavailable`] if none can serve it now.
pub fn acquire(slots: &[Slot], turn: &Turn, asked: &Asked<'_>, now: Moment) -> Result<Lease, Unavailable> {
    let search = Search::new(slots, turn, asked, now)?;
    let first = turn.take(slots.len());
    let mut missed = None;
    for round in 0..ROUNDS {
        let scan = search.scan(first, round as u64);
        let (index, why) = match scan.pick() {
            Some(picked) => picked,
            None => search.last_resort(&scan)?,
        };
        match search.take(index, why) {
            Ok(lease) => return Ok(lease),
            Err(why) => missed = Some(why),
        }
    }
    Err(missed.unwrap_or(Unavailable::Exhausted(Exhausted)))
}

/// Whether [`acquire`] would lease a key now. Takes nothing, and nobody's turn.
#[must_use]
pub fn could_acquire(slots: &[Slot], turn: &Turn, asked: &Asked<'_>, now: Moment) -> bool {
    let Ok(search) = Search::new(slots, turn, asked, now) else { return false };
    let scan = search.scan(0, 0);
    scan.pick().is_some() || search.out(&scan).is_ok()
}

/// One choice to be made.
struct Search<'a> {
    slots: &'a [Slot],
    turn: &'a Turn,
    asked: &'a Asked<'a>,
    only: Option<Account>,
    model: Named<'a>,
    need: Need,
    now: u64,
}

impl<'a> Search<'a> {
    fn new(slots: &'a [Slot], turn: &'a Turn, asked: &'a Asked<'a>, now: Moment) -> Result<Self, Unavailable> {
        let only = match asked.choice {
            Choice::Any => None,
            Choice::Of(account) => Some(account),
            Choice::Home => Some(slots.iter().find(|slot| slot.is_usable()).ok_or(Unavailable::Exhausted(Exhausted))?.spec.account),
        };
        Ok(Self { slots, turn, asked, only, model: Named::new(asked.model), need: Need::of(asked.tokens), now: now.nanos })
    }

    fn scan(&self, first: usize, round: u64) -> Scan {
        let mut scan = Scan::new(self.asked.random.wrapping_add(round));
        let (before, from) = self.slots.split_at(first);
        let mut back_early = None;
        for (offset, slot) in from.iter().chain(before).enumerate() {
            if !slot.is_usable() || self.only.is_some_and(|account| slot.spec.account != account) {
                continue;
            }
            let index = (first + offset) % self.slots.len();
            let (sight, is_tried) = (self.health(slot, &mut back_early), self.asked.tried.contains(&slot.state));
            if let Sight::Sound = sight {
                self.weigh(&mut scan, index, slot, is_tried);
            } else if !is_tried && self.refuses(slot).is_none() {
                scan.see(index, &self.affordable(slot, sight));
            }
        }
        if !self.asked.repeatable && scan.sound().is_some() {
            scan.probe = None;
        }
        scan
    }

    /// How the key is, its account included.
    fn health(&self, slot: &Slot, back_early: &mut Option<u64>) -> Sight {
        let (key, account) = (slot.state.machine.look(self.now), slot.owner.machine.look(self.now));
        if (key, account) == (Look::Sound, Look::Sound) {
            return Sight::Sound;
        }
        let (mut until, mut why) = (self.now, None);
        for look in [key, account] {
            match look {
                Look::Sound => {}
                Look::Probed(cause) => return Sight::Probed(cause),
                Look::Rests(at, cause) if at > until => (until, why) = (at, Some(cause)),
                // All were out, and one has turned out to be good: what put it out may have put out this one.
                Look::Waits { until: at, since, cause } if at > until && since >= *back_early.get_or_insert_with(|| self.back_early()) => {
                    (until, why) = (at, Some(cause));
                }
                Look::Rests(..) | Look::Waits { .. } => {}
            }
        }
        why.map_or(Sight::Due, |cause| Sight::Out(until, cause))
    }

    /// The same; a probe that its account can't afford yet has to wait, and keeps nobody from other keys.
    fn affordable(&self, slot: &Slot, sight: Sight) -> Sight {
        let fit = || slot.owner.at(slot.owner.find(self.model)).fit(&Terms::from(&slot.spec), self.need, self.now);
        match sight {
            Sight::Due => match fit() {
                Fit::At(until, dimension) => Sight::Out(until, Cause::RateLimited(dimension)),
                Fit::Unknown | Fit::Affords { .. } => Sight::Due,
            },
            sight => sight,
        }
    }

    /// When a key last became good that was asked since no other one was left.
    fn back_early(&self) -> u64 {
        let of = |slot: &Slot| slot.state.machine.back_early().max(slot.owner.machine.back_early());
        self.slots.iter().map(of).max().unwrap_or(0)
    }

    /// Until when its account is not asked for the model, whatever is left, and why.
    fn refuses(&self, slot: &Slot) -> Option<(u64, Cause)> {
        let model = slot.owner.at(slot.owner.find(self.model));
        model.is_off(self.now).or_else(|| model.cools(self.now))
    }

    /// Where a sound key stands among those that may be taken.
    fn weigh(&self, scan: &mut Scan, index: usize, slot: &Slot, is_tried: bool) {
        let model = slot.owner.at(slot.owner.find(self.model));
        if model.is_off(self.now).is_some() {
            return;
        }
        scan.is_any_sound = true;
        if is_tried {
            return;
        }
        if let Some((until, cause)) = model.cools(self.now) {
            return scan.later(until, cause);
        }
        let weight = slot.spec.weight * slot.state.machine.share(self.now).min(slot.owner.machine.share(self.now));
        let load = f64::from(slot.state.in_flight() + 1) / weight;
        let fit = model.fit(&Terms::from(&slot.spec), self.need, self.now);
        let left = match fit {
            Fit::At(until, dimension) => return scan.later(until, Cause::RateLimited(dimension)),
            Fit::Affords { times, headroom } => {
                scan.known += weight;
                let slow = slot.state.first_token(self.now).map_or(0.0, |seconds| SLOWNESS * (seconds / USUAL - 1.0));
                scan.drawn.offer(index, weight * times, headroom - slow);
                headroom
            }
            Fit::Unknown => {
                scan.unknown += weight;
                if scan.idle.is_none_or(|(_, least)| load < least) {
                    scan.idle = Some((index, load));
                }
                1.0
            }
        };
        if let Some(prefix) = self.asked.prefix.filter(|_| slot.spec.affinity && left >= ENOUGH) {
            let mut seed = prefix ^ slot.owner.id;
            // Weighted rendezvous: the account with the largest rank has it, and takes no other's when one goes.
            let rank = -slot.spec.weight / part(next(&mut seed)).ln();
            let is_better = |(_, best, least): (usize, f64, f64)| rank > best || rank >= best && load < least;
            if scan.familiar.is_none_or(is_better) {
                scan.familiar = Some((index, rank, load));
            }
        }
    }

    /// A key that is out, where there is no sound one, and when the last one was asked; or what else is to be waited for.
    fn out(&self, scan: &Scan) -> Result<(usize, Cause, u64), Unavailable> {
        if let Some((nanos, why)) = scan.earliest {
            return Err(Unavailable::Until { nanos, why });
        }
        if let Some(why) = scan.probing {
            return Err(Unavailable::Until { nanos: self.now.saturating_add(PROBING), why });
        }
        let Some((index, _, why)) = scan.out.filter(|_| !scan.is_any_sound) else { return Err(Unavailable::Exhausted(Exhausted)) };
        let last = self.turn.last_resort.load(Ordering::Relaxed);
        let next = last.saturating_add(LAST_RESORT);
        if last != 0 && next > self.now {
            return Err(Unavailable::Until { nanos: next, why });
        }
        Ok((index, why, last))
    }

    /// The same, for this request and no other.
    fn last_resort(&self, scan: &Scan) -> Result<(usize, Why), Unavailable> {
        let (index, why, last) = self.out(scan)?;
        match self.turn.last_resort.compare_exchange(last, self.now.max(1), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok((index, Why::LastResort)),
            Err(_) => Err(Unavailable::Until { nanos: self.now.saturating_add(LAST_RESORT), why }),
        }
    }

    /// Takes it, unless another worker was faster.
    fn take(&self, index: usize, why: Why) -> Result<Lease, Unavailable> {
        let slot = &self.slots[index];
        let mut epochs =
            Epochs { key: slot.state.machine.epoch(), account: slot.owner.machine.epoch(), probes_key: false, probes_account: false };
        let is_probe = matches!(why, Why::Probe | Why::LastResort);
        let sights = (slot.state.machine.look(self.now), slot.owner.machine.look(self.now));
        let faster = Unavailable::Until { nanos: self.now.saturating_add(PROBING), why: Cause::InvalidKey };
        if !is_probe && sights != (Look::Sound, Look::Sound) {
            return Err(faster);
        }
        let place = slot.owner.find(self.model);
        let terms = Terms::from(&slot.spec);
        let model = slot.owner.at(place);
        let mark = match model.take(&terms, self.need, self.now) {
            Ok(mark) => mark,
            Err(Fit::At(nanos, dimension)) => return Err(Unavailable::Until { nanos, why: Cause::RateLimited(dimension) }),
            Err(_) => Mark::default(),
        };
        let mut began = None;
        // Its time has come or is not waited for: `scan` has seen to that.
        if sights.0 != Look::Sound {
            let Some((epoch, transition)) = slot.state.machine.probe(true, self.now) else {
                model.give_back(&terms, self.need, self.now);
                return Err(faster);
            };
            (epochs.key, epochs.probes_key, began) = (epoch, true, Some(transition));
        }
        if sights.1 != Look::Sound {
            let Some((epoch, transition)) = slot.owner.machine.probe(true, self.now) else {
                model.give_back(&terms, self.need, self.now);
                if epochs.probes_key {
                    slot.state.machine.undecided(epochs.key, false, self.now);
                }
                return Err(faster);
            };
            (epochs.account, epochs.probes_account, began) = (epoch, true, Some(transition));
        }
        slot.state.began();
        let unknown = (place == Place::REST && slot.owner.has_room()).then(|| self.model.name.into());
        Ok(Lease {
            index,
            why,
            began,
            state: Arc::clone(&slot.state),
            owner: Arc::clone(&slot.owner),
            epochs,
            taken: Taken { place: Cell::new(place), unknown, terms, need: self.need, mark, random: self.asked.random },
            told: RefCell::default(),
            heard: Cell::new(self.now),
            was_sent: true,
            is_judged: false,
        })
    }
}
