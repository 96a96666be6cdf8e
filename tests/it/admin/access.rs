//! Who may look, and who may change something.

use super::{THREE_KEYS, ask, code, key};
use crate::support::{Client, Provider, Script, Sidegate};

const TOKEN: &str = "canary-token-0123456789";

/// With a token, at this address.
async fn guarded(provider: &Provider, address: &str) -> Sidegate {
    let admin = format!("admin: {{ address: \"{address}\", token: {TOKEN} }}");
    Sidegate::start(&THREE_KEYS.replace("admin: { address: \"127.0.0.1:0\" }", &admin), provider.address).await
}

#[tokio::test]
async fn with_a_token_set_nothing_is_changed_without_it() {
    let provider = Provider::start().await;
    let sidegate = guarded(&provider, "127.0.0.1:0").await;
    let path = format!("/keys/{}/disable", key(&sidegate, "first").await["id"].as_str().unwrap());
    for (fields, status, told) in [
        ("", 401, "token_required"),
        ("Authorization: Basic Y2FuYXJ5\r\n", 401, "token_required"),
        ("Authorization: Bearer canary-token-012345678\r\n", 401, "token_wrong"),
        ("Authorization: Bearer canary-token-01234567890\r\n", 401, "token_wrong"),
        ("Authorization: Bearer \r\n", 401, "token_required"),
    ] {
        for path in [
            path.as_str(),
            "/reload",
            "/nowhere",
            "/keys/x/reset",
            "/breakers/scripted/open",
            "/breakers/scripted/reset",
            "/cache/purge?all=true",
        ] {
            let reply = ask(sidegate.admin, "POST", path, fields).await;
            assert_eq!((reply.status(), code(&reply).as_str()), (status, told), "{path} {fields}");
            assert!(reply.head.get("www-authenticate").unwrap().starts_with("Bearer"));
        }
    }
    assert_eq!(key(&sidegate, "first").await["state"], "active");
    // Whoever looks needs none.
    assert_eq!(ask(sidegate.admin, "GET", "/health", "").await.status(), 200);
    let fields = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(sidegate.admin, "POST", &path, &fields).await.json()["state"], "disabled");
    assert_eq!(ask(sidegate.admin, "POST", "/reload", &fields).await.status(), 200);
}

#[tokio::test]
async fn where_other_machines_can_ask_nothing_is_changed_until_there_is_a_token() {
    let provider = Provider::start().await;
    let open =
        Sidegate::start(&THREE_KEYS.replace("admin: { address: \"127.0.0.1:0\" }", "admin: { address: \"0.0.0.0:0\" }"), provider.address)
            .await;
    let here = ([127, 0, 0, 1], open.admin.port()).into();
    for fields in ["", "Authorization: Bearer canary-token-0123456789\r\n"] {
        let reply = ask(here, "POST", "/reload", fields).await;
        assert_eq!((reply.status(), code(&reply).as_str()), (403, "changes_need_token"));
    }
    assert_eq!(ask(here, "GET", "/readyz", "").await.status(), 200);
    let guarded = guarded(&provider, "0.0.0.0:0").await;
    let here = ([127, 0, 0, 1], guarded.admin.port()).into();
    assert_eq!(ask(here, "POST", "/reload", &format!("Authorization: Bearer {TOKEN}\r\n")).await.status(), 200);
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::start(THREE_KEYS, provider.address).await;
    let own = format!("Origin: http://{}\r\n", sidegate.admin);
    for (fields, status) in [
        ("", 200),
        (own.as_str(), 200),
        ("Sec-Fetch-Site: none\r\n", 200),
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: http://127.0.0.1:1\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
        ("Host: rebound.example\r\nOrigin: http://rebound.example\r\n", 403),
    ] {
        let reply = ask(sidegate.admin, "POST", "/reload", fields).await;
        assert_eq!(reply.status(), status, "{fields}");
        if status == 403 {
            assert_eq!(code(&reply), if fields.starts_with("Host") { "host_not_allowed" } else { "origin_not_allowed" });
        }
    }
    // What a form of another page sends, with cookies or without.
    let form = "Origin: http://evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n";
    assert_eq!(ask(sidegate.admin, "POST", "/reload", form).await.status(), 403);
}

#[tokio::test]
async fn only_post_changes_anything_and_what_is_not_there_says_so() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::start(THREE_KEYS, provider.address).await;
    let disable = format!("/keys/{}/disable", key(&sidegate, "first").await["id"].as_str().unwrap());
    for (method, path, allow) in [
        ("GET", "/reload", "POST"),
        ("GET", &disable, "POST"),
        ("PUT", "/reload", "POST"),
        ("POST", "/stats", "GET,HEAD"),
        ("DELETE", "/keys", "GET,HEAD"),
        ("POST", "/breakers", "GET,HEAD"),
        ("GET", "/breakers/scripted/open", "POST"),
        ("POST", "/decisions/x", "GET,HEAD"),
    ] {
        let reply = ask(sidegate.admin, method, path, "").await;
        assert_eq!((reply.status(), code(&reply).as_str()), (405, "method_not_allowed"), "{method} {path}");
        assert_eq!(reply.head.get("allow").as_deref(), Some(allow), "{method} {path}");
    }
    assert_eq!(key(&sidegate, "first").await["state"], "active");
    for path in ["/nowhere?canary", "/v1/models", "/keys/x", "/config/"] {
        let reply = ask(sidegate.admin, "GET", path, "").await;
        assert_eq!((reply.status(), code(&reply).as_str()), (404, "not_found"), "{path}");
        assert!(!reply.text().contains("canary"));
    }
    for id in ["scripted.000000000000", "scripted", "other.ba7816bf8f01", "%2e%2e", "%ff%fe", "canary"] {
        let reply = ask(sidegate.admin, "POST", &format!("/keys/{id}/disable"), "").await;
        assert_eq!((reply.status(), code(&reply).as_str()), (404, "key_not_found"), "{id}");
        assert!(!reply.text().contains("canary"));
    }
}

#[tokio::test]
async fn no_answer_is_kept_guessed_at_or_run() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::start(THREE_KEYS, provider.address).await;
    for (method, path, fields) in [
        ("GET", "/config", ""),
        ("GET", "/nowhere", ""),
        ("GET", "/livez", ""),
        ("POST", "/stats", ""),
        ("GET", "/keys", "Host: a.example\r\n"),
    ] {
        let reply = ask(sidegate.admin, method, path, fields).await;
        assert_eq!(reply.head.get("cache-control").as_deref(), Some("no-store"), "{path}");
        assert_eq!(reply.head.get("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        assert!(reply.head.get("content-security-policy").unwrap().contains("default-src 'none'"), "{path}");
        assert_eq!(reply.head.get("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn neither_the_token_nor_a_key_is_in_any_answer() {
    let provider = Provider::always(Script::on_request().close()).await;
    let sidegate = guarded(&provider, "127.0.0.1:0").await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models?q=canary").await;
    client.reply("GET").await;
    let fields = format!("Authorization: Bearer {TOKEN}\r\n");
    let mut told = String::new();
    for path in [
        "/health",
        "/stats",
        "/keys",
        "/breakers",
        "/cache",
        "/decisions",
        "/config",
        "/metrics",
        "/autoscaling",
        "/openapi.json",
        "/nowhere",
        "/readyz",
    ] {
        let reply = ask(sidegate.admin, "GET", path, &fields).await;
        assert!(reply.status() == 200 || path == "/nowhere", "{path}");
        told += &reply.text();
    }
    for path in ["/reload", "/keys/scripted.canary/disable", "/stats"] {
        told += &ask(sidegate.admin, "POST", path, &fields).await.text();
        told += &ask(sidegate.admin, "POST", path, "Authorization: Bearer canary-canary-canary\r\n").await.text();
    }
    told += &sidegate.stop().concat();
    assert!(!told.contains("canary"), "{told}");
    assert!(told.contains("\"token\":\"[secret]\""), "{told}");
}
