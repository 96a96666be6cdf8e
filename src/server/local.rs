//! Threads with a single-threaded runtime of their own.

use std::{
    io,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use tokio::runtime::{Builder, LocalOptions};

/// Runs `main` to its end on a new thread and its own runtime. What it spawns locally ends with it; what blocks, such as a
/// disk that hangs or the C library's look-up of a name, is not waited for.
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
                runtime.shutdown_background();
            }
            Err(error) => drop(tell.send(Err(error))),
        }
    })?;
    told.recv().map_err(io::Error::other)??;
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn its_end_waits_for_nothing_that_blocks_and_drops_what_it_spawned() {
        let (_hang, hangs) = mpsc::channel::<()>();
        let (held, dropped) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        let thread = spawn("test".to_owned(), || async move {
            tokio::task::spawn_local(async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
            let (begin, begun) = tokio::sync::oneshot::channel();
            tokio::task::spawn_blocking(move || {
                begin.send(()).unwrap();
                hangs.recv()
            });
            begun.await.unwrap();
        })
        .unwrap();
        thread::spawn(move || ended.send(thread.join().is_ok()));
        assert_eq!(end.recv_timeout(Duration::from_secs(10)), Ok(true));
        assert_eq!(dropped.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}
