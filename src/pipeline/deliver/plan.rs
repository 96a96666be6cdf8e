//! In which order a route's targets are tried, and which one takes over from which.

use smallvec::SmallVec;

use crate::{
    config::Order,
    policy::{
        key_pool::{Choice, homes::Whose},
        retry::{Occasion, When},
    },
    runtime::{Route, Runtime, Target},
    types::{Ask, Money},
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
    /// Whether what it asks for is stored at this one, so that no other has it.
    is_bound: bool,
}

impl<'s> Plan<'s> {
    /// Begins with the first; or with the one that is known to store what the request names.
    pub(super) fn new(route: &'s Route, whose: &Whose, ask: &Ask, runtime: &Runtime) -> Self {
        let mut plan = Self { route, order: SmallVec::new(), at: 0, is_bound: false };
        if route.targets.len() < 2 {
            return plan;
        }
        if route.order != Order::Given {
            plan.order.extend(0..route.targets.len());
            // Among equals the order of the config holds; those that only stand in for others stay behind them.
            let target = |at: usize| &route.targets[at];
            match route.order {
                Order::Given => {}
                Order::Cheapest => plan.order.sort_by_cached_key(|at| {
                    let price = target(*at).price(ask.certain_model()).unwrap_or(Money(u64::MAX));
                    (target(*at).stands_in, price)
                }),
                Order::Fastest => {
                    let now = runtime.moment();
                    plan.order.sort_by_cached_key(|at| (target(*at).stands_in, target(*at).pace.micros(now)));
                }
            }
        }
        if matches!(whose, Whose::Maker(_))
            && let Some(at) = (0..route.targets.len()).find(|at| plan.stores(*at, whose))
        {
            (plan.at, plan.is_bound) = (at, true);
        }
        plan
    }

    fn stores(&self, at: usize, whose: &Whose) -> bool {
        matches!(self.route.targets[self.place(at)].provider.choice(whose), Choice::Of(_))
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
        let following = self.at + 1..if self.is_bound { 0 } else { self.route.targets.len() };
        following.map(|at| self.route.targets[self.place(at)].when).find(|when| when.covers(occasion))
    }

    /// How many of those that follow take over on this occasion.
    pub(super) fn left(&self, occasion: Occasion) -> u32 {
        let following = self.at + 1..self.route.targets.len();
        following.filter(|at| self.route.targets[self.place(*at)].when.covers(occasion)).count() as u32
    }

    /// The turn goes to the next one that takes over.
    pub(super) fn fall_back(&mut self, occasion: Occasion) {
        let following = self.at + 1..self.route.targets.len();
        self.at = following.clone().find(|at| self.route.targets[self.place(*at)].when.covers(occasion)).unwrap_or(self.at);
    }
}
