//! `sidegate key new`: a client key and what the config says of it.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use aws_lc_rs::rand;
use clap::Args;
use data_encoding::BASE32_NOPAD;
use secrecy::zeroize::Zeroizing;

use super::complain;
use crate::{
    cli::print,
    config::KeyHash,
    types::{ClientName, Tier},
};

/// The bytes of a secret: 160 bits, which nobody finds by trying, so a plain hash of them tells nothing.
const SECRET: usize = 20;

/// The bytes of an id that was not given: 8 letters and digits.
const ID: usize = 5;

/// The longest id, in bytes.
const LONGEST_ID: usize = 32;

/// Whose key it is.
#[derive(Debug, Args)]
pub struct New {
    /// The client's name in logs and limits.
    #[arg(long)]
    name: ClientName,
    /// The client's tier.
    #[arg(long)]
    tier: Tier,
    /// The part of the key that is no secret, by which people know it again: letters in lower case and digits; by default random.
    #[arg(long, value_parser = id)]
    id: Option<String>,
}

/// Prints the key on standard output, so that it can go into a file or a vault and nowhere else, and the config's entry on
/// standard error, where it is seen then. The key is kept nowhere: this is the only time it is shown.
pub(super) fn run(args: &New) -> ExitCode {
    let key = match make(args.id.as_deref()) {
        Ok(key) => key,
        Err(why) => return complain(&why),
    };
    let printed = print(&Zeroizing::new(format!("{}\n", *key)));
    // An entry for a key that nobody has would only stand in the way.
    if printed == ExitCode::SUCCESS {
        // Nobody is left to tell where standard error is closed; the key is made all the same, and its hash can be had from it.
        let _ = io::stderr().lock().write_all(entry(args, &key).as_bytes());
    }
    printed
}

/// `sg-<id>-<secret>`.
fn make(id: Option<&str>) -> Result<Zeroizing<String>, String> {
    let id = match id {
        Some(id) => id.to_owned(),
        None => letters(&*random::<ID>()?).to_string(),
    };
    let secret = letters(&*random::<SECRET>()?);
    Ok(Zeroizing::new(format!("sg-{id}-{}", *secret)))
}

/// What stands below `clients.keys`, with a comment above, so that it can be appended to a file as it is.
fn entry(args: &New, key: &str) -> String {
    let New { name, tier, .. } = args;
    let hash = KeyHash::of(key.as_bytes());
    format!(
        "# Below `clients.keys` in the config; the key itself is shown this once and kept nowhere:\n- {{ name: {}, sha256: {hash}, tier: {} }}\n",
        plain(name.as_str()),
        plain(tier.as_str())
    )
}

/// The one name that YAML would take for nothing.
fn plain(name: &str) -> String {
    if name.eq_ignore_ascii_case("null") { format!("\"{name}\"") } else { name.to_owned() }
}

fn random<const LENGTH: usize>() -> Result<Zeroizing<[u8; LENGTH]>, String> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    rand::fill(&mut *bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(bytes)
}

/// Base32 in lower case (RFC 4648 §6): nothing in it needs escaping, and a double click takes hold of all of it.
fn letters(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(BASE32_NOPAD.encode(bytes));
    text.make_ascii_lowercase();
    text
}

fn id(text: &str) -> Result<String, String> {
    let fine = (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if fine { Ok(text.to_owned()) } else { Err(format!("write 1 to {LONGEST_ID} letters in lower case and digits")) }
}
