//! Tricks that are to leave something behind for those who ask plainly: none of them stores anything.

mod replies;
mod requests;

use serde_json::Value;

use self::{
    replies::{BAD, Bad},
    requests::{detours, plain, tricks},
};
use super::{
    asking::{CHAT, Told, ask, question, send},
    config, kept,
    scripted::{Answer, Scripted},
    standing,
};
use crate::{admin::Admin, figures::Table, sidegate::Sidegate};

/// What no answer to a plain question may hold: it stands in tricks alone.
const EVIL: &str = "evil";

pub(super) async fn prove(table: &mut Table) {
    bad_replies(table).await;
    bad_requests(table).await;
    elsewhere(table).await;
}

/// Replies that are cut, erroneous or filtered, each to a plain question.
async fn bad_replies(table: &mut Table) {
    let provider = Scripted::start(|request| {
        let asked: Value = serde_json::from_str(request.body).expect("JSON");
        let wanted = asked["messages"][0]["content"].as_str().expect("a prompt");
        let bad = BAD.iter().find(|bad| bad.name == wanted);
        bad.map_or_else(|| Answer::good(request.number, "A good one."), Bad::answer)
    })
    .await;
    let sidegate = Sidegate::of("", &config(provider.address, "cache: {}\n")).await;
    let mut admin = Admin::at(sidegate.admin);
    let (mut stored, mut unasked) = (Vec::new(), Vec::new());
    for bad in &BAD {
        let before = provider.calls();
        for _ in 0..2 {
            ask(sidegate.address, "", &question("gpt-4o-mini", bad.name, bad.is_stream())).await;
        }
        if provider.calls() != before + 2 {
            unasked.push(bad.name);
        }
        if kept(&mut admin).await != (0, 0) {
            stored.push(bad.name);
            admin.ask("POST", "/cache/purge?all=true").await.expect("the admin listener answers");
        }
    }
    let what = |what: &str| format!("{} kinds of bad replies, each asked for twice: {what}", BAD.len());
    table.hold(what("stored"), list(&stored), "0", stored.is_empty());
    table.hold(what("not asked for again"), list(&unasked), "0", unasked.is_empty());
    table.tell(what("why not, by /cache"), &standing(&mut admin).await["not_stored"]);
    ask(sidegate.address, "", &question("gpt-4o-mini", "A good question.", false)).await;
    let (entries, _) = kept(&mut admin).await;
    table.hold(what("stored of a good one behind them"), entries, "1", entries == 1);
}

/// Requests that want to be taken for another, or for more than they are.
async fn bad_requests(table: &mut Table) {
    let provider = Scripted::start(|request| Answer::good(request.number, EVIL)).await;
    let sidegate = Sidegate::of("", &config(provider.address, "cache: {}\n")).await;
    let mut admin = Admin::at(sidegate.admin);
    let (mut stored, tricks) = (Vec::new(), tricks());
    for (name, bytes) in &tricks {
        send(sidegate.address, bytes).await;
        if kept(&mut admin).await.0 > 0 {
            stored.push(&**name);
            admin.ask("POST", "/cache/purge?all=true").await.expect("the admin listener answers");
        }
    }
    let what = |what: &str| format!("{} tricks with methods, ranges, encodings, framing and bodies: {what}", tricks.len());
    table.hold(what("stored"), list(&stored), "0", stored.is_empty());
    table.tell(what("of these, passed on"), provider.calls());
}

/// Requests that name another host, or the path in another way: whoever asks plainly hears nothing of what was said to them.
async fn elsewhere(table: &mut Table) {
    let provider = Scripted::start(|request| {
        let reached = request.head.to_ascii_lowercase().contains(EVIL) || !request.head.starts_with(&format!("POST {CHAT} HTTP/1.1\r\n"));
        Answer::good(request.number, if reached { EVIL } else { "A good one." })
    })
    .await;
    let sidegate = Sidegate::of("", &config(provider.address, "cache: {}\n")).await;
    let mut admin = Admin::at(sidegate.admin);
    let (mut heard, mut stored, detours) = (Vec::new(), Vec::new(), detours());
    for (name, bytes) in &detours {
        let evil = is_evil(&send(sidegate.address, bytes).await);
        if evil && kept(&mut admin).await.0 > 0 {
            stored.push(&**name);
        }
        let told = send(sidegate.address, &plain()).await;
        assert!(told.is_good(), "a plain question is answered: {told:?}");
        if is_evil(&told) {
            heard.push(&**name);
        }
        admin.ask("POST", "/cache/purge?all=true").await.expect("the admin listener answers");
    }
    let what = |what: &str| format!("{} other spellings of path and host: {what}", detours.len());
    table.hold(what("plain questions answered with what they left"), list(&heard), "0", heard.is_empty());
    table.tell(what("stored as questions of their own"), list(&stored));
}

fn is_evil(told: &Told) -> bool {
    told.body.windows(EVIL.len()).any(|window| window == EVIL.as_bytes())
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "0".to_owned() } else { format!("{}: {}", names.len(), names.join(", ").replace("\r\n", " + ")) }
}
