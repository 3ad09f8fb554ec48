//! Every bound of the actors, with its reason.

use std::time::Duration;

/// After how many seconds a refused command may come again: a full queue is gone in well under one.
pub const RETRY_AFTER_SECONDS: u64 = 1;

/// Shows in memory at one time: tens of kilobytes each when busy, so some gigabytes at the very most.
pub(super) const ACTORS_MAX: usize = 100_000;

/// An append that takes longer than this is no busy moment: the log is slow or away, and commands that queue behind
/// it would be answered late.
pub(super) const STALL: Duration = Duration::from_secs(2);

/// Commands that may wait for a show while it is stalled.
pub(super) const WAITING_WHILE_STALLED_MAX: usize = 16;

/// How often a command is handed to another actor because the one that it met just left. Actors stay for
/// minutes, so twice in a row is already chance.
pub(super) const SEND_TRIES: usize = 8;

/// Encoded bytes of one append. EventStoreDB before version 26 takes at most 1 MiB by default, with framing.
pub(super) const BATCH_BYTES_MAX: usize = 512 * 1024;

/// How often a batch is decided again after conflicts. Each conflict is another node's success, so this many
/// in a row mean that routing is broken; the client's repeat is then cheaper than more tries here.
pub(super) const DECISIONS_MAX: usize = 16;

/// How often an append of unknown outcome is looked for and appended again.
pub(super) const SETTLE_TRIES_MAX: usize = 32;

/// How long an append of unknown outcome is looked into. Below the 30 s after which the edge gives up on a
/// request, so that the client hears `outcome_unknown` and not a bare timeout.
pub(super) const SETTLE_TIME_MAX: Duration = Duration::from_secs(10);

/// First pause between two such tries; doubles up to [`SETTLE_PAUSE_MAX`].
pub(super) const SETTLE_PAUSE_MIN: Duration = Duration::from_millis(20);

/// Longest pause: a node that fails over is back within some seconds, and should be met soon after.
pub(super) const SETTLE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long one call of the log may take, whatever its client thinks. A healthy one takes milliseconds.
pub(super) const LOG_CALL_MAX: Duration = Duration::from_secs(5);

/// Events that are read at once: some hundred kilobytes.
pub(super) const PAGE: usize = 1_000;

/// Reads for repeats at one time: a storm of repeats must not take the log from first commands.
pub(super) const RECALLS_AT_ONCE: usize = 32;

/// Reactions that are counted in one event, at about 150 bytes each: well below [`BATCH_BYTES_MAX`].
pub(super) const REACTIONS_MAX: usize = 1_000;

/// Snapshots larger than this are not written: the log takes events of at most 16 MiB, and a read of one
/// must stay a fraction of a second.
pub(super) const SNAPSHOT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a command in a snapshot, about; persons take less, or more while they watch.
pub(super) const WEIGHT_BYTES: usize = 180;

/// Commands and persons in a snapshot: what is heavier exceeds [`SNAPSHOT_BYTES_MAX`].
pub(super) const SNAPSHOT_WEIGHT_MAX: usize = SNAPSHOT_BYTES_MAX / WEIGHT_BYTES;

/// A state up to this weight is written in about a millisecond: not worth counting.
pub(super) const LIGHT_WEIGHT: usize = 2_000;

/// How much of a state each event since the last snapshot pays for: with two, a show that is loaded folds at
/// most half as many events as its state remembers commands.
pub(super) const WEIGHT_PER_EVENT: u64 = 2;

/// Snapshots that are looked at for a usable one; as many as the stream keeps.
pub(super) const SNAPSHOTS_KEPT: usize = 3;
