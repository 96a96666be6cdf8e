//! What the process costs, from `/proc` and the control group that it lives in. On other systems than Linux most is absent.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

/// Where Linux mounts control groups, version 2 (cgroups(7)).
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// What the process may use, read once: neither changes while it runs, but by an operator's hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// Processors, in parts of one where the control group says so.
    pub processors: f64,
    /// Bytes of memory: the control group's bound, else what the machine has.
    pub memory: Option<u64>,
    /// When this was read, which is when the proxy started.
    pub since: SystemTime,
}

impl Allowance {
    /// Asks the system.
    #[must_use]
    pub fn read() -> Self {
        let machine = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        let groups = groups(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default(), Path::new(CONTROL_GROUPS));
        let least = |file: &str, parse: fn(&str) -> Option<f64>| {
            let bounds = groups.iter().filter_map(|group| parse(&fs::read_to_string(group.join(file)).ok()?));
            bounds.reduce(f64::min)
        };
        let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kibibytes(&text, "MemTotal:"));
        let bound = least("memory.max", |text| text.trim().parse().ok()).map(|bytes| bytes as u64);
        Self {
            processors: least("cpu.max", quota).map_or(machine, |quota| quota.min(machine)),
            memory: [bound, memory].into_iter().flatten().min(),
            since: SystemTime::now(),
        }
    }
}

/// The control group of the process and all above it: the least of their bounds holds.
fn groups(own: &str, root: &Path) -> Vec<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    // In a namespace of its own a process sees itself below the root, or above it as `/..`.
    let path = if path.split('/').any(|part| part == "..") { "" } else { path };
    root.join(path).ancestors().take_while(|group| group.starts_with(root)).map(Path::to_owned).collect()
}

/// `cpu.max`: `QUOTA PERIOD` in microseconds, or `max PERIOD`.
fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    Some(quota / period).filter(|processors| processors.is_finite() && *processors > 0.0)
}

/// A line of `/proc/meminfo` or `/proc/self/status`, in bytes.
fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field))?.trim().strip_suffix(" kB")?;
    Some(value.trim().parse::<u64>().ok()? << 10)
}

/// Memory of the process that is resident, in bytes.
#[must_use]
pub fn resident() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Processor time that the process has used, over all its threads.
#[must_use]
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// File descriptors that are open.
#[must_use]
pub fn descriptors() -> Option<u64> {
    // The one that lists them is open too.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_bound_of_all_control_groups_above_holds() {
        let root = Path::new("/sys/fs/cgroup");
        assert_eq!(groups("0::/", root), [root]);
        assert_eq!(groups("1:cpu:/a\n0::/a/b\n", root), [root.join("a/b"), root.join("a"), root.to_owned()]);
        assert_eq!(groups("0::/../other", root), [root]);
        assert_eq!(groups("", root), [root]);
    }

    #[test]
    fn a_quota_is_a_number_of_processors() {
        assert_eq!(quota("150000 100000\n"), Some(1.5));
        for text in ["max 100000\n", "", "1 0", "-5 10", "x y"] {
            assert_eq!(quota(text), None, "{text}");
        }
    }

    #[test]
    fn fields_of_proc_are_found() {
        let text = "VmPeak:\t  9 kB\nVmRSS:\t   10240 kB\nThreads:\t4\n";
        assert_eq!(kibibytes(text, "VmRSS:"), Some(10 << 20));
        assert_eq!((kibibytes(text, "Threads:"), kibibytes(text, "VmSwap:")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_very_process_is_told_about() {
        let allowance = Allowance::read();
        assert!(allowance.processors > 0.0 && allowance.memory.unwrap() > 1 << 20);
        assert!(resident().unwrap() > 1 << 20 && descriptors().unwrap() >= 3 && processor_time() > Duration::ZERO);
    }
}
