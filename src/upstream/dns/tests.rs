use super::{
    source::{Family, Found},
    *,
};

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn found(texts: &[&str], ttl: u64) -> io::Result<Found> {
    Ok(Found { addresses: ips(texts), ttl: Duration::from_secs(ttl), lacks: None })
}

fn failed() -> io::Result<Found> {
    Err(io::ErrorKind::TimedOut.into())
}

/// What is known after these look-ups, all at `now`.
fn after(lookups: impl IntoIterator<Item = io::Result<Found>>, now: Instant) -> Known {
    let mut known = Known::default();
    for lookup in lookups {
        known.settle(lookup, &config::Dns::default(), now);
    }
    known
}

#[track_caller]
fn serves(word: Word, texts: &[&str]) {
    assert!(matches!(&word, Word::Serve(addresses) if **addresses == ips(texts)), "{word:?}");
}

#[test]
fn an_answer_counts_for_its_time_to_live_within_bounds() {
    let now = Instant::now();
    for (ttl, counts) in [(0, 5), (4, 5), (60, 60), (86_400, 300)] {
        let known = after([found(&["192.0.2.1"], ttl)], now);
        assert_eq!(known.until, Some(now + Duration::from_secs(counts)));
    }
}

#[test]
fn an_answer_serves_at_once_and_for_a_moment_longer_while_it_is_renewed() {
    let now = Instant::now();
    let known = after([found(&["192.0.2.1"], 5)], now);
    let until = known.until.unwrap();
    serves(known.word(1, now, now), &["192.0.2.1"]);
    serves(known.word(1, until, until), &["192.0.2.1"]);
    let late = until + OVERDUE;
    assert!(matches!(known.word(1, late, late), Word::Wait(Some(patience)) if patience == late + OVERDUE));
    serves(known.word(1, late, late + OVERDUE), &["192.0.2.1"]);
    // The look-up hangs: those who come later do not wait for it again.
    let hanging = Known { asking: Some(until), ..known };
    serves(hanging.word(1, late, late), &["192.0.2.1"]);
}

#[test]
fn a_failure_or_an_empty_answer_leaves_the_last_good_one_and_is_told_once() {
    let now = Instant::now();
    let mut known = after([found(&["192.0.2.1"], 60)], now);
    let later = now + Duration::from_secs(60);
    let settings = config::Dns::default();
    for (lookup, told) in [(failed(), true), (found(&[], 60), false), (failed(), false)] {
        assert_eq!(known.settle(lookup, &settings, later).is_some(), told);
        serves(known.word(known.ended - 1, later, later), &["192.0.2.1"]);
        assert_eq!(known.until, Some(later + settings.min_ttl.0), "asked again soon");
    }
    known.settle(found(&["192.0.2.2"], 60), &settings, later);
    serves(known.word(known.ended, later, later), &["192.0.2.2"]);
    assert!(known.settle(failed(), &settings, later + TOO_OLD).is_none());
    assert!(matches!(known.word(known.ended - 1, later, later + TOO_OLD), Word::Fail(_)), "a day is enough");
}

#[test]
fn a_name_without_an_answer_is_an_error_for_those_who_waited_and_who_comes_soon() {
    let now = Instant::now();
    let known = after([failed()], now);
    assert!(matches!(known.word(0, now, now), Word::Fail(_)));
    assert!(matches!(known.word(1, now, now), Word::Fail(_)), "a flood of requests is no flood of questions");
    let later = now + UNANSWERED;
    assert!(matches!(known.word(1, later, later), Word::Wait(None)), "whoever comes later asks again");
}

#[test]
fn a_family_that_was_not_heard_of_keeps_its_addresses() {
    let now = Instant::now();
    let mut known = after([found(&["2001:db8::1", "192.0.2.1"], 60)], now);
    let half = Found { addresses: ips(&["192.0.2.2"]), ttl: Duration::from_secs(60), lacks: Some(Family::V6) };
    known.settle(Ok(half), &config::Dns::default(), now);
    serves(known.word(2, now, now), &["192.0.2.2", "2001:db8::1"]);
}

#[tokio::test]
async fn one_look_up_serves_all_who_wait() {
    let (resolver, mut lookups) = resolver(config::Dns::default());
    let asking = [resolver.resolve("provider.test", 443), resolver.resolve("provider.test", 80)];
    let answering = async {
        let name = lookups.new.recv().await.unwrap();
        name.wanted.notified().await;
        name.known.send_modify(|known| {
            known.settle(found(&["192.0.2.1"], 60), &config::Dns::default(), Instant::now());
        });
        lookups.new.try_recv().is_err()
    };
    let [first, second] = asking;
    let (first, second, was_one) = tokio::join!(first, second, answering);
    assert_eq!([first.unwrap(), second.unwrap()], [["192.0.2.1:443".parse().unwrap()], ["192.0.2.1:80".parse().unwrap()]]);
    assert!(was_one, "a second name for the same");
}

#[tokio::test]
async fn an_address_is_its_own_answer() {
    let (resolver, _lookups) = resolver(config::Dns::default());
    for ip in ["192.0.2.1", "2001:db8::1"] {
        assert_eq!(resolver.resolve(ip, 443).await.unwrap(), [SocketAddr::new(ip.parse().unwrap(), 443)]);
        assert!(resolver.follow(ip).is_none());
    }
}
