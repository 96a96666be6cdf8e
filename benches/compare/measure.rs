//! The groups of figures. In each, the proxies take turns, round after round, so that what else the machine does falls on all of them.

use std::{
    fs, io,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use crate::{
    counted::{self, Load},
    figures::{Figures, What},
    load::{Requests, Streams, Wanted, ask_once},
    process::{Process, Under},
    provider::Provider,
    proxies::{Programs, Proxy},
};

/// Kept-alive connections, and streams, while time is measured.
pub(crate) const CONNECTIONS: [usize; 2] = [64, 8];

/// Requests before it counts, and those that count.
const WARM_UP: usize = 4_000;
const REQUESTS: usize = 40_000;

/// Over all streams.
const EVENTS: usize = 32_000;

/// Requests a second, over how many connections, and how many of them a round.
const RATES: [(u32, usize, usize); 2] = [(200, 1, 600), (2_000, 16, 6_000)];

/// Open streams while memory is measured.
const STREAMS: usize = 2_000;

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// Instructions in user mode, by callgrind.
    Instructions,
    /// System calls, by strace.
    Calls,
    /// Time on a processor, user and system.
    Time,
    /// What a client waits longer than without a proxy.
    Latency,
    /// Resident memory, idle and with open streams.
    Memory,
    /// From exec to the first reply; and the size of the binary.
    Start,
    /// Instructions and time of what Sidegate answers from its cache and the others from the provider.
    Hits,
}

/// What all groups need.
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) provider: Provider,
    pub(crate) rounds: usize,
    /// Where the counting tools' files are kept.
    pub(crate) keep: Option<PathBuf>,
}

impl Bench {
    pub(crate) async fn measure(&self, group: Group, figures: &mut Figures) -> io::Result<()> {
        match group {
            Group::Instructions => self.counted(Under::Callgrind, [What::RequestInstructions, What::EventInstructions], figures).await,
            Group::Calls => self.counted(Under::Strace, [What::RequestCalls, What::EventCalls], figures).await,
            Group::Time => self.time(figures).await,
            Group::Latency => self.latency(figures).await,
            Group::Memory => self.memory(figures).await,
            Group::Start => self.start(figures).await,
            Group::Hits => self.hits(figures).await,
        }
    }

    fn turns(&self) -> impl Iterator<Item = Proxy> {
        (0..self.rounds).flat_map(|_| self.proxies.iter().copied())
    }

    fn run(&self, proxy: Proxy, under: Under) -> io::Result<Process> {
        Process::start(proxy, &self.programs, self.provider.address, under)
    }

    /// All of them, idle until it is their turn.
    fn run_all(&self) -> io::Result<Vec<(Proxy, Process)>> {
        self.proxies.iter().map(|proxy| Ok((*proxy, self.run(*proxy, Under::Nothing)?))).collect()
    }

    async fn counted(&self, under: Under, whats: [What; 2], figures: &mut Figures) -> io::Result<()> {
        for proxy in self.turns() {
            for (what, load) in whats.into_iter().zip([Load::Requests, Load::Events]) {
                let keep = self.keep.as_ref().map(|folder| folder.join(format!("{under:?}-{load:?}-{proxy:?}").to_lowercase()));
                let start = || self.run(proxy, under);
                figures.add(what, proxy, counted::each(start, load, &self.provider, keep).await?);
            }
        }
        Ok(())
    }

    async fn time(&self, figures: &mut Figures) -> io::Result<()> {
        let running = self.run_all()?;
        for _ in 0..self.rounds {
            for (proxy, process) in &running {
                for connections in CONNECTIONS {
                    let each = self.time_of_requests(process, connections, Wanted::Reply).await?;
                    figures.add(What::RequestTime(connections), *proxy, each);

                    let mut streams = Streams::open(connections, process.address, &self.provider).await?;
                    streams.beat(EVENTS / connections / 10).await?;
                    let before = process.processor_time()?;
                    streams.beat(EVENTS / connections).await?;
                    let each = micros(process.processor_time()? - before) / EVENTS as f64;
                    figures.add(What::EventTime(connections), *proxy, each);
                }
            }
        }
        Ok(())
    }

    /// The figures of requests, where Sidegate has its cache on; the bodies that clients get are the same on all sides.
    async fn hits(&self, figures: &mut Figures) -> io::Result<()> {
        let programs = Programs { cached: true, ..self.programs.clone() };
        let start = |proxy, under| Process::start(proxy, &programs, self.provider.address, under);
        let wanted = [Wanted::Reply, Wanted::Recorded];
        for proxy in self.turns() {
            for wanted in wanted {
                let keep = self.keep.as_ref().map(|folder| folder.join(format!("callgrind-hits-{wanted:?}-{proxy:?}").to_lowercase()));
                let each = counted::each(|| start(proxy, Under::Callgrind), Load::Hits(wanted), &self.provider, keep).await?;
                figures.add(What::HitInstructions(wanted), proxy, each);
            }
        }
        let running: Vec<_> = self.proxies.iter().map(|proxy| Ok((*proxy, start(*proxy, Under::Nothing)?))).collect::<io::Result<_>>()?;
        for _ in 0..self.rounds {
            for wanted in wanted {
                for (proxy, process) in &running {
                    for connections in CONNECTIONS {
                        let before = self.provider.answered();
                        let each = self.time_of_requests(process, connections, wanted).await?;
                        if *proxy == Proxy::Sidegate && self.provider.answered() > before + 1 {
                            return Err(io::Error::other("what should be a hit was none"));
                        }
                        figures.add(What::HitTime(wanted, connections), *proxy, each);
                    }
                }
            }
        }
        Ok(())
    }

    /// Microseconds on a processor that each takes.
    async fn time_of_requests(&self, process: &Process, connections: usize, wanted: Wanted) -> io::Result<f64> {
        let mut requests = Requests::over(connections, process.address, wanted).await?;
        requests.run(WARM_UP).await?;
        let before = process.processor_time()?;
        requests.run(REQUESTS).await?;
        Ok(micros(process.processor_time()? - before) / REQUESTS as f64)
    }

    async fn latency(&self, figures: &mut Figures) -> io::Result<()> {
        let running = self.run_all()?;
        for _ in 0..self.rounds {
            for (rate, connections, count) in RATES {
                let paced = async |to| {
                    let mut requests = Requests::over(connections, to, Wanted::Reply).await?;
                    requests.run(WARM_UP / 10).await?;
                    requests.paced(count, f64::from(rate)).await
                };
                let direct = paced(self.provider.address).await?;
                for (proxy, process) in &running {
                    let through = paced(process.address).await?;
                    for percent in [50, 99] {
                        let added = micros(percentile(&through, percent)) - micros(percentile(&direct, percent));
                        figures.add(What::Added(rate, percent), *proxy, added);
                    }
                }
            }
        }
        Ok(())
    }

    async fn memory(&self, figures: &mut Figures) -> io::Result<()> {
        for proxy in self.turns() {
            let process = self.run(proxy, Under::Nothing)?;
            // What is made when it is first needed belongs to the process, not to the streams.
            ask_once(process.address).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let idle = process.resident()?;
            let _streams = Streams::open(STREAMS, process.address, &self.provider).await?;
            let open = process.resident()?;
            figures.add(What::Idle, proxy, idle as f64 / f64::from(1 << 20));
            figures.add(What::Stream, proxy, (open as f64 - idle as f64) / 1024.0 / STREAMS as f64);
        }
        Ok(())
    }

    async fn start(&self, figures: &mut Figures) -> io::Result<()> {
        for proxy in self.turns() {
            let begun = Instant::now();
            let process = Process::launch(proxy, &self.programs, self.provider.address, Under::Nothing)?;
            while let Err(error) = ask_once(process.address).await {
                if begun.elapsed() > Duration::from_secs(20) {
                    return Err(io::Error::new(error.kind(), format!("{} does not answer: {error}", proxy.name())));
                }
                thread::sleep(Duration::from_micros(200));
            }
            figures.add(What::Start, proxy, micros(begun.elapsed()) / 1e3);
        }
        for (proxy, program) in [(Proxy::Sidegate, &self.programs.sidegate), (Proxy::Bare, &self.programs.bare)] {
            if self.proxies.contains(&proxy) {
                figures.add(What::Binary, proxy, fs::metadata(program)?.len() as f64 / f64::from(1 << 20));
            }
        }
        Ok(())
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The duration that `percent` of all do not exceed.
fn percentile(durations: &[Duration], percent: u32) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent as usize).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
