//! One proxy as a process of its own, plain or under a tool that counts; and what the kernel says of it.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::proxies::{self, Programs, Proxy};

/// What a process runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Under {
    Nothing,
    /// Counts instructions in user mode.
    Callgrind,
    /// Counts system calls of all threads.
    Strace,
}

/// A running proxy; dropping it ends it.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
    under: Under,
    folder: TempDir,
}

impl Process {
    /// Starts `proxy` and waits until it listens.
    pub(crate) fn start(proxy: Proxy, programs: &Programs, provider: SocketAddr, under: Under) -> io::Result<Self> {
        let process = Self::launch(proxy, programs, provider, under)?;
        process.wait_until_it_listens(proxy)?;
        Ok(process)
    }

    /// Starts it and waits for nothing.
    pub(crate) fn launch(proxy: Proxy, programs: &Programs, provider: SocketAddr, under: Under) -> io::Result<Self> {
        let (folder, address) = (tempfile::tempdir()?, free_port()?);
        let words = proxies::command(proxy, programs, address, provider, folder.path())?;
        let mut all = match under {
            Under::Nothing => Vec::new(),
            Under::Callgrind => {
                vec![
                    "valgrind".into(),
                    "--quiet".into(),
                    "--tool=callgrind".into(),
                    format!("--callgrind-out-file={}", counts(folder.path())),
                ]
            }
            // As a grandchild, so that the process is the proxy itself.
            Under::Strace => ["strace", "-D", "-f", "-c", "-o", &counts(folder.path())].map(str::to_owned).to_vec(),
        };
        all.extend(words);
        // The access log is written, and costs nothing to keep.
        let mut command = Command::new(&all[0]);
        command.args(&all[1..]).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(folder.path().join("stderr"))?);
        let child = command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", all[0])))?;
        Ok(Self { address, child, under, folder })
    }

    fn wait_until_it_listens(&self, proxy: Proxy) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > deadline {
                let said = fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
                return Err(io::Error::other(format!("{} does not listen: {said}", proxy.name())));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Time on a processor until now, in user mode and in the kernel, of all threads.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread that ends meanwhile is none of those that work.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanoseconds += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Resident bytes now.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or(io::ErrorKind::InvalidData)?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)?;
        Ok(kibibytes * 1024)
    }

    /// Ends it, and says how much was counted from its start on. What was counted is kept in `keep`, if that is given.
    pub(crate) fn count(mut self, keep: Option<&Path>) -> io::Result<u64> {
        self.end();
        let file = PathBuf::from(counts(self.folder.path()));
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let counted = match self.under {
                Under::Callgrind => instructions(&text),
                Under::Strace => calls(&text),
                Under::Nothing => None,
            };
            if let Some(counted) = counted {
                if let Some(keep) = keep {
                    fs::copy(&file, keep)?;
                }
                return Ok(counted);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("nothing was counted"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self) {
        let asked = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0)).map(|pid| kill_process(pid, Signal::TERM));
        let deadline = Instant::now() + Duration::from_secs(if asked.is_some() { 20 } else { 0 });
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn counts(folder: &Path) -> String {
    folder.join("counts").to_string_lossy().into_owned()
}

/// The total at the end of callgrind's file.
fn instructions(text: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

/// The sum of the calls of strace's table: `% time, seconds, usecs/call, calls, errors, syscall`.
fn calls(text: &str) -> Option<u64> {
    let total = text.lines().find(|line| line.ends_with(" total"))?;
    total.split_whitespace().nth(3)?.parse().ok()
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
