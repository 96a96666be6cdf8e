use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// A tunnel under way between two ends, each of which holds 64 bytes for a reader.
struct Under {
    client: DuplexStream,
    provider: DuplexStream,
    running: tokio::task::JoinHandle<(End, u64, u64)>,
}

fn under_way(early: &'static str, idle: Duration) -> Under {
    let ((client, client_side), (provider, provider_side)) = (duplex(64), duplex(64));
    Under { client, provider, running: tokio::spawn(carried(client_side, provider_side, early, idle)) }
}

/// How it ended, and how many bytes went up and down.
async fn carried(client: DuplexStream, provider: DuplexStream, early: &'static str, idle: Duration) -> (End, u64, u64) {
    let mut both = Both { up: Flow::new(Bytes::new()), down: Flow::new(Bytes::from_static(early.as_bytes())), first: None };
    let (mut up, mut down) = (0, 0);
    let passed = |sent, received| {
        up += sent;
        down += received;
    };
    let end = both.carry(client, provider, idle, passed).await;
    (end, up, down)
}

async fn read(side: &mut DuplexStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    tokio::time::timeout(Duration::from_secs(10), side.read_exact(&mut bytes)).await.unwrap().unwrap();
    bytes
}

#[tokio::test]
async fn every_byte_passes_both_ways_and_is_counted() {
    let mut tunnel = under_way("early ", LONG);
    let message: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    let (sent, mut received) = (message.clone(), Vec::new());
    tunnel.client.write_all(b"up").await.unwrap();
    assert_eq!(read(&mut tunnel.provider, 2).await, b"up");
    let sending = async {
        tunnel.provider.write_all(&sent).await.unwrap();
        tunnel.provider.shutdown().await.unwrap();
    };
    tokio::join!(sending, async { tunnel.client.read_to_end(&mut received).await.unwrap() });
    assert!(received.strip_prefix(b"early ").is_some_and(|rest| rest == message));
    drop(tunnel.client);
    assert_eq!(tunnel.running.await.unwrap(), (End::Complete, 2, 100_006));
}

#[tokio::test]
async fn who_has_ended_may_still_be_answered() {
    let mut tunnel = under_way("", LONG);
    tunnel.client.write_all(b"last words").await.unwrap();
    tunnel.client.shutdown().await.unwrap();
    let mut heard = String::new();
    tunnel.provider.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "last words");
    tunnel.provider.write_all(b"an answer").await.unwrap();
    drop(tunnel.provider);
    let mut answer = String::new();
    tunnel.client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "an answer");
    assert_eq!(tunnel.running.await.unwrap(), (End::Left, 10, 9));
}

#[tokio::test]
async fn who_stays_when_the_other_has_ended_is_not_waited_for() {
    for (client_ends, end) in [(true, End::Left), (false, End::Complete)] {
        let ((mut client, client_side), (mut provider, provider_side)) = (duplex(64), duplex(64));
        if client_ends {
            client.shutdown().await.unwrap()
        } else {
            provider.shutdown().await.unwrap()
        }
        let carried = carried(client_side, provider_side, "", Duration::from_millis(50));
        assert_eq!(tokio::time::timeout(LINGER * 2, carried).await.unwrap().0, end);
    }
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_ends() {
    let idle = Duration::from_millis(50);
    let ended = |early| async move {
        let ((_client, client_side), (_provider, provider_side)) = (duplex(2), duplex(2));
        carried(client_side, provider_side, early, idle).await.0
    };
    assert_eq!(ended("").await, End::Truncated("idle_timeout"));
    assert_eq!(ended("what the client does not take").await, End::Left);
}

#[tokio::test]
async fn a_provider_that_takes_nothing_is_not_excused_by_what_it_says() {
    let mut tunnel = under_way("", Duration::from_millis(300));
    // Were this not in time, the tunnel would have ended alike.
    let _ = tunnel.client.write_all(&[0; 200]).await;
    let speaking = async { while tunnel.provider.write_all(b"ping").await.is_ok() && tunnel.client.read(&mut [0; 64]).await.is_ok() {} };
    let (_, ended) = tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(speaking, tunnel.running) }).await.unwrap();
    assert_eq!(ended.unwrap().0, End::Truncated("idle_timeout"));
}

#[test]
fn whatever_moves_moves_the_deadline() {
    let (start, idle) = (Instant::now(), LONG);
    let after = |seconds| start + Duration::from_secs(seconds);
    let mut both = Both { up: Flow::new(Bytes::new()), down: Flow::new(Bytes::new()), first: None };
    assert_eq!(both.deadline(after(10), idle), after(70));
    assert_eq!(both.deadline(after(20), idle), after(80));
    both.down.stuck_since = Some(after(5));
    assert_eq!(both.deadline(after(20), idle), after(80), "the listener has its own bound");
    both.up.stuck_since = Some(after(5));
    assert_eq!(both.deadline(after(20), idle), after(65), "the provider takes nothing");
    both.first = Some((Side::Provider, after(20)));
    assert_eq!(both.deadline(after(21), idle), after(20) + LINGER, "the provider has ended");
}

#[tokio::test]
async fn what_waits_for_a_reader_is_bounded() {
    let mut tunnel = under_way("", LONG);
    let written = tokio::time::timeout(Duration::from_millis(500), tunnel.provider.write_all(&[0; 1 << 20])).await;
    assert!(written.is_err(), "all of it was taken");
    let Under { client, provider, running } = tunnel;
    drop(provider);
    // What was taken still arrives.
    let mut taken = Vec::new();
    { client }.read_to_end(&mut taken).await.unwrap();
    assert!((64..=BUFFER + 128).contains(&taken.len()), "{} bytes", taken.len());
    assert_eq!(running.await.unwrap().2, taken.len() as u64);
}
