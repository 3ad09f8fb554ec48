//! A generated history as the log would tell it, without a log: for whatever stands behind the log.

use anyhow::Context;
use generator::{Edge, Fate, History, Options, PlainEdge};
use schemas::published::Published;
use schemas::{Envelope, Event, Position, ShowId, Timestamp};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Months that a history goes back.
const MONTHS: u32 = 12;

/// 2025-07-01T00:00:00Z, in milliseconds: up to when there are events.
const UNTIL_MS: i64 = 1_751_328_000_000;

/// More than those months, in milliseconds: 400 days.
const LENGTH_MS_MAX: i64 = 400 * 86_400_000;

/// Shows that are played ahead of whoever takes them: large ones are some hundred megabytes.
const SHOWS_AHEAD: usize = 2;

/// An event with its stream.
pub(super) struct Told {
    pub(super) stream: String,
    pub(super) envelope: Envelope<Event>,
}

/// A show with what was told of it.
pub(super) struct Show {
    pub(super) id: ShowId,
    pub(super) was_played: bool,
    pub(super) events: Vec<Told>,
}

impl Told {
    /// What the topic says of it.
    pub(super) fn published(&self, position: u64) -> Published {
        Published::of(&self.stream, Position(position), &self.envelope)
    }
}

/// When the history ends.
pub(super) fn until() -> Timestamp {
    Timestamp::from_millis(UNTIL_MS)
}

/// Before it begins.
pub(super) fn begin() -> Timestamp {
    Timestamp::from_millis(UNTIL_MS - LENGTH_MS_MAX)
}

fn options(events: u64) -> Options {
    Options { seed: 1, events, months: MONTHS, creators: None, until: until() }
}

/// Plays at least so many events, show by show, on a thread of its own. To find out how many there are it plays them before.
pub(super) async fn play_at_least(events: u64) -> anyhow::Result<mpsc::Receiver<Show>> {
    let planned = tokio::task::spawn_blocking(move || History::plan_at_least(options(events))).await?;
    Ok(play(planned.context("so few creators cannot have so many events in a year")?))
}

fn play(history: Arc<History>) -> mpsc::Receiver<Show> {
    let (sender, receiver) = mpsc::channel(SHOWS_AHEAD);
    std::thread::spawn(move || {
        let edge = Arc::new(PlainEdge) as Arc<dyn Edge>;
        for (place, plan) in history.shows().iter().enumerate() {
            let told = history.play(place, &edge).flat_map(|happening| happening.told(plan.id));
            let events = told.map(|(stream, envelope)| Told { stream, envelope }).collect();
            let show = Show { id: plan.id, was_played: plan.fate == Fate::Played, events };
            if sender.blocking_send(show).is_err() {
                return;
            }
        }
    });
    receiver
}

/// All of a history of about so many events at once, for one that fits into memory.
pub(super) async fn all(events: u64) -> anyhow::Result<Vec<Told>> {
    let (mut playing, mut all) = (play(Arc::new(History::plan(options(events)))), Vec::new());
    while let Some(show) = playing.recv().await {
        all.extend(show.events);
    }
    (!all.is_empty()).then_some(all).context("a history without events")
}
