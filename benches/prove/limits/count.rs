//! Instructions of a request by callgrind: two runs that differ by nothing but how many requests there are.

use super::{five::Five, part};
use crate::{figures::Table, flag};

const FEW: u64 = 10_000;
const MANY: u64 = 110_000;

pub(crate) fn prove(table: &mut Table) {
    for subjects in [1_000, 100_000] {
        let [few, many] = [FEW, MANY].map(|requests| instructions(subjects, requests));
        table.tell(format!("5 limits, {subjects} subjects: instructions a request"), (many - few) / (MANY - FEW));
    }
}

/// What `--part=count` does.
pub(crate) fn run() {
    let mut five = Five::before(flag("subjects", 1_000));
    (0..flag("requests", FEW)).for_each(|_| five.ask());
}

fn instructions(subjects: u64, requests: u64) -> u64 {
    let arguments = ["--part=count".to_owned(), format!("--subjects={subjects}"), format!("--requests={requests}")];
    let ran =
        part(&["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"], &arguments).output().expect("valgrind is installed");
    let said = String::from_utf8_lossy(&ran.stderr);
    let line = said.lines().find_map(|line| line.split("Collected :").nth(1)).unwrap_or_else(|| panic!("callgrind counts: {said}"));
    line.trim().parse().expect("a number")
}
