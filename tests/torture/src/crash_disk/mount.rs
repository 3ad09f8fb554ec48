//! Mounting and unmounting.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::device::Device;
use super::requests::Requests;

/// A program that dies may need a moment to let go of its files.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// After so many pauses the mount is taken away under whoever still holds files.
const BUSY_PAUSES_MAX: u32 = 400;

/// A mounted device. Dropping it unmounts; the device stays.
#[derive(Debug)]
pub struct Mount {
    device: Arc<Mutex<Device>>,
    path: PathBuf,
    session: Option<BackgroundSession>,
}

impl Mount {
    /// Shows a device at an empty directory. Root needs nothing but `/dev/fuse`; others need `fusermount3`.
    ///
    /// # Errors
    /// Where this machine does not let us mount; the text says what to do.
    pub fn new(device: Arc<Mutex<Device>>, path: &Path) -> anyhow::Result<Self> {
        let session = Some(spawn(&device, path)?);
        Ok(Self { device, path: path.to_path_buf(), session })
    }

    /// The device behind it.
    #[must_use]
    pub fn device(&self) -> &Arc<Mutex<Device>> {
        &self.device
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts the power, if it is not off yet, and turns it on again. Programs must have let go of their files.
    ///
    /// # Errors
    /// Where it cannot be mounted again.
    pub fn cycle_power(&mut self) -> anyhow::Result<()> {
        self.remount(Device::turn_on)
    }

    /// The same for the death of a process alone: nothing is lost, and nothing has become more durable.
    ///
    /// # Errors
    /// Where it cannot be mounted again.
    pub fn outlive_process(&mut self) -> anyhow::Result<()> {
        self.remount(Device::go_on)
    }

    fn remount(&mut self, change: fn(&mut Device)) -> anyhow::Result<()> {
        self.device.lock().turn_off();
        // the kernel's own copies go with the mount
        self.unmount();
        change(&mut self.device.lock());
        self.session = Some(spawn(&self.device, &self.path)?);
        Ok(())
    }

    fn unmount(&mut self) {
        let Some(session) = self.session.take() else { return };
        let ended = if self.unmount_ourselves() { session.join() } else { session.umount_and_join() };
        if let Err(error) = ended {
            eprintln!("the crash disk at {} did not end well: {error}", self.path.display());
        }
    }

    /// Unmounts as root; others leave that to `fusermount3`.
    fn unmount_ourselves(&self) -> bool {
        for _ in 0..BUSY_PAUSES_MAX {
            match unmount(&self.path, UnmountFlags::empty()) {
                Ok(()) => return true,
                Err(Errno::BUSY) => std::thread::sleep(BUSY_PAUSE),
                Err(_) => return false,
            }
        }
        unmount(&self.path, UnmountFlags::FORCE | UnmountFlags::DETACH).is_ok()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn spawn(device: &Arc<Mutex<Device>>, path: &Path) -> anyhow::Result<BackgroundSession> {
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::FSName("crash-disk".to_owned()), MountOption::DefaultPermissions];
    // a database server runs as another user; only root may allow that without asking the machine's configuration
    config.acl = if rustix::process::geteuid().is_root() { SessionACL::All } else { SessionACL::Owner };
    fuser::spawn_mount(Requests::new(Arc::clone(device)), path, &config).with_context(|| {
        format!(
            "cannot mount the crash disk at {}: this needs /dev/fuse (load the kernel module fuse; in a container \
             allow the device and CAP_SYS_ADMIN), and fusermount3 (package fuse3) unless you are root",
            path.display()
        )
    })
}
