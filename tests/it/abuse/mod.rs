//! Hostile input, from both sides: a malformed request reaches no provider, a malformed reply reaches no other
//! caller, and whoever comes next is served.

mod h2_frames;
mod h2_requests;
mod replies;
mod requests;
mod smuggling;

use crate::support::{Client, Provider, Script, Sidegate};

/// A provider that answers `served`, and Sidegate before it.
async fn served() -> (Provider, Sidegate) {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::before(provider.address).await;
    (provider, sidegate)
}

/// Asks for something harmless on a fresh connection; what went wrong, if something did.
async fn next_caller(sidegate: &Sidegate) -> Option<String> {
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    match client.answer("GET").await {
        Ok(reply) if reply.status() == 200 && reply.text() == "served" => None,
        Ok(reply) => Some(format!("the next caller got {}: {}", reply.status(), reply.text())),
        Err(instead) => Some(format!("the next caller got {instead}")),
    }
}
