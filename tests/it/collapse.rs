//! Equal requests at the same time share one call: each gets every byte of it, none waits for another, and what ends it
//! early ends it for all alike.

mod bounds;
mod changes;
mod failures;
mod joins;
mod leaving;

use serde_json::Value;

use crate::{
    cache::{ASK, CACHED, CHAT, STORED, STREAMED, answer, ask, cached, events, reply, stored, stream},
    support::{Client, Gate, Provider, Script, Setup, Sidegate, client::Reply, eventually, within},
};

/// A stream that has said its first event and says the rest when the story opens `go`, an event at each opening.
struct Held {
    events: [String; 4],
    begun: Gate,
    go: Gate,
}

impl Held {
    fn saying(says: &str) -> Self {
        Self { events: events(says), begun: Gate::new(), go: Gate::new() }
    }

    /// What everybody has got when it is held.
    fn first(&self) -> &str {
        &self.events[0]
    }

    fn whole(&self) -> String {
        self.events.concat()
    }

    fn script(&self) -> Script {
        let [first, rest @ ..] = &self.events;
        let begun = Script::sse().chunk(first).tell(&self.begun);
        rest.iter().fold(begun, |script, event| script.wait(&self.go).chunk(event)).end()
    }

    /// The same, which holds even its head back.
    fn silent_script(&self) -> Script {
        let begun = Script::on_request().tell(&self.begun).wait(&self.go);
        let begun = begun.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        self.events.iter().fold(begun, |script, event| script.chunk(event)).end()
    }
}

/// So many workers, a cache, and what else is said; each request is sent once.
async fn house(workers: usize, sections: &str) -> (Provider, Sidegate) {
    let provider = Provider::start().await;
    let cached = if sections.contains("cache:") { "" } else { CACHED };
    let setup = Setup::of(provider.address, "breaker: off, http_version: \"1.1\"").more_workers(workers - 1);
    let sidegate = setup.section("retry: { attempts: 1 }").section(cached).section(sections).start().await;
    (provider, sidegate)
}

/// One who has asked and reads nothing yet.
async fn asking_with(sidegate: &Sidegate, fields: &str, body: &str) -> Client {
    let mut client = Client::connect(sidegate.address).await;
    client.post_with(CHAT, &format!("Content-Type: application/json\r\n{fields}"), body).await;
    client
}

async fn asking(sidegate: &Sidegate) -> Client {
    asking_with(sidegate, "", STREAMED).await
}

/// One who has asked and got this, and leaves it unread.
async fn following(sidegate: &Sidegate, mark: &str) -> Client {
    let mut client = asking(sidegate).await;
    sees(&mut client, mark).await;
    client
}

/// Waits until this has come, and leaves it unread.
async fn sees(client: &mut Client, mark: &str) {
    let coming = async {
        while memchr::memmem::find(&client.wire.buffer, mark.as_bytes()).is_none() {
            assert_ne!(client.wire.fill().await.unwrap(), 0, "the connection ends before {mark}");
        }
    };
    within(mark, coming).await;
}

/// Waits until all that these `count` clients have sent has been looked at: nothing tells how many wait for a call, but a worker
/// takes connections in turn, and each worker has answered others that came later.
async fn under_way(sidegate: &Sidegate, count: u32) {
    sidegate.metric_becomes("sidegate_downstream_connections", f64::from(count)).await;
    for _ in 0..2 {
        let mut later = Vec::new();
        for _ in 0..8 {
            let mut client = Client::connect(sidegate.address).await;
            client.get_with("/nowhere", "Connection: close\r\n").await;
            later.push(client);
        }
        for client in &mut later {
            assert_eq!(client.reply("GET").await.status(), 404);
        }
    }
    sidegate.metric_becomes("sidegate_downstream_connections", f64::from(count)).await;
}

/// The lines of the log about so many questions, once they are there, and no more than those.
async fn lines(sidegate: &Sidegate, count: usize) -> Vec<Value> {
    let about = || sidegate.log_lines().into_iter().filter(|line| line.contains(CHAT)).collect::<Vec<_>>();
    let lines = eventually("the access log", about, |lines| lines.len() >= count).await;
    assert_eq!(lines.len(), count, "more lines than questions: {lines:#?}");
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many replies say each of these words of the cache.
fn words<const N: usize>(replies: &[Reply], words: [&str; N]) -> [usize; N] {
    words.map(|word| replies.iter().filter(|reply| cached(reply) == word).count())
}
