//! A crash disk as a process of its own, told what to do by lines on its standard input.
//!
//! Not in the process that uses the mount: one that is killed while its own threads wait for answers of its own file
//! system would never end.

use std::fmt::Debug;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use parking_lot::Mutex;

use super::{Device, Mount};

/// What a [`CrashDisk`] says when it is ready, and after each order.
const DONE: &str = "done";

/// A crash disk in use. Dropping it unmounts.
#[derive(Debug)]
pub struct CrashDisk {
    child: Child,
    answers: Mutex<BufReader<ChildStdout>>,
    path: PathBuf,
}

impl CrashDisk {
    /// Starts `program disk <path> <seed>`, which must call [`serve`].
    ///
    /// # Errors
    /// Where it cannot be mounted; the text says what to do.
    pub fn start(program: &Path, path: &Path, seed: u64) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .arg("disk")
            .args([path.as_os_str(), seed.to_string().as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a crash disk")?;
        let answers = Mutex::new(BufReader::new(child.stdout.take().context("no output")?));
        let disk = Self { child, answers, path: path.to_path_buf() };
        ensure!(disk.answer()? == DONE, "the crash disk is not ready");
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the power last for so many more changes and syncs.
    ///
    /// # Errors
    /// Where the disk's process is gone.
    pub fn cut_after(&self, changes: u64) -> anyhow::Result<()> {
        self.order(&format!("cut-after {changes}")).map(drop)
    }

    /// Whether the power is on.
    ///
    /// # Errors
    /// Where the disk's process is gone.
    pub fn is_on(&self) -> anyhow::Result<bool> {
        Ok(self.order("is-on")? == "true")
    }

    /// Turns the power off and on again; programs must have let go of their files.
    ///
    /// # Errors
    /// Where it cannot be mounted again.
    pub fn cycle_power(&self) -> anyhow::Result<()> {
        self.order("cycle-power").map(drop)
    }

    /// Mounts anew as after the death of a process alone: nothing is lost, and nothing is more durable.
    ///
    /// # Errors
    /// Where it cannot be mounted again.
    pub fn outlive_process(&self) -> anyhow::Result<()> {
        self.order("outlive-process").map(drop)
    }

    /// Begins to fail so many syncs.
    ///
    /// # Errors
    /// Where the disk's process is gone.
    pub fn fail_syncs(&self, count: u32) -> anyhow::Result<()> {
        self.order(&format!("fail-syncs {count}")).map(drop)
    }

    /// Limits the disk to so many bytes.
    ///
    /// # Errors
    /// Where the disk's process is gone.
    pub fn set_capacity(&self, bytes: u64) -> anyhow::Result<()> {
        self.order(&format!("capacity {bytes}")).map(drop)
    }

    /// Lets no more than so many more bytes fit than there are now.
    ///
    /// # Errors
    /// Where the disk's process is gone.
    pub fn leave_room(&self, bytes: u64) -> anyhow::Result<()> {
        self.order(&format!("room {bytes}")).map(drop)
    }

    fn order(&self, line: &str) -> anyhow::Result<String> {
        let mut answers = self.answers.lock();
        let mut orders = self.child.stdin.as_ref().context("no input")?;
        writeln!(orders, "{line}").context("the crash disk is gone")?;
        read_line(&mut answers)
    }

    fn answer(&self) -> anyhow::Result<String> {
        read_line(&mut self.answers.lock())
    }
}

fn read_line(answers: &mut BufReader<ChildStdout>) -> anyhow::Result<String> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    ensure!(!line.is_empty(), "the crash disk is gone: see above for its last words");
    Ok(line.trim().to_owned())
}

impl Drop for CrashDisk {
    fn drop(&mut self) {
        // its input ends, and it with that
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Is the disk, until standard input ends.
///
/// # Errors
/// Where it cannot be mounted, or an order is not understood.
pub fn serve(path: &Path, seed: u64) -> anyhow::Result<()> {
    let mut mount = Mount::new(Arc::new(Mutex::new(Device::new(seed))), path)?;
    println!("{DONE}");
    for line in io::stdin().lines() {
        println!("{}", obey(&mut mount, &line?)?);
    }
    Ok(())
}

fn obey(mount: &mut Mount, line: &str) -> anyhow::Result<String> {
    let mut words = line.split_whitespace();
    let (order, number) = (words.next().unwrap_or_default(), words.next().unwrap_or("0"));
    match order {
        "cut-after" => mount.device().lock().cut_after(number.parse()?),
        "is-on" => return Ok(mount.device().lock().is_on().to_string()),
        "cycle-power" => mount.cycle_power()?,
        "outlive-process" => mount.outlive_process()?,
        "fail-syncs" => mount.device().lock().faults.failing_syncs = number.parse()?,
        "capacity" => mount.device().lock().faults.capacity_bytes = Some(number.parse()?),
        "room" => {
            let mut device = mount.device().lock();
            let used = device.model()?.used_bytes();
            device.faults.capacity_bytes = Some(used.saturating_add(number.parse()?));
        }
        "short-writes" => mount.device().lock().faults.short_writes_percent = number.parse()?,
        _ => bail!(
            "no such order: {line}; there are cut-after, is-on, cycle-power, outlive-process, fail-syncs, capacity, room, short-writes"
        ),
    }
    Ok(DONE.to_owned())
}
