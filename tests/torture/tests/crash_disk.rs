//! The crash disk keeps what it promises: what was synced survives, what was not may go in any way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tally_torture::crash_disk::{Content, CrashDisk, Device, FileData, Names, Owner, ROOT, SECTOR_BYTES};

const OWNER: Owner = Owner { mode: 0o644, uid: 0, gid: 0 };

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn file(device: &mut Device, text: &str) -> u64 {
    device.create(ROOT, name(text), Content::File(FileData::default()), OWNER).unwrap()
}

fn read(device: &Device, ino: u64) -> Vec<u8> {
    device.model().unwrap().read(ino, 0, usize::MAX).unwrap().to_vec()
}

#[test]
fn what_was_synced_survives_every_cut() {
    for seed in 0..200 {
        let mut device = Device::new(seed);
        let ino = file(&mut device, "a");
        device.write(ino, 0, b"durable").unwrap();
        device.sync(ino).unwrap();
        device.sync(ROOT).unwrap();
        device.write(ino, 7, &[1; 3_000]).unwrap();
        device.turn_on();
        let bytes = read(&device, ino);
        assert_eq!(&bytes[..7], b"durable");
        assert!(bytes[7..].iter().all(|byte| *byte <= 1), "only what was written, or zeros");
    }
}

#[test]
fn unsynced_writes_are_lost_torn_and_reordered() {
    let (mut lost, mut torn, mut newer_alone) = (0, 0, 0);
    for seed in 0..400 {
        let mut device = Device::new(seed);
        let ino = file(&mut device, "a");
        device.sync(ROOT).unwrap();
        device.write(ino, 0, &[1; 4 * SECTOR_BYTES]).unwrap();
        device.write(ino, 4 * SECTOR_BYTES as u64, &[2; SECTOR_BYTES]).unwrap();
        device.turn_on();
        let bytes = read(&device, ino);
        let kept: Vec<bool> = bytes.chunks(SECTOR_BYTES).map(|sector| sector[0] != 0).collect();
        assert!(bytes.chunks(SECTOR_BYTES).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        let first = kept.iter().take(4).filter(|kept| **kept).count();
        lost += u32::from(first == 0);
        torn += u32::from(0 < first && first < 4);
        newer_alone += u32::from(first < 4 && kept.get(4) == Some(&true));
    }
    assert!(
        lost > 20 && torn > 20 && newer_alone > 20,
        "{lost} lost, {torn} torn, {newer_alone} newer alone"
    );
}

#[test]
fn a_move_is_whole_or_not_at_all() {
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let mut device = Device::new(seed);
        let dir = device.create(ROOT, name("d"), Content::Directory(Names::default()), OWNER).unwrap();
        let (old, new) = (file(&mut device, "a"), file(&mut device, "a.new"));
        device.sync(ROOT).unwrap();
        device.rename((ROOT, name("a.new")), (ROOT, name("a"))).unwrap();
        device.rename((ROOT, name("a")), (dir, name("b"))).unwrap();
        device.turn_on();
        let model = device.model().unwrap();
        let found = (model.find(Path::new("a")).ok(), model.find(Path::new("d/b")).ok());
        assert!(found.0.is_some_and(|ino| ino == old || ino == new) || found.1 == Some(new), "{found:?}");
        seen.insert(found);
    }
    assert!(seen.len() >= 3, "{seen:?}");
}

#[test]
fn a_failed_sync_loses_bytes_that_the_next_one_does_not_bring_back() {
    let mut lost = 0;
    for seed in 0..50 {
        let mut device = Device::new(seed);
        let ino = file(&mut device, "a");
        device.sync(ROOT).unwrap();
        device.faults.failing_syncs = 1;
        device.write(ino, 0, b"bytes").unwrap();
        assert!(device.sync(ino).is_err());
        device.sync(ino).unwrap();
        assert_eq!(read(&device, ino), b"bytes", "programs go on seeing it");
        device.turn_on();
        lost += u32::from(read(&device, ino).is_empty());
    }
    assert!((10..40).contains(&lost), "{lost} of 50");
}

#[test]
fn a_full_disk_takes_a_part_and_then_nothing() {
    let mut device = Device::new(1);
    let ino = file(&mut device, "a");
    device.faults.capacity_bytes = Some(10);
    assert_eq!(device.write(ino, 0, &[1; 16]).unwrap(), 10);
    assert!(device.write(ino, 10, &[1; 6]).is_err());
    assert_eq!(device.write(ino, 0, &[2; 10]).unwrap(), 10, "what overwrites needs no room");
}

#[test]
fn nothing_works_after_the_cut_and_its_instant_is_exact() {
    let mut device = Device::new(1);
    let ino = file(&mut device, "a");
    device.cut_after(2);
    device.write(ino, 0, b"1").unwrap();
    device.sync(ino).unwrap();
    assert!(device.write(ino, 1, b"2").is_err());
    assert!(!device.is_on() && device.model().is_err() && device.sync(ino).is_err());
}

proptest! {
    /// One seed, one history: what survives is the same in every run.
    #[test]
    fn a_seed_gives_one_outcome(seed: u64, writes in prop::collection::vec((0u64..5_000, 1usize..3_000), 1..12)) {
        let survivor = || {
            let mut device = Device::new(seed);
            let ino = file(&mut device, "a");
            device.sync(ROOT).unwrap();
            for (number, (offset, length)) in writes.iter().enumerate() {
                device.write(ino, *offset, &vec![u8::try_from(number).unwrap() + 1; *length]).unwrap();
                if number % 4 == 3 {
                    device.sync(ino).unwrap();
                }
            }
            device.turn_on();
            read(&device, ino)
        };
        prop_assert_eq!(survivor(), survivor());
    }
}

#[test]
fn programs_can_work_on_it_and_meet_what_a_cut_left() {
    let directory = tempfile::tempdir().unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_torture"));
    let disk = CrashDisk::start(&program, directory.path(), 4).unwrap();
    let path = |text: &str| directory.path().join(text);
    fs::create_dir(path("d")).unwrap();
    let mut kept = File::create(path("d/kept")).unwrap();
    kept.write_all(&[7; 100_000]).unwrap();
    kept.sync_all().unwrap();
    for parent in ["d", ""] {
        File::open(path(parent)).unwrap().sync_all().unwrap();
    }
    kept.set_len(50).unwrap();
    fs::write(path("lost"), "x").unwrap();
    fs::hard_link(path("lost"), path("linked")).unwrap();
    std::os::unix::fs::symlink("lost", path("symbolic")).unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);
    fs::rename(path("linked"), path("d/moved")).unwrap();
    fs::remove_file(path("symbolic")).unwrap();
    drop(kept);
    disk.cut_after(0).unwrap();
    assert!(File::create(path("too-late")).is_err() && !disk.is_on().unwrap());
    disk.cycle_power().unwrap();
    let mut bytes = Vec::new();
    File::open(path("d/kept")).unwrap().read_to_end(&mut bytes).unwrap();
    assert!(bytes == [7; 100_000] || bytes == [7; 50], "{} bytes", bytes.len());
    assert!(!path("too-late").exists());
    disk.set_capacity(200_000).unwrap();
    let full = fs::write(path("big"), [1; 200_001]).unwrap_err();
    assert_eq!(full.raw_os_error(), Some(28));
    disk.outlive_process().unwrap();
    assert!(path("big").exists(), "the death of a process loses nothing");
    fs::write(path("d/kept"), "again").unwrap();
    disk.fail_syncs(1).unwrap();
    assert!(File::open(path("d/kept")).unwrap().sync_all().is_err());
}
