//! In which order a route's targets are tried, and which one takes over from which.

use smallvec::SmallVec;

use crate::{
    config::Order,
    policy::retry::{Occasion, When},
    runtime::{Route, Target},
    types::{Ask, Moment, Money},
};

/// More targets than this are put in order at the price of an allocation.
const USUAL: usize = 4;

/// The targets of one route, for one request.
#[derive(Debug)]
pub(super) struct Plan<'s> {
    pub(super) route: &'s Route,
    /// Places in the route; empty where they are tried as they stand.
    order: SmallVec<[usize; USUAL]>,
    at: usize,
}

impl<'s> Plan<'s> {
    /// Begins with the first.
    pub(super) fn new(route: &'s Route, ask: &Ask, now: Moment) -> Self {
        let mut order: SmallVec<[usize; USUAL]> = SmallVec::new();
        if route.targets.len() > 1 && route.order != Order::Given {
            order.extend(0..route.targets.len());
            // Among equals the order of the config holds.
            match route.order {
                Order::Given => {}
                Order::Cheapest => order.sort_by_cached_key(|at| route.targets[*at].price(ask.certain_model()).unwrap_or(Money(u64::MAX))),
                Order::Fastest => order.sort_by_cached_key(|at| route.targets[*at].pace.micros(now)),
            }
        }
        Self { route, order, at: 0 }
    }

    /// The one whose turn it is.
    pub(super) fn target(&self) -> &'s Target {
        &self.route.targets[self.place(self.at)]
    }

    fn place(&self, at: usize) -> usize {
        self.order.get(at).copied().unwrap_or(at)
    }

    /// When the next one takes over, if there is one.
    ///
    /// It is asked of all that follow: where the next does not take over on an occasion, the one behind it may.
    pub(super) fn next(&self, occasion: Occasion) -> Option<When> {
        let following = self.at + 1..self.route.targets.len();
        following.map(|at| self.route.targets[self.place(at)].when).find(|when| when.covers(occasion))
    }

    /// The turn goes to the next one that takes over.
    pub(super) fn fall_back(&mut self, occasion: Occasion) {
        let following = self.at + 1..self.route.targets.len();
        self.at = following.clone().find(|at| self.route.targets[self.place(*at)].when.covers(occasion)).unwrap_or(self.at);
    }
}
