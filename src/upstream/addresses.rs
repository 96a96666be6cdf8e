//! In which order the addresses of an endpoint are tried, which of them were trouble lately, and which are still its own.

use std::{
    cell::RefCell,
    net::{IpAddr, SocketAddr},
    rc::Weak,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::AbortHandle;

use super::{Endpoint, Resolver, endpoint::Door, pool::Pool};

/// How long an address that failed or was slow goes last.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The most addresses that are remembered; the oldest is forgotten for the next.
const MOST: usize = 64;

/// What one endpoint's connections have met, over all workers. It is asked only when a connection is made.
#[derive(Debug, Default)]
pub(super) struct Experience {
    trouble: Mutex<Vec<(IpAddr, Instant)>>,
    turn: AtomicUsize,
}

impl Experience {
    /// It holds whole entries only: a panic elsewhere breaks nothing here.
    fn trouble(&self) -> MutexGuard<'_, Vec<(IpAddr, Instant)>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This address failed, or another was faster in spite of its head start.
    pub(super) fn shun(&self, ip: IpAddr, now: Instant) {
        let mut trouble = self.trouble();
        trouble.retain(|(other, since)| *other != ip && now.saturating_duration_since(*since) < REMEMBERED);
        if trouble.len() >= MOST {
            trouble.remove(0);
        }
        trouble.push((ip, now));
    }

    /// This address answered.
    pub(super) fn welcome(&self, ip: IpAddr) {
        self.trouble().retain(|(other, _)| *other != ip);
    }

    /// The order in which to try: families in turn and IPv6 first (RFC 8305 §4), beginning with another of each family every
    /// time, so that the connections are spread; then those that were trouble lately.
    pub(super) fn order(&self, addresses: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (mut v6, mut v4): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(SocketAddr::is_ipv6);
        for family in [&mut v6, &mut v4] {
            let places = family.len().max(1);
            family.rotate_left(turn % places);
        }
        let longer = v6.len().max(v4.len());
        let mut ordered: Vec<_> = (0..longer).flat_map(|at| [v6.get(at), v4.get(at)]).flatten().copied().collect();
        let trouble = self.trouble();
        let is_trouble =
            |ip: IpAddr| trouble.iter().any(|(other, since)| *other == ip && now.saturating_duration_since(*since) < REMEMBERED);
        ordered.sort_by_key(|address| is_trouble(address.ip()));
        ordered
    }
}

/// The newest addresses of an endpoint's name, as one worker's pool knows them. It keeps the name in use for as long as the
/// pool lives.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// `None` before the first news.
    addresses: RefCell<Option<Arc<[IpAddr]>>>,
    following: RefCell<Option<Following>>,
}

/// The task that hears of news, ended by `Drop`.
#[derive(Debug)]
struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Newest {
    /// Whether a connection to `address` may carry another request.
    pub(super) fn holds(&self, address: Option<IpAddr>) -> bool {
        match (&*self.addresses.borrow(), address) {
            (Some(newest), Some(address)) => newest.contains(&address),
            _ => true,
        }
    }

    /// Follows the name of `endpoint`, if it has one, and lets `pool` drain after each answer.
    pub(super) fn follow(&self, endpoint: &Endpoint, resolver: &Resolver, pool: Weak<Pool>) {
        let Door::Tcp(host, _) = endpoint.door() else { return };
        let Some(mut answers) = resolver.follow(host) else { return };
        let task = tokio::task::spawn_local(async move {
            loop {
                let newest = answers.next().await;
                let Some(pool) = pool.upgrade() else { return };
                pool.newest.addresses.replace(Some(newest));
                pool.drain();
            }
        });
        self.following.replace(Some(Following(task.abort_handle())));
    }
}

impl Pool {
    /// Closes unused connections to addresses that the name no longer has, and lets the others end with what they carry.
    fn drain(&self) {
        // Dropped when nothing is borrowed: the place of each tells those who wait.
        let gone: Vec<_> = self.idle.borrow_mut().extract_if(.., |idle| !self.newest.holds(idle.connection.address)).collect();
        drop(gone);
        for connection in self.multiplexed.borrow().iter().filter(|connection| !self.newest.holds(connection.address.get())) {
            connection.retire();
        }
        self.multiplexed.borrow_mut().retain(|connection| !connection.is_done());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 443)).collect()
    }

    #[test]
    fn families_take_turns_and_the_first_of_each_moves_on() {
        let experience = Experience::default();
        let answer = addresses(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"]);
        for order in [
            ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"],
            ["2001:db8::2", "192.0.2.2", "2001:db8::1", "192.0.2.3", "192.0.2.1"],
        ] {
            assert_eq!(experience.order(&answer, Instant::now()), addresses(&order));
        }
        assert_eq!(experience.order(&[], Instant::now()), []);
    }

    #[test]
    fn an_address_that_was_trouble_goes_last_for_a_minute_or_until_it_answers() {
        let experience = Experience::default();
        let (answer, now) = (addresses(&["192.0.2.1", "192.0.2.2"]), Instant::now());
        let [first, second] = [answer[0].ip(), answer[1].ip()];
        let begins_with = |at| [experience.order(&answer, at)[0].ip(), experience.order(&answer, at)[0].ip()];
        experience.shun(first, now);
        assert_eq!(begins_with(now), [second, second]);
        assert_eq!(begins_with(now + REMEMBERED), [first, second], "forgotten");
        experience.shun(second, now);
        assert_eq!(begins_with(now), [first, second], "equals again");
        experience.welcome(second);
        assert_eq!(begins_with(now), [second, second]);
    }

    #[test]
    fn memory_is_bounded() {
        let experience = Experience::default();
        for n in 0..1_000_u32 {
            experience.shun(IpAddr::V4(n.into()), Instant::now());
        }
        assert_eq!(experience.trouble().len(), MOST);
    }
}
