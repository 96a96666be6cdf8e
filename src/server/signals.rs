//! The signals of the process, and what each asks for.
//!
//! | signal | what it asks for |
//! | --- | --- |
//! | SIGTERM | a drain as configured; where one is under way (`POST /drain`), that one goes on |
//! | SIGINT | a drain without its delay: somebody sits at the terminal |
//! | either once more | the end, now |
//! | SIGHUP | a reload |

use std::{io, sync::Arc};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
};

use super::{
    drain::{Drain, Phase},
    systemd::Notify,
};
use crate::runtime::{Reloader, reload::Trigger};

/// The signals that are listened to. Once it is made, none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// What can happen while the process serves.
#[derive(Clone, Copy, Debug)]
enum Event {
    Terminate,
    Interrupt,
    Hangup,
    /// The drain has begun, whoever asked for it.
    Leaving,
    Over,
}

impl Signals {
    /// Listens. Done before anything else that takes file descriptors: who takes all of them must not find us without these.
    ///
    /// # Errors
    ///
    /// If the system gives no runtime, or no signals.
    pub fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let hangup = signal(SignalKind::hangup())?;
        drop(entered);
        Ok(Self { runtime, interrupt, terminate, hangup })
    }

    /// Does what signals ask for until the drain is over. Whether a second one has ended it.
    #[must_use]
    pub fn attend(self, drain: &Drain, reloader: &Reloader, notify: Notify) -> bool {
        let (notify, reloading) = (&Arc::new(notify), Arc::new(Semaphore::new(2)));
        let Self { runtime, mut interrupt, mut terminate, mut hangup } = self;
        let (mut asked, mut forced, mut told) = (false, false, false);
        loop {
            let event = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = drain.reached(Phase::Over) => Event::Over,
                    () = drain.reached(Phase::Leaving), if !told => Event::Leaving,
                    _ = terminate.recv() => Event::Terminate,
                    _ = interrupt.recv() => Event::Interrupt,
                    _ = hangup.recv() => Event::Hangup,
                }
            });
            match event {
                Event::Terminate | Event::Interrupt if asked => {
                    forced = true;
                    tracing::warn!(signal = event.name(), "ending now");
                    drain.end_now();
                }
                Event::Terminate => drain.begin(),
                Event::Interrupt => drain.begin_without_delay(),
                Event::Hangup => reload(&runtime, reloader, notify, &reloading),
                Event::Leaving => {
                    told = true;
                    notify.stopping();
                }
                Event::Over => {
                    // A reload that hangs is not waited for.
                    runtime.shutdown_background();
                    return forced;
                }
            }
            if let Event::Terminate | Event::Interrupt = event {
                asked = true;
                tracing::info!(signal = event.name(), "asked to end");
            }
        }
    }
}

/// On a thread of its own: a disk that hangs must not keep the next signal from being heard. One waits behind the one that runs,
/// since that may have read already what has changed since; no more wait than that.
fn reload(runtime: &Runtime, reloader: &Reloader, notify: &Arc<Notify>, reloading: &Arc<Semaphore>) {
    let Ok(place) = Arc::clone(reloading).try_acquire_owned() else { return };
    let (reloader, notify) = (reloader.clone(), Arc::clone(notify));
    drop(runtime.spawn_blocking(move || {
        notify.reloading();
        // What became of it is in the log too. A service whose reload was refused is ready all the same.
        let report = reloader.reload(Trigger::Signal);
        notify.ready(&format!("reload {}, generation {}", report.outcome.name(), report.generation));
        drop(place);
    }));
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Hangup => "SIGHUP",
            Self::Leaving => "leaving",
            Self::Over => "over",
        }
    }
}
