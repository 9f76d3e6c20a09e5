//! The machine and the process, from /proc. What cannot be read is left out.

use super::text::{Family, Kind, Text};
use rustix::process::{Resource, getrlimit};
use std::fs;

/// Time of all processors, in ticks since the machine's start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processor {
    busy: u64,
    all: u64,
}

/// Fields of `cpu` in /proc/stat that are no work: idle, iowait.
const IDLE: [usize; 2] = [3, 4];
/// Fields that count: those after are parts of them.
const FIELDS: usize = 8;
/// Fields of /proc/self/stat, counted from the one after the name.
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const START_TICKS: usize = 19;
/// Of the times there; Linux gives them in the same unit on x86 and Arm, whatever it counts in itself.
const TICKS_PER_SECOND: f64 = 100.0;

impl Processor {
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
        let ticks: Vec<u64> = ticks.take(FIELDS).map(|ticks| ticks.parse().unwrap_or(0)).collect();
        let all = ticks.iter().sum();
        let idle: u64 = IDLE.iter().filter_map(|at| ticks.get(*at)).sum();
        Self { busy: all - idle, all }
    }
}

/// Processor and memory of the machine. The processor's use is since `last`.
pub fn write_machine(text: &mut Text, last: &mut Processor) {
    let now = Processor::now();
    let (busy, all) = (now.busy.saturating_sub(last.busy), now.all.saturating_sub(last.all));
    *last = now;
    let utilization = if all == 0 { 0.0 } else { busy as f64 / all as f64 };
    gauge(text, "nv_cpu_utilization", "CPU utilization rate [0.0 - 1.0]", utilization);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    if let (Some(total), Some(available)) = (bytes(&memory, "MemTotal:"), bytes(&memory, "MemAvailable:")) {
        gauge(text, "nv_cpu_memory_total_bytes", "CPU total memory (RAM), in bytes", total);
        let used = total.saturating_sub(available);
        gauge(text, "nv_cpu_memory_used_bytes", "CPU used memory (RAM), in bytes", used);
    }
}

/// The process, under the names that Prometheus' own libraries use.
pub fn write_process(text: &mut Text) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before may have blanks and parentheses.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
    if let (Some(user), Some(system)) = (field(USER_TICKS), field(SYSTEM_TICKS)) {
        let help = "Total user and system CPU time spent in seconds.";
        let family = Family { name: "process_cpu_seconds_total", help, kind: Kind::Counter };
        text.family(family).sample(&[], seconds(user + system));
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = bytes(&status, "VmRSS:") {
        gauge(text, "process_resident_memory_bytes", "Resident memory size in bytes.", bytes);
    }
    if let Some(bytes) = bytes(&status, "VmSize:") {
        gauge(text, "process_virtual_memory_bytes", "Virtual memory size in bytes.", bytes);
    }
    if let (Some(ticks), Some(boot)) = (field(START_TICKS), boot_seconds()) {
        let start = boot as f64 + seconds(ticks);
        gauge(text, "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", start);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One is the folder itself.
        let open = files.count().saturating_sub(1);
        gauge(text, "process_open_fds", "Number of open file descriptors.", open);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        gauge(text, "process_max_fds", "Maximum number of open file descriptors.", most);
    }
}

/// The bytes of a field that is given in kB.
fn bytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn boot_seconds() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn gauge(text: &mut Text, name: &'static str, help: &'static str, value: impl std::fmt::Display) {
    text.family(Family { name, help, kind: Kind::Gauge }).sample(&[], value);
}
