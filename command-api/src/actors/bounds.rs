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

/// What a piece of a snapshot holds, in things of at most some 160 bytes: below the 512 KiB that an append may have
/// by [`BATCH_BYTES_MAX`], whichever server takes it.
pub(super) const PIECE_WEIGHT: usize = 2_500;

/// Pieces that are encoded ahead of the one that is being appended: so many more are in memory.
pub(super) const PIECES_AHEAD: usize = 1;

/// Pieces that are read at once: some megabytes.
pub(super) const PIECES_PAGE: usize = 16;

/// A state is written whole again when what was added to it since exceeds the whole divided by this, and a piece. So a
/// load reads at most one and a half times what the state holds, and what changes is written some four times in all.
pub(super) const ADDED_SHARE: u64 = 2;

/// Snapshots that are looked at for a usable one; as many as the stream keeps.
pub(super) const SNAPSHOTS_KEPT: usize = 3;
