//! Limits: exact under threads, cheap, small, bounded in a flood, and tokens kept to their rate.
//!
//! What is measured by the memory or the instructions of a whole process runs in a process of its own: this program once more,
//! with `--part`.

mod count;
mod exact;
#[path = "../limits/five.rs"]
mod five;
mod keys;
mod tokens;

use std::process::Command;

use crate::{figures::Table, flag};

pub(crate) fn prove(table: &mut Table) {
    match flag("part", String::new()).as_str() {
        "" => {
            exact::prove(table);
            count::prove(table);
            keys::prove(table);
            tokens::prove(table);
        }
        "exact" => exact::prove(table),
        "count" => count::run(),
        "keys" => keys::run(&flag("row", String::new())),
        "tokens" => tokens::prove(table),
        "flood" => keys::flood(table),
        other => panic!("no part {other}"),
    }
}

/// This program, for a part of it.
fn part(before: &[&str], arguments: &[String]) -> Command {
    let this = std::env::current_exe().expect("a running program has a file");
    let mut command = match before {
        [] => Command::new(this),
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg(this);
            command
        }
    };
    command.arg("limits").args(arguments);
    command
}
