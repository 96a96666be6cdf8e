//! How much of a pool may be quarantined within a minute: half. What refuses more keys than that at once is trouble at the
//! provider, not as many keys that went bad. At least one may always go: with two keys, one bad one has to.
//!
//! Two workers that decide at the same moment may let one key more go.

use std::sync::Arc;

use super::Slot;

/// The time in which those that went are counted.
const WITHIN: u64 = 60_000_000_000;

/// Whether the keys that `goes` names may be quarantined now.
pub(super) fn may_enter(slots: &[Slot], goes: impl Fn(&Slot) -> bool, now: u64) -> bool {
    let (mut all, mut gone, mut going) = (0_usize, 0_usize, 0_usize);
    for slot in slots.iter().filter(|slot| slot.is_usable()) {
        all += 1;
        if goes(slot) {
            going += 1;
        } else if slot.state.machine.entered_within(WITHIN, now) || slot.owner.machine.entered_within(WITHIN, now) {
            gone += 1;
        }
    }
    gone == 0 || gone + going <= all / 2
}

/// Whether another account of the pool is known to have served what this one refuses, and is still asked for it.
pub(super) fn is_served_elsewhere(slots: &[Slot], model: super::account::Named<'_>, owner: &Arc<super::account::State>, now: u64) -> bool {
    slots.iter().any(|slot| slot.is_usable() && !Arc::ptr_eq(&slot.owner, owner) && slot.owner.serves(model, now))
}
