//! When requests come: at their own time, whatever became of those before.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use fastrand::Rng;
use tokio::{task::JoinSet, time::sleep_until};

use super::Outcome;

/// Load that changes between two levels by chance (a Markov-modulated Poisson process).
pub(crate) struct Bursts {
    /// Requests a second in the mean.
    pub(crate) mean: f64,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
}

/// How much of the mean comes at each level, and how long it lasts in the mean, in seconds: all in all, the mean.
const HIGH: (f64, f64) = (2.0, 2.0);
const LOW: (f64, f64) = (0.5, 4.0);

/// Times of arrival, as many as the mean says: chance moves them about and leaves their number.
pub(crate) fn arrivals(bursts: &Bursts) -> Vec<Duration> {
    let mut rng = Rng::with_seed(bursts.seed);
    let end = bursts.time.as_secs_f64();
    let (mut levels, mut now, mut at) = (Vec::new(), 0.0, LOW);
    while now < end {
        let until = (now - at.1 * (1.0 - rng.f64()).ln()).min(end);
        levels.push((now, until, at.0));
        (now, at) = (until, if at == LOW { HIGH } else { LOW });
    }
    let weight: f64 = levels.iter().map(|(from, until, level)| (until - from) * level).sum();
    let count = (bursts.mean * end) as usize;
    let place = |share: f64| {
        let mut left = share * weight;
        for (from, until, level) in &levels {
            let here = (until - from) * level;
            if left < here {
                return from + left / level;
            }
            left -= here;
        }
        end
    };
    let mut times: Vec<_> = (0..count).map(|_| Duration::from_secs_f64(place(rng.f64()))).collect();
    times.sort_unstable();
    times
}

/// As many a second as `rate` says, evenly.
pub(crate) fn steady(rate: f64, time: Duration) -> Vec<Duration> {
    (0..(rate * time.as_secs_f64()) as u32).map(|n| Duration::from_secs_f64(f64::from(n) / rate)).collect()
}

/// Sends a request at each of these times, and returns what became of them when all have ended, in the order of their beginning.
pub(crate) async fn offer<F>(times: &[Duration], start: Instant, mut request: impl FnMut(usize) -> F) -> Vec<Outcome>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let mut open = JoinSet::new();
    for (number, time) in times.iter().enumerate() {
        sleep_until((start + *time).into()).await;
        open.spawn(request(number));
    }
    let mut outcomes = open.join_all().await;
    outcomes.sort_by_key(|outcome| outcome.begun);
    outcomes
}
