//! A proxy as a process of its own: signals, what the kernel says of it, what it wrote, how it ended.

use std::{
    fs,
    fs::File,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tokio::time::sleep;

/// A running process and its folder; dropping it ends it, as far as one process goes.
pub(crate) struct Process {
    child: Child,
    words: Vec<String>,
    folder: PathBuf,
    keep: bool,
}

impl Process {
    /// Starts a program; what it writes stands in `folder`, as `stderr` and, if that is kept, as `stdout`.
    pub(crate) fn start(words: &[String], folder: &Path, keep: bool) -> Self {
        Self { child: spawn(words, folder, keep), words: words.to_vec(), folder: folder.to_owned(), keep }
    }

    pub(crate) async fn listens_at(&mut self, address: SocketAddr) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "it does not listen: {ended:?} {}", self.written("stderr"));
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What it wrote to `stdout` or `stderr`.
    pub(crate) fn written(&self, to: &str) -> String {
        fs::read_to_string(self.folder.join(to)).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has an id");
        kill_process(pid, signal).expect("a child of ours takes signals");
    }

    /// How it ended, within this time.
    pub(crate) async fn ends_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait().expect("a child can be asked") {
                None if Instant::now() > deadline => return None,
                None => sleep(Duration::from_millis(1)).await,
                ended => return ended,
            }
        }
    }

    /// Kills it, and starts it anew with the same words.
    pub(crate) fn start_anew(&mut self) {
        self.kill();
        self.child = spawn(&self.words, &self.folder, self.keep);
    }

    /// Resident bytes now.
    pub(crate) fn resident(&self) -> u64 {
        status(self.child.id(), "VmRSS:")
    }

    /// The most that was resident since [`Self::forget_peak`].
    pub(crate) fn peak(&self) -> u64 {
        status(self.child.id(), "VmHWM:")
    }

    /// Lets the peak start anew from what is resident now (`proc(5)`, `clear_refs`).
    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("a child's peak can be reset");
    }

    /// It and its children.
    pub(crate) fn processes(&self) -> usize {
        1 + self.children().len()
    }

    fn children(&self) -> Vec<i32> {
        let id = self.child.id();
        let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
    }

    fn kill(&mut self) {
        let children = self.children();
        let _ = self.child.kill();
        let _ = self.child.wait();
        for child in children.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(child, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(words: &[String], folder: &Path, keep: bool) -> Child {
    let to = |name: &str| File::options().create(true).append(true).open(folder.join(name)).expect("a file in a folder of ours");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(if keep { to("stdout").into() } else { Stdio::null() }).stderr(to("stderr"));
    command.spawn().unwrap_or_else(|error| panic!("{}: {error}", words[0]))
}

/// A size in `/proc/PID/status`, in bytes.
fn status(id: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a running child has a status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a child has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") * 1024
}
