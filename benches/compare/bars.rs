//! What Sidegate's figures must hold.

use crate::{
    figures::{Figures, What},
    load::Wanted,
    measure::CONNECTIONS,
    proxies::Proxy,
};

/// A bar, and the figure beside it.
pub(crate) struct Held {
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) bar: String,
    pub(crate) holds: bool,
}

/// Every bar whose figures were measured, medians all.
pub(crate) fn check(figures: &Figures) -> Vec<Held> {
    let [many, few] = CONNECTIONS;
    let beside = [
        (What::RequestInstructions, Proxy::Bare, 1.3),
        (What::EventInstructions, Proxy::Bare, 1.15),
        (What::RequestTime(many), Proxy::Nginx, 1.3),
        (What::RequestTime(few), Proxy::Nginx, 1.3),
        (What::HitTime(Wanted::Reply, many), Proxy::Nginx, 0.6),
        (What::HitTime(Wanted::Reply, few), Proxy::Nginx, 0.6),
        (What::HitTime(Wanted::Recorded, many), Proxy::Nginx, 0.6),
        (What::HitTime(Wanted::Recorded, few), Proxy::Nginx, 0.6),
    ];
    let alone = [(What::Binary, 14.0), (What::Idle, 10.0), (What::Start, 50.0)];
    let beside = beside.into_iter().filter_map(|(what, peer, most)| {
        let ratio = figures.ratio(what, Proxy::Sidegate, peer)?.median;
        let (figure, bar) = (format!("{ratio:.2} ×"), format!("≤ {most} × {}", peer.name()));
        Some(Held { what: what.name(), figure, bar, holds: ratio <= most })
    });
    let alone = alone.into_iter().filter_map(|(what, most)| {
        let value = figures.spread(what, Proxy::Sidegate)?.median;
        let unit = what.unit();
        let (figure, bar) = (format!("{} {unit}", what.written(value)), format!("≤ {most} {unit}"));
        Some(Held { what: what.name(), figure, bar, holds: value <= most })
    });
    beside.chain(alone).collect()
}
