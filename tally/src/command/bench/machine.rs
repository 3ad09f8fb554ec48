//! What the measurements ran on, and how much processor time processes used: all from `/proc`.

use anyhow::Context;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Units of processor time in `/proc`: the kernel has told programs 100 a second on every architecture of ours.
const TICKS_A_SECOND: f64 = 100.0;

/// A server is quiet when it uses less than this part of a core for so long.
const QUIET_SHARE: f64 = 0.05;
const QUIET_LOOK: Duration = Duration::from_millis(500);

/// At most so long a server is given to become quiet.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(120);

/// Processor, memory, kernel, and the file system that holds `dir`.
pub(super) fn describe(dir: &Path) -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let cpu = read("/proc/cpuinfo");
    json!({
        "processor": field(&cpu, "model name"),
        "cores": cpu.lines().filter(|line| line.starts_with("processor")).count(),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "fileSystem": file_system(&read("/proc/self/mounts"), dir),
        "loadAverageAtStart": read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
    })
}

/// The type of the mount with the longest path that `dir` is in.
pub(super) fn file_system(mounts: &str, dir: &Path) -> Option<String> {
    let of_line = |line: &str| {
        let mut words = line.split(' ');
        let (path, kind) = (words.nth(1)?.to_owned(), words.next()?.to_owned());
        dir.starts_with(&path).then_some((path.len(), kind))
    };
    mounts.lines().filter_map(of_line).max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

/// Processor seconds of a process so far, in user and kernel mode.
pub(super) fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("the server has ended")?;
    let (_, ticks) = parent_and_ticks(&stat).context("/proc says something unknown")?;
    Ok(ticks / TICKS_A_SECOND)
}

/// Processor seconds of a process and all its descendants so far.
fn tree_cpu_seconds(root: u32) -> f64 {
    let mut processes: HashMap<u32, (u32, f64)> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(found) = parent_and_ticks(&stat) {
            processes.insert(process, found);
        }
    }
    let is_below = |mut process: u32| {
        // no process is its own ancestor; a bound all the same
        for _ in 0..processes.len() {
            if process == root {
                return true;
            }
            let Some((parent, _)) = processes.get(&process) else { return false };
            process = *parent;
        }
        false
    };
    processes
        .iter()
        .filter(|(process, _)| is_below(**process))
        .map(|(_, (_, ticks))| ticks / TICKS_A_SECOND)
        .sum()
}

/// Fields 4, 14 and 15; the name before them may hold anything, so they are counted from its end.
fn parent_and_ticks(stat: &str) -> Option<(u32, f64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((fields.get(1)?.parse().ok()?, number(11)? + number(12)?))
}

/// Waits until a server and its children have nothing to do any more, and tells how long that took.
pub(super) async fn until_quiet(process: u32) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < QUIET_WAIT_MAX {
        let before = tree_cpu_seconds(process);
        sleep(QUIET_LOOK).await;
        if (tree_cpu_seconds(process) - before) / QUIET_LOOK.as_secs_f64() < QUIET_SHARE {
            break;
        }
    }
    begun.elapsed().saturating_sub(QUIET_LOOK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_read() {
        let stat = "7 (a) b) S 3 7 7 0 -1 0 1 2 3 4 150 50 9 9 20 0 1";
        assert_eq!(parent_and_ticks(stat), Some((3, 200.0)));
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
        assert!(tree_cpu_seconds(std::process::id()) >= 0.0);
    }

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /srv tmpfs rw 0 0\n/dev/b /srv/x xfs rw 0 0";
        assert_eq!(file_system(mounts, Path::new("/srv/x/y")).as_deref(), Some("xfs"));
        assert_eq!(file_system(mounts, Path::new("/srv/xy")).as_deref(), Some("tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/opt")).as_deref(), Some("ext4"));
    }
}
