//! Samples of each figure, by proxy and round; their medians, ranges and ratios.

use std::collections::BTreeMap;

use crate::{load::Wanted, proxies::Proxy};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    RequestInstructions,
    EventInstructions,
    RequestCalls,
    EventCalls,
    /// On a processor, with this many connections.
    RequestTime(usize),
    /// On a processor, with this many streams.
    EventTime(usize),
    HitInstructions(Wanted),
    /// On a processor, with this many connections.
    HitTime(Wanted, usize),
    /// What a proxy adds to this percentile, at this many requests a second.
    Added(u32, u32),
    Idle,
    Stream,
    Start,
    Binary,
}

impl What {
    pub(crate) fn name(self) -> String {
        match self {
            Self::RequestInstructions => "instructions a request".into(),
            Self::EventInstructions => "instructions an event".into(),
            Self::RequestCalls => "system calls a request".into(),
            Self::EventCalls => "system calls an event".into(),
            Self::RequestTime(connections) => format!("CPU a request, {connections} connections"),
            Self::EventTime(streams) => format!("CPU an event, {streams} streams"),
            Self::HitInstructions(wanted) => format!("instructions {}", hit(wanted)),
            Self::HitTime(wanted, connections) => format!("CPU {}, {connections} connections", hit(wanted)),
            Self::Added(rate, percentile) => format!("added latency p{percentile}, {rate} requests/s"),
            Self::Idle => "resident, idle".into(),
            Self::Stream => "resident, each open stream".into(),
            Self::Start => "start to first reply".into(),
            Self::Binary => "size of the binary".into(),
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::RequestInstructions | Self::EventInstructions | Self::RequestCalls | Self::EventCalls | Self::HitInstructions(_) => "",
            Self::RequestTime(_) | Self::EventTime(_) | Self::HitTime(..) | Self::Added(..) => "µs",
            Self::Idle | Self::Binary => "MiB",
            Self::Stream => "KiB",
            Self::Start => "ms",
        }
    }

    /// As the table writes a value.
    pub(crate) fn written(self, value: f64) -> String {
        match self {
            Self::RequestInstructions | Self::EventInstructions | Self::HitInstructions(_) => thousands(value),
            Self::Added(..) => format!("{value:.0}"),
            Self::RequestCalls | Self::EventCalls | Self::RequestTime(_) | Self::EventTime(_) | Self::HitTime(..) => {
                format!("{value:.2}")
            }
            Self::Idle | Self::Stream | Self::Start | Self::Binary => format!("{value:.1}"),
        }
    }

    /// A difference of two noisy values has no ratio worth telling.
    fn has_ratio(self) -> bool {
        !matches!(self, Self::Added(..))
    }
}

/// What a proxy without a cache does for the same request stands beside it.
fn hit(wanted: Wanted) -> &'static str {
    if wanted == Wanted::Reply { "a hit" } else { "a hit, streamed" }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The middle of some values, and their ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Some(Self { median, least, most })
    }
}

/// All samples.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<What, BTreeMap<Proxy, Vec<f64>>>);

impl Figures {
    /// The next round's sample.
    pub(crate) fn add(&mut self, what: What, proxy: Proxy, sample: f64) {
        self.0.entry(what).or_default().entry(proxy).or_default().push(sample);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = What> {
        self.0.keys().copied()
    }

    pub(crate) fn samples(&self, what: What, proxy: Proxy) -> &[f64] {
        self.0.get(&what).and_then(|proxies| proxies.get(&proxy)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn spread(&self, what: What, proxy: Proxy) -> Option<Spread> {
        Spread::of(self.samples(what, proxy))
    }

    /// How many times `to` one proxy's figure is: within each round, so that what else the machine did is in both.
    pub(crate) fn ratio(&self, what: What, of: Proxy, to: Proxy) -> Option<Spread> {
        let pairs = self.samples(what, of).iter().zip(self.samples(what, to));
        let ratios: Vec<f64> = pairs.map(|(of, to)| of / to).collect();
        Spread::of(&ratios).filter(|_| what.has_ratio())
    }
}
