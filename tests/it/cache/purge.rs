//! What an operator may throw away: a client's answers, a model's, or all of them; and what is left then.

use super::*;

/// Asks for the answers of both clients to both models; which of them came from the cache.
async fn hits(sidegate: &Sidegate) -> Vec<(usize, &'static str)> {
    let mut hits = Vec::new();
    for n in 0..2 {
        for model in ["gpt-4o", "gpt-4.1"] {
            let only = format!("{}Cache-Control: only-if-cached\r\n", credential(n));
            if ask_with(sidegate, &only, &ASK.replace("gpt-4o", model)).await.status() == 200 {
                hits.push((n, model));
            }
        }
    }
    hits
}

/// With an answer to each of two clients of each of two models.
async fn filled() -> (Provider, Sidegate) {
    let (provider, sidegate) = house(&clients(&["gold", "gold"])).await;
    for (kept, (n, model)) in [(0, "gpt-4o"), (0, "gpt-4.1"), (1, "gpt-4o"), (1, "gpt-4.1")].into_iter().enumerate() {
        provider.script(reply(model));
        ask_with(&sidegate, &credential(n), &ASK.replace("gpt-4o", model)).await;
        stored(&sidegate, u32::try_from(kept + 1).unwrap()).await;
    }
    (provider, sidegate)
}

#[tokio::test]
async fn what_is_purged_is_asked_for_again_and_nothing_else_is() {
    for (what, purged, left) in [
        ("client=client-0", 2, vec![(1, "gpt-4o"), (1, "gpt-4.1")]),
        ("model=gpt-4o", 2, vec![(0, "gpt-4.1"), (1, "gpt-4.1")]),
        ("model=gpt-4", 0, vec![(0, "gpt-4o"), (0, "gpt-4.1"), (1, "gpt-4o"), (1, "gpt-4.1")]),
        ("client=client", 0, vec![(0, "gpt-4o"), (0, "gpt-4.1"), (1, "gpt-4o"), (1, "gpt-4.1")]),
        ("all=true", 4, vec![]),
    ] {
        let (mut provider, sidegate) = filled().await;
        assert_eq!(hits(&sidegate).await.len(), 4);
        let told = sidegate.tell_admin(&format!("/cache/purge?{what}")).await;
        assert_eq!((told.status(), told.json()["purged"].as_u64()), (200, Some(purged)), "{what}: {}", told.text());
        assert_eq!(hits(&sidegate).await, left, "{what}");
        sidegate.metric_becomes("sidegate_cache_entries", left.len() as f64).await;
        assert_eq!(provider.new_requests().len(), 4);
        // What is gone may come again.
        provider.script(reply("again"));
        let target = if left.contains(&(0, "gpt-4o")) { OTHER } else { ASK };
        assert_eq!(cached(&ask_with(&sidegate, &credential(0), target).await), "miss", "{what}");
        stored(&sidegate, 5).await;
        assert_eq!(cached(&ask_with(&sidegate, &credential(0), target).await), "hit", "{what}");
    }
}

#[tokio::test]
async fn a_purge_that_does_not_say_of_what_purges_nothing() {
    let (_provider, sidegate) = filled().await;
    for what in ["", "?", "?all", "?all=false", "?client=", "?everything=true", "?client=client-0&model=gpt-4o"] {
        let told = sidegate.tell_admin(&format!("/cache/purge{what}")).await;
        assert!(matches!(told.status(), 400..=422), "{what}: {} {}", told.status(), told.text());
    }
    // Asking is not telling.
    assert_eq!(sidegate.ask_admin("/cache/purge?all=true").await.status(), 405);
    assert_eq!(hits(&sidegate).await.len(), 4);
}

/// A call that goes on is none of what is kept: who follows it goes on, and so does what comes of it.
#[tokio::test]
async fn a_purge_disturbs_nobody_who_reads() {
    let (provider, sidegate) = house("").await;
    let go = crate::support::Gate::new();
    let [first, rest @ ..] = events("one");
    provider.script(Script::sse().chunk(&first).wait(&go).chunk(&rest.concat()).end());
    let mut client = Client::connect(sidegate.address).await;
    client.post(CHAT, STREAMED).await;
    let head = client.head().await;
    assert_eq!(head.status(), 200);
    assert_eq!(sidegate.tell_admin("/cache/purge?all=true").await.status(), 200);
    go.open();
    client.until("[DONE]").await;
    // What was asked before the purge is forgotten as well, once it is there.
    provider.script(Script::sse().chunk(&first).chunk(&rest.concat()).end());
    let again = ask(&sidegate, STREAMED).await;
    assert_eq!((cached(&again).as_str(), again.text()), ("miss", format!("{first}{}", rest.concat())));
}
