//! What callers are told of their limits: in a refusal, and beside every reply; and what of the provider's they are not told.

mod refusals;
mod standings;

use crate::support::{Client, Sidegate, client::Reply, wire::Head};

/// What is read of one reply.
fn fields<const N: usize>(head: &Head, names: [&str; N]) -> [Option<String>; N] {
    names.map(|name| head.get(name))
}

fn texts<const N: usize>(fields: [&str; N]) -> [Option<String>; N] {
    fields.map(|field| Some(field.to_owned()))
}

/// Asks once, on a connection of its own.
async fn ask(sidegate: &Sidegate, target: &str) -> Reply {
    let mut client = Client::connect(sidegate.address).await;
    client.get(target).await;
    client.reply("GET").await
}

/// A limit for everybody together, as `limits:` has it.
fn limits(limits: &str) -> String {
    format!("limits: [{limits}]\n")
}
