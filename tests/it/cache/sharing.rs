//! Who may be answered with what another has asked: by default nobody, and never with what was the other's alone.

use super::*;
use crate::support::{H2Client, h2_client, proxy::POOL_KEY};

/// As many clients as there may be tenants.
const TENANTS: usize = 50;

#[tokio::test]
async fn fifty_clients_with_the_same_question_get_fifty_answers() {
    let (mut provider, sidegate) = house(&clients(&["free"; TENANTS])).await;
    for n in 0..TENANTS {
        provider.script(reply(&format!("for {n}")));
        let got = ask_with(&sidegate, &credential(n), ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(&format!("for {n}")), "miss"));
        // The next one comes when this answer can be had.
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
    }
    assert_eq!(provider.new_requests().len(), TENANTS);
    for n in (0..TENANTS).rev() {
        let got = ask_with(&sidegate, &credential(n), ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(&format!("for {n}")), "hit"));
    }
    assert_eq!(provider.asked(), TENANTS);
}

#[tokio::test]
async fn fifty_clients_at_once_get_fifty_answers() {
    let mut provider = Provider::always(stream("one")).await;
    let sidegate = Sidegate::with(&format!("{CACHED}{}", clients(&["free"; TENANTS])), provider.address).await;
    let mut connections = Vec::new();
    for n in 0..TENANTS {
        let mut client = Client::connect(sidegate.address).await;
        client.post_with(CHAT, &format!("Content-Type: application/json\r\n{}", credential(n)), STREAMED).await;
        connections.push(client);
    }
    for client in &mut connections {
        let got = client.reply("POST").await;
        assert_eq!((got.status(), cached(&got).as_str()), (200, "miss"));
    }
    assert_eq!(provider.new_requests().len(), TENANTS);
    stored(&sidegate, u32::try_from(TENANTS).unwrap()).await;
}

#[tokio::test]
async fn a_tier_shares_where_the_operator_says_so_and_no_other_tier_does() {
    let sections = format!("cache: {{ ttl: 10m, scope: tier }}\n{}", clients(&["gold", "gold", "silver", "gold"]));
    let (provider, sidegate) = house(&sections).await;
    provider.script(reply("for gold"));
    provider.script(reply("for silver"));
    let (mut words, mut kept) = (Vec::new(), 0);
    for (n, tier) in [(0, "gold"), (1, "gold"), (2, "silver"), (3, "gold"), (2, "silver")] {
        let got = ask_with(&sidegate, &credential(n), ASK).await;
        assert_eq!(got.text(), answer(&format!("for {tier}")));
        words.push(cached(&got));
        kept += u32::from(cached(&got) == "miss");
        stored(&sidegate, kept).await;
    }
    assert_eq!(words, ["miss", "hit", "miss", "hit", "hit"]);
}

#[tokio::test]
async fn everybody_shares_where_the_operator_says_so() {
    let tenants = clients(&["gold", "silver"]).replace("anonymous: deny", "anonymous: free");
    let (mut provider, sidegate) = house(&format!("cache: {{ ttl: 10m, scope: all }}\n{tenants}")).await;
    provider.script(reply("for all"));
    for (fields, word) in [(credential(0), "miss"), (credential(1), "hit"), (String::new(), "hit"), (credential(0), "hit")] {
        let got = ask_with(&sidegate, &fields, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer("for all"), word));
        stored(&sidegate, 1).await;
    }
    assert_eq!(provider.new_requests().len(), 1);
}

#[tokio::test]
async fn strangers_are_told_apart_by_their_addresses() {
    let (mut provider, sidegate) = house("trust: { proxies: [loopback] }\nclients: { anonymous: free }\n").await;
    let addresses = ["203.0.113.1", "203.0.113.2", "2001:db8:1:1::1", "2001:db8:1:2::1"];
    for (n, address) in addresses.into_iter().enumerate() {
        provider.script(reply(address));
        let got = ask_with(&sidegate, &format!("X-Forwarded-For: {address}\r\n"), ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(address), "miss"));
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
    }
    // One household has a network of its own.
    for (address, like) in [("203.0.113.1", "203.0.113.1"), ("2001:db8:1:1:2::3", "2001:db8:1:1::1")] {
        let got = ask_with(&sidegate, &format!("X-Forwarded-For: {address}\r\n"), ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(like), "hit"));
    }
    assert_eq!(provider.new_requests().len(), addresses.len());
}

#[tokio::test]
async fn callers_who_bring_the_providers_key_are_told_apart_by_it() {
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "http://$UPSTREAM/v1" } }
routes: [{ path: /v1, targets: [scripted], credentials: client }]
cache: { ttl: 10m }
"#;
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::start(config, provider.address).await;
    let credentials = [
        "Authorization: Bearer sk-one\r\n",
        "Authorization: Bearer sk-two\r\n",
        "Authorization: Bearer sk-one\r\nOpenAI-Organization: org-b\r\n",
        "Authorization: Bearer sk-one\r\nOpenAI-Project: proj-b\r\n",
        "Authorization: Bearer sk-on\r\n",
        "",
    ];
    for (n, fields) in credentials.into_iter().enumerate() {
        provider.script(reply(&n.to_string()));
        let got = ask_with(&sidegate, fields, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(&n.to_string()), "miss"), "{fields}");
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
    }
    for (n, fields) in credentials.into_iter().enumerate() {
        let got = ask_with(&sidegate, fields, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(&n.to_string()), "hit"), "{fields}");
    }
    assert_eq!(provider.new_requests().len(), credentials.len());
}

/// What a provider says of the call, of the caller and of the account that paid for it.
const PRIVATE: &str = "Set-Cookie: session=of-the-first\r\nX-Request-Id: req-of-the-first\r\nRequest-Id: of-the-first\r\nCF-Ray: of-the-first\r\n\
    OpenAI-Organization: of-the-first\r\nOpenAI-Processing-Ms: 471147\r\nX-Ratelimit-Remaining-Requests: 471147\r\n\
    X-Ratelimit-Reset-Tokens: 471147ms\r\nAnthropic-Ratelimit-Tokens-Remaining: 471147\r\nX-Echo: $KEY\r\nRetry-After: 471147\r\n\
    Server-Timing: of-the-first;dur=1\r\nETag: \"of-the-first\"\r\nX-Not-Yet-Invented: of-the-first\r\nAlt-Svc: of-the-first\r\n";

#[tokio::test]
async fn what_was_the_first_callers_own_is_not_told_to_the_second() {
    for body in [ASK, STREAMED] {
        let sections = format!("cache: {{ ttl: 10m, scope: all }}\n{}", clients(&["gold", "gold"]));
        let (provider, sidegate) = house(&sections).await;
        let private = PRIVATE.replace("$KEY", POOL_KEY);
        let fields = format!("OpenAI-Version: 2020-10-01\r\nContent-Language: en\r\n{private}");
        let whole = if body == ASK { answer("one") } else { events("one").concat() };
        let media = if body == ASK { "application/json" } else { "text/event-stream" };
        let length = whole.len();
        provider
            .script(Script::reply(format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\n{fields}Content-Length: {length}\r\n\r\n{whole}")));
        let first = ask_with(&sidegate, &credential(0), body).await;
        // It is the first one's reply: nothing of it is kept back from its own caller.
        assert_eq!(first.head.get("x-not-yet-invented").as_deref(), Some("of-the-first"));
        stored(&sidegate, 1).await;
        let second = ask_with(&sidegate, &credential(1), body).await;
        assert_eq!(cached(&second), "hit");
        assert_same(&first, &second);
        assert_eq!(second.head.get("openai-version").as_deref(), Some("2020-10-01"));
        assert_eq!(second.head.get("content-language").as_deref(), Some("en"));
        let ours = first.head.get("x-request-id").unwrap();
        let told = second.head.fields.iter().map(|(name, value)| [name.as_slice(), b": ", value].concat()).collect::<Vec<_>>().concat();
        let told = String::from_utf8(told).unwrap();
        for mark in ["of-the-first", "471147", POOL_KEY, "set-cookie", ours.as_str()] {
            assert!(!told.to_ascii_lowercase().contains(&mark.to_ascii_lowercase()), "{mark} in {told}");
        }
    }
}

#[tokio::test]
async fn nor_is_it_told_over_http_2() {
    let (provider, sidegate) = house("").await;
    let private = PRIVATE.replace("$KEY", POOL_KEY);
    provider.script(Script::json_with("200 OK", &private, &answer("one")));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    let second = H2Client::connect(sidegate.address).await.ask(h2_client::post(CHAT, ASK)).await;
    assert_eq!(second.text(), answer("one"));
    let told = format!("{:?}", second.headers);
    assert!(!told.contains("of-the-first") && !told.contains("471147") && !told.contains(POOL_KEY), "{told}");
}

/// Nor of what the store tells an operator.
#[tokio::test]
async fn no_key_and_no_prompt_is_told_of_the_store() {
    let secret = "a-prompt-that-is-nobodys-business";
    let (provider, sidegate) = house(&clients(&["gold"])).await;
    provider.script(Script::json_with("200 OK", &format!("X-Echo: {POOL_KEY}\r\n"), &answer("a-reply-that-is-nobodys-business")));
    ask_with(&sidegate, &credential(0), &ASK.replace("hi", secret)).await;
    stored(&sidegate, 1).await;
    for page in ["/cache", "/metrics", "/config", "/decisions"] {
        let told = sidegate.ask_admin(page).await.text();
        for hidden in [POOL_KEY, "sg-0", "nobodys-business"] {
            assert!(!told.contains(hidden), "{hidden} at {page}");
        }
    }
}

#[tokio::test]
async fn what_the_provider_sees_of_credentials_tells_callers_apart_also_where_another_route_has_a_pool() {
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "http://$UPSTREAM/v1", keys: [{ value: $KEY }] } }
routes:
  - { path: /v1, models: ["claude-*"], targets: [scripted] }
  - { path: /v1, targets: [scripted], credentials: client }
cache: { ttl: 10m }
"#;
    let provider = Provider::start().await;
    let sidegate = Sidegate::start(config, provider.address).await;
    for (n, fields) in
        ["Authorization: Bearer sk-one\r\n", "Authorization: Bearer sk-two\r\n", "Cookie: a=1\r\n", ""].into_iter().enumerate()
    {
        provider.script(reply(&n.to_string()));
        let got = ask_with(&sidegate, fields, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(&n.to_string()), "miss"), "{fields}");
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
    }
}
