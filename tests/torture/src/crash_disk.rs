//! A disk in memory that loses what was not synced when its power is cut.
//!
//! [`Model`] says what survives, [`Device`] puts a power switch and faults before it, and [`Mount`] shows it as a file
//! system (FUSE), so that any program can run on it: cut the power, let the program die of its errors, mount again.
//! [`CrashDisk`] is that in a process of its own.

mod device;
mod model;
#[cfg(target_os = "linux")]
mod mount;
mod names;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod requests;
mod sparse;
mod survival;

pub use device::{Device, Faults};
pub use model::{Content, FileData, Ino, Inode, Model, Names, Owner, ROOT};
#[cfg(target_os = "linux")]
pub use mount::Mount;
#[cfg(target_os = "linux")]
pub use process::{CrashDisk, serve};
pub use survival::SECTOR_BYTES;
