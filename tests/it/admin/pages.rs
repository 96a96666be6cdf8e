//! `docs/admin.md`: its table names every endpoint, and its commands work.

use std::collections::BTreeSet;

use sidegate::{server::admin::endpoint::Endpoint, types::Secret};

use super::{
    ask,
    description::{document, flaws, operation},
    settled,
};
use crate::{
    project::files::read,
    support::{Client, Provider, Script, Sidegate},
};

const TOKEN: &str = "canary-token-0123456789";

#[test]
fn its_table_names_every_endpoint() {
    let page = read("docs/admin.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')?.0.split_once(' '));
    let named: BTreeSet<_> = rows.filter(|(method, _)| ["GET", "POST"].contains(method)).collect();
    let served = Endpoint::ALL.map(|endpoint| (if endpoint.changes() { "POST" } else { "GET" }, endpoint.path()));
    assert_eq!(named, served.into());
}

/// Method, path and fields of a line that begins with `curl`.
fn command(line: &str) -> (&str, &str, String) {
    let method = line.split_once("-X ").map_or("GET", |(_, rest)| rest.split(' ').next().unwrap());
    let path = line.split_once("http://127.0.0.1:8081").expect("every command asks the address that is the default").1;
    let field = line.split_once("-H \"").map_or("", |(_, rest)| rest.split('"').next().unwrap());
    let field = field.replace("$SIDEGATE_ADMIN_TOKEN", TOKEN);
    (method, path, if field.is_empty() { String::new() } else { field + "\r\n" })
}

#[tokio::test]
async fn its_commands_are_answered_as_described() {
    let (document, provider, page) = (document(), Provider::always(Script::ok("served")).await, read("docs/admin.md"));
    let config = |token: &str| {
        format!(
            r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0"{token} }}
providers: {{ openai: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: abc }}] }} }}
routes: [{{ path: /v1, targets: [openai] }}]
"#
        )
    };
    // The id on the page is that of this key.
    assert_eq!(Secret::new("abc".to_owned()).fingerprint().to_string(), "ba7816bf8f01");
    let open = Sidegate::start(&config(""), provider.address).await;
    let guarded = Sidegate::start(&config(&format!(", token: {TOKEN}")), provider.address).await;
    let mut client = Client::connect(open.address).await;
    client.get_with("/v1/models", "X-Request-Id: req_5d41402abc4b2a76b9719d91\r\n").await;
    client.reply("GET").await;
    settled(&open, 1).await;
    let mut asked = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("curl ")) {
        let (method, path, fields) = command(line);
        let reply = ask(if fields.is_empty() { open.admin } else { guarded.admin }, method, path, &fields).await;
        assert!((200..300).contains(&reply.status()), "{line}: {} {}", reply.status(), reply.text());
        let named = [("openai.ba7816bf8f01", "{id}"), ("req_5d41402abc4b2a76b9719d91", "{request_id}"), ("/openai/", "/{provider}/")];
        let described = named.iter().fold(path.split('?').next().unwrap().to_owned(), |path, (id, name)| path.replace(id, name));
        if reply.head.get("content-type").unwrap().starts_with("application/json") {
            let answer = &operation(&document, &described, method)["responses"][reply.status().to_string()];
            assert_eq!(flaws(&document, &answer["content"]["application/json"]["schema"], &reply.json(), line), [""; 0]);
        }
        asked.insert(described);
    }
    let untold = Endpoint::ALL.into_iter().map(Endpoint::path).filter(|path| !asked.contains(*path));
    assert_eq!(untold.collect::<Vec<_>>(), ["/livez", "/readyz"], "probes are asked by other programs");
}
