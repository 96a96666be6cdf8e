//! What one look at all keys of a pool finds, and who of them is taken.

use super::{
    drawn::{Drawn, next, part},
    lease::Why,
};
use crate::types::verdict::Cause;

/// What a look at all keys has found.
#[derive(Debug)]
pub(super) struct Scan {
    /// A key whose probe is due.
    pub(super) probe: Option<usize>,
    /// The key that the prompt's beginning falls to, with its rank and load.
    pub(super) familiar: Option<(usize, f64, f64)>,
    pub(super) drawn: Drawn,
    /// Of those of whose quota nothing is known, the one with the smallest load.
    pub(super) idle: Option<(usize, f64)>,
    /// The weights of those.
    pub(super) unknown: f64,
    /// The weights of those of whose quota something is known.
    pub(super) known: f64,
    /// Whether any key is sound, also one that can't afford the request.
    pub(super) is_any_sound: bool,
    /// The earliest moment at which a sound key can serve.
    pub(super) earliest: Option<(u64, Cause)>,
    /// Of those that are out, the one that is probed first.
    pub(super) out: Option<(usize, u64, Cause)>,
    /// A probe is under way.
    pub(super) probing: Option<Cause>,
    /// Decides between those of whom something is known and the others.
    pub(super) lot: f64,
}

impl Scan {
    pub(super) fn new(mut random: u64) -> Self {
        Self {
            lot: part(next(&mut random)),
            drawn: Drawn::new(random),
            probe: None,
            familiar: None,
            idle: None,
            unknown: 0.0,
            known: 0.0,
            is_any_sound: false,
            earliest: None,
            out: None,
            probing: None,
        }
    }

    /// A key that is not sound.
    pub(super) fn see(&mut self, index: usize, sight: &Sight) {
        match *sight {
            Sight::Due if self.probe.is_none() => self.probe = Some(index),
            Sight::Out(until, cause) if self.out.is_none_or(|(_, first, _)| until < first) => self.out = Some((index, until, cause)),
            Sight::Probed(cause) => self.probing = Some(cause),
            Sight::Sound | Sight::Due | Sight::Out(..) => {}
        }
    }

    /// A sound key that can serve it then.
    pub(super) fn later(&mut self, until: u64, cause: Cause) {
        if self.earliest.is_none_or(|(earliest, _)| until < earliest) {
            self.earliest = Some((until, cause));
        }
    }

    /// Who is taken.
    pub(super) fn pick(&self) -> Option<(usize, Why)> {
        self.probe.map(|index| (index, Why::Probe)).or_else(|| self.sound())
    }

    /// Who of those that are sound is taken.
    pub(super) fn sound(&self) -> Option<(usize, Why)> {
        let familiar = self.familiar.map(|(index, ..)| (index, Why::Affinity));
        let idle = self.idle.map(|(index, _)| (index, Why::LeastInFlight));
        let drawn = || self.drawn.best().map(|index| (index, Why::Headroom));
        familiar.or_else(|| if self.lot * (self.known + self.unknown) < self.unknown { idle.or_else(drawn) } else { drawn().or(idle) })
    }
}

/// What can be done with a key.
pub(super) enum Sight {
    Sound,
    /// It is out, and one request may go.
    Due,
    Out(u64, Cause),
    Probed(Cause),
}
