//! `keys[].requests` and `keys[].tokens`: what an account may have, said once or everywhere alike; and `affinity`, which needs a choice.

use super::Review;
use crate::{
    config::{Affinity, Key, KeySource, Provider, path::FieldPath, problem::Fault},
    types::{Rate, Window},
};

/// No prompt with its reply takes less.
const FEWEST_TOKENS: u64 = 100;

/// A quota's field, and where it stands in what is written and in what is made of it.
type Quota = (&'static str, fn(&KeySource) -> Option<Rate>, fn(&mut Key) -> &mut Option<Rate>);

const QUOTAS: [Quota; 2] =
    [("requests", |source| source.requests, |key| &mut key.requests), ("tokens", |source| source.tokens, |key| &mut key.tokens)];

/// Checks the quotas of a pool, and gives each key what another of its account says; `at` is the path of its `keys`.
pub(super) fn share(review: &mut Review<'_>, at: &FieldPath, sources: &[KeySource], keys: &mut [Key]) {
    for (field, written, kept) in QUOTAS {
        for (i, source) in sources.iter().enumerate() {
            let Some(rate) = written(source) else { continue };
            let here = at.then(i).then(field);
            if !fits(review, &here, field, rate) {
                continue;
            }
            let same = |other: &&KeySource| other.account.is_some() && other.account == source.account;
            let first = sources[..i].iter().filter(same).find_map(written);
            if let Some(first) = first.filter(|first| *first != rate) {
                let fault = Fault::new(
                    format!("another key of the same account says `{first}`, and this one `{rate}`"),
                    "keys of one account share one quota: say it once, for the account as a whole",
                );
                review.value(&here, fault);
            }
        }
        for key in keys.iter_mut().filter(|key| key.account.is_some()) {
            let of_account = sources.iter().filter(|source| source.account == key.account).find_map(written);
            let quota = kept(key);
            *quota = quota.or(of_account);
        }
    }
}

fn fits(review: &mut Review<'_>, at: &FieldPath, field: &str, rate: Rate) -> bool {
    let fault = if rate.window == Window::Month {
        Fault::new("no provider counts by the month", "write what it says for a minute or a day, such as `500/min` or `10000/day`")
    } else if field == "tokens" && rate.amount.get() < FEWEST_TOKENS {
        let fix = "write the number of tokens that the provider says, such as `200k/min`";
        Fault::new(format!("one request takes more than {} tokens, so this key would never be used", rate.amount), fix)
    } else {
        return true;
    };
    review.value(at, fault);
    false
}

/// Refuses an affinity where there is no choice; `at` is the path of the provider. Variables and folders may bring several keys, now or
/// after a reload.
pub(super) fn affinity(review: &mut Review<'_>, at: &FieldPath, provider: &Provider) {
    let several = |source: &KeySource| source.dir.is_some() || source.env.as_ref().is_some_and(|env| env.ends_with('*'));
    let one = provider.keys.len() < 2 && !provider.keys.iter().any(several);
    if one && provider.affinity == Affinity::Prompt && review.intact(&at.then("keys")) {
        let fault = Fault::new("there is nothing to choose among: this provider has one key at most", "add keys, or remove `affinity`");
        review.value(&at.then("affinity"), fault);
    }
}
