//! Threads with a single-threaded runtime of their own.

use std::{
    io,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use tokio::runtime::{Builder, LocalOptions};

/// Runs `main` to its end on a new thread and its own runtime. What it spawns locally ends with it.
///
/// # Errors
///
/// If the system gives no thread or no runtime.
pub fn spawn<F: Future<Output = ()>>(name: String, main: impl FnOnce() -> F + Send + 'static) -> io::Result<JoinHandle<()>> {
    let (tell, told) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name(name).spawn(move || {
        match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => {
                drop(tell.send(Ok(())));
                runtime.block_on(async { main().await });
            }
            Err(error) => drop(tell.send(Err(error))),
        }
    })?;
    told.recv().map_err(io::Error::other)??;
    Ok(thread)
}
