//! What one person sent and received.

use rust_decimal::Decimal;
use std::collections::BTreeMap;

use super::chain::Chain;
use super::frames::Contents;
use super::histogram::Histogram;

/// What was asked for and confirmed.
#[derive(Clone, Debug, Default)]
pub(super) struct Confirmed {
    pub(super) messages: u64,
    pub(super) reactions: u64,
    pub(super) tips: u64,
    pub(super) tipped: Decimal,
    /// Promised, and not paid when they were answered.
    pub(super) tips_pending: u64,
    pub(super) joined: bool,
    pub(super) left: bool,
}

/// What one person saw.
#[derive(Clone, Default)]
pub(super) struct Record {
    pub(super) chain: Chain,
    pub(super) confirmed: Confirmed,
    pub(super) coalesced_frames: u64,
    pub(super) gap_notices: u64,
    pub(super) reconnects: u64,
    pub(super) repeated_requests: u64,
    /// Refused commands, by code.
    pub(super) refusals: BTreeMap<String, u64>,
    /// What went wrong, in words.
    pub(super) faults: Vec<String>,
    /// From sending a message to its frame here, for frames that came live.
    pub(super) to_frame: Histogram,
    /// From sending a command to its answer.
    pub(super) to_answer: Histogram,
    /// The same for reactions, which are gathered for about a second.
    pub(super) to_reaction_answer: Histogram,
    /// What all frames said; kept by the host, who is there all the time.
    pub(super) contents: Contents,
    /// All durable sequences; kept by the host.
    pub(super) sequences: Vec<u64>,
    pub(super) started_at: Option<schemas::Timestamp>,
    pub(super) ended_at: Option<schemas::Timestamp>,
}

impl Record {
    pub(super) fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }
}
