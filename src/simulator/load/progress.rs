//! The bar that shows how far the load has come, on a terminal alone.

use std::{rc::Rc, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, interval};

use super::user::Shared;

/// How often it is drawn anew.
const PERIOD: Duration = Duration::from_millis(200);

/// The bar's length: finer than any terminal is wide.
const WHOLE: u64 = 1000;

/// Draws until it is dropped, and is gone from the screen then. It never resolves.
pub(super) async fn show(sites: &[Rc<Shared>], visible: bool) {
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = Bar(ProgressBar::with_draw_target(Some(WHOLE), target));
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} [{bar:30}] {msg}") {
        bar.0.set_style(style.progress_chars("=> "));
    }
    let mut ticks = interval(PERIOD);
    let mut before = 0;
    loop {
        ticks.tick().await;
        let (ended, failed) = sites
            .iter()
            .map(|site| site.tally.borrow())
            .fold((0, 0), |(ended, failed), tally| (ended + tally.ended(), failed + tally.failed()));
        let now = Instant::now();
        let progress = sites.iter().map(|site| site.schedule.progress(now)).sum::<f64>() / sites.len() as f64;
        bar.0.set_position((progress * WHOLE as f64) as u64);
        bar.0.set_message(format!("{ended} done, {failed} failed, {:.0}/s", (ended - before) as f64 / PERIOD.as_secs_f64()));
        before = ended;
    }
}

/// Clears its line on drop: the report stands alone.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
