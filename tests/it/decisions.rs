//! Why a request went where it went: each attempt with its key, its end and what it cost, for whoever asks by its id.

use serde_json::Value;

use crate::support::{Client, Provider, Refused, Script, Setup};

const DOWN: &str = r#"{"error":{"message":"The server is overloaded.","type":"server_error","param":null,"code":null}}"#;
const REVOKED: &str =
    r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;

/// Of each attempt: provider, key, cause, status, and whether it was sent.
fn tried(decision: &Value) -> Vec<[String; 5]> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all = decision["tried"].as_array().unwrap_or_else(|| panic!("{decision:#}"));
    all.iter().map(|step| ["provider", "key_name", "cause", "status", "sent"].map(|field| word(&step[field]))).collect()
}

fn steps<const N: usize>(steps: [[&str; 5]; N]) -> Vec<[String; 5]> {
    steps.map(|step| step.map(str::to_owned)).to_vec()
}

#[tokio::test]
async fn each_attempt_is_told_with_its_key_and_what_became_of_it() {
    let (first, second) = (Provider::always(Script::json("401 Unauthorized", REVOKED)).await, Provider::start().await);
    second.script(Script::json("503 Service Unavailable", DOWN));
    second.script(Script::ok("served"));
    let setup =
        Setup::default().provider("first", first.address, "").provider("second", second.address, "").target("first").target("second");
    let sidegate = setup.start().await;
    let decision = sidegate.decision(&sidegate.chat("gpt-4o").await).await;
    assert_eq!((&decision["route"], &decision["model"], &decision["status"]), (&"/v1".into(), &"gpt-4o".into(), &200.into()));
    let expected = [
        ["first", "first", "invalid_key", "401", "answered"],
        ["second", "second", "overloaded", "503", "answered"],
        ["second", "second", "served", "200", "answered"],
    ];
    assert_eq!(tried(&decision), steps(expected), "{decision:#}");
}

#[tokio::test]
async fn whether_it_was_sent_is_told() {
    let (refused, second) = (Refused::new(), Provider::always(Script::on_request().close()).await);
    let setup =
        Setup::default().provider("first", refused.address, "").provider("second", second.address, "").target("first").target("second");
    let sidegate = setup.start().await;
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!(reply.status(), 502);
    let decision = sidegate.decision(&reply).await;
    let sent: Vec<_> = tried(&decision).into_iter().map(|[provider, _, cause, _, sent]| [provider, cause, sent]).collect();
    assert_eq!(sent, [["first", "unreachable", "no"], ["second", "no_reply", "unanswered"]], "{decision:#}");
    assert_eq!((&decision["end"], &decision["error"]), (&"rejected".into(), &"upstream_failed".into()));
}

/// What the provider was asked equals what is told, whatever went wrong.
#[tokio::test]
async fn what_is_told_adds_up_to_what_the_provider_was_asked() {
    let mut provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, "breaker: off").section("retry: { floor: 100 }").start().await;
    let mut told = 0;
    for round in 0..30 {
        let scripts = match round % 5 {
            0 => vec![Script::ok("served")],
            1 => vec![Script::json("503 Service Unavailable", DOWN), Script::ok("served")],
            2 => vec![Script::on_request().close()],
            3 => vec![Script::json("400 Bad Request", "{}")],
            _ => vec![Script::sse().chunk("data: {\"choices\":[]}\n\n").close()],
        };
        scripts.into_iter().for_each(|script| provider.script(script));
        let reply = sidegate.chat("gpt-4o").await;
        told += tried(&sidegate.decision(&reply).await).iter().filter(|[.., sent]| sent != "no").count();
    }
    assert_eq!((told, provider.new_requests().len()), (36, 36));
}

#[tokio::test]
async fn the_last_ones_are_listed_and_an_id_of_nobodys_is_404() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let reply = sidegate.chat("gpt-4o").await;
        ids.push(reply.head.get("x-request-id").unwrap());
        sidegate.decision(&reply).await;
    }
    let listed = sidegate.admin_json("/decisions?last=3").await;
    let listed: Vec<_> = listed["decisions"].as_array().unwrap().iter().map(|decision| decision["request_id"].as_str().unwrap()).collect();
    assert_eq!(listed, [&ids[4], &ids[3], &ids[2]]);
    assert_eq!(sidegate.ask_admin("/decisions/nobodys").await.status(), 404);
    assert!(!sidegate.ask_admin("/decisions?last=5").await.text().contains("sk-"), "no key is told");
}

#[tokio::test]
async fn a_request_of_which_nothing_was_sent_is_told_too() {
    let provider = Provider::always(Script::json("503 Service Unavailable", DOWN)).await;
    let sidegate = Setup::of(provider.address, "").section("retry: { attempts: 1 }").start().await;
    sidegate.chats("gpt-4o", 5).await;
    let mut client = Client::connect(sidegate.address).await;
    let reply = client.chat("gpt-4o").await;
    let decision = sidegate.decision(&reply).await;
    assert_eq!((&decision["tried"][0]["sent"], &decision["tried"][0]["stopped"]), (&"no".into(), &"open".into()), "{decision:#}");
}
