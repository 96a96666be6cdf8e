//! `prices:`: that its file can be read.

use super::Review;
use crate::config::{Config, PriceList, path::field, problem::Fault};

/// The list that `prices.file` names.
pub(super) fn check(review: &mut Review<'_>, config: &Config) -> Option<PriceList> {
    let path = config.prices.as_ref()?.file.as_ref()?;
    review.files.push(path.clone());
    match PriceList::read(path) {
        Ok(list) => Some(list),
        Err(why) => {
            let message = format!("the file `{}` can't be used: {why}", path.display());
            let fix = "give a file in the form of `prices.yaml`: `models: { my-model: { input: 0.15, output: 0.60 } }`";
            review.value(&field!["prices", "file"], Fault::new(message, fix));
            None
        }
    }
}
