//! `limits:`: each counts something, has a name of its own, and says nothing that contradicts itself.

use std::collections::HashMap;

use super::Review;
use crate::{
    config::{
        Config, Limit,
        limits::Per,
        path::{FieldPath, field},
        problem::Fault,
    },
    types::LimitName,
};

/// The most limits of a config: a request is weighed against each that fits.
const MOST: usize = 256;

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    if config.limits.len() > MOST {
        review
            .name(&field!["limits"], Fault::new(format!("more than {MOST} limits"), "count several callers with one limit: `per: client`"));
    }
    let mut seen: HashMap<&LimitName, usize> = HashMap::new();
    for (i, limit) in config.limits.iter().enumerate() {
        let at = field!["limits", i];
        if seen.insert(&limit.name, i).is_some() {
            let fault = Fault::new(format!("two limits have the name `{}`", limit.name), "give each limit a name of its own");
            review.value(&at.then("name"), fault);
        }
        units(review, &at, limit);
        burst(review, &at, limit);
        subjects(review, &at, limit);
    }
}

fn units(review: &mut Review<'_>, at: &FieldPath, limit: &Limit) {
    if limit.units().next().is_none() && review.intact(at) {
        let fix = "say how many there may be: `requests: 10/min`, `tokens: 20k/min`, `concurrent: 2`, `cost: 5 USD/day` or `failed_auth: 5/15min`";
        review.name(at, Fault::new(format!("the limit `{}` limits nothing", limit.name), fix));
    }
    if limit.failed_auth.is_some() {
        let alone = limit.units().count() == 1;
        if !alone || !limit.when.is_everything() || *limit.per != [Per::Ip] {
            let fault = Fault::new(
                "credentials that do not hold say nothing of their client: they are counted by address, for all alike",
                "make it a limit of its own, with `per: ip` and without `when`",
            );
            review.name(&at.then("failed_auth"), fault);
        }
    }
}

fn burst(review: &mut Review<'_>, at: &FieldPath, limit: &Limit) {
    if limit.burst.is_none() {
        return;
    }
    let rates: Vec<_> = [limit.requests, limit.tokens].into_iter().flatten().collect();
    let at = at.then("burst");
    match rates[..] {
        [rate] if rate.window.sliding().is_some() => {}
        [_] => review.name(
            &at,
            Fault::new("a day or a month has no burst: all of it may be used at once", "remove `burst`, or write a rate such as `100/min`"),
        ),
        [] => {
            review.name(&at, Fault::new("there is no rate that this could be the burst of", "add `requests: 100/min`, or remove `burst`"))
        }
        _ => review.name(&at, Fault::new("the burst of which: of `requests` or of `tokens`?", "make two limits of it")),
    }
}

fn subjects(review: &mut Review<'_>, at: &FieldPath, limit: &Limit) {
    let per = &*limit.per;
    let twice = per.iter().enumerate().any(|(i, one)| per[..i].contains(one));
    if twice {
        review.value(&at.then("per"), Fault::new("the same stands there twice", "name each once"));
    } else if per.len() > 1 && per.contains(&Per::All) {
        review.value(&at.then("per"), Fault::new("`all` beside others means nothing", "remove `all`"));
    }
}
