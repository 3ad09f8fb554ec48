//! Random histories that could have happened, one for each seed.

use std::collections::BTreeMap;

use platform::event_log::NewEvent;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::events::{
    AudienceCounts, DeclineReason, InteractionEvent, LeaveReason, LedgerEvent, PaymentApplied,
    PaymentCaptured, PaymentDeclined, PaymentEvent, PaymentPurpose, PaymentRequested, ReactionsCounted,
    SettingsEvent, ShowEvent, StreamSettings, StreamSettingsChanged, TipDeclined,
};
use schemas::{PaymentId, TipId, streams};

use super::events::{
    self, created, ended, id, joined, left, person, posted, show, started, tip_captured, tip_requested, usd,
};

/// Shows at one time; where one is over and paid, another follows.
const SHOWS: u128 = 3;
const PERSONS: u128 = 6;

/// What a show must remember to go on in a way that could happen.
#[derive(Default)]
struct ShowState {
    is_created: bool,
    started_ms: Option<i64>,
    is_over: bool,
    /// Session, person, joined at.
    open: Vec<(u128, u128, i64)>,
    /// Effective intervals by person, closed.
    watched: BTreeMap<u128, Vec<(i64, i64)>>,
    views: u64,
    peak: u32,
    reacted: Vec<u128>,
    /// Tip, person, cents.
    pending: Vec<(u128, u128, i64)>,
}

/// A random history.
pub(crate) struct History {
    chance: StdRng,
    now_ms: i64,
    next_id: u128,
    shows: BTreeMap<u128, ShowState>,
    current: Vec<u128>,
    /// What happened, in log order.
    pub(crate) events: Vec<(String, NewEvent)>,
}

impl History {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed),
            now_ms: 0,
            next_id: 0x10_0000,
            shows: (0..SHOWS).map(|n| (n, ShowState::default())).collect(),
            current: (0..SHOWS).collect(),
            events: Vec::new(),
        }
    }

    /// A history of at least so many events.
    pub(crate) fn of(seed: u64, length: usize) -> Vec<(String, NewEvent)> {
        let mut history = Self::new(seed);
        while history.events.len() < length {
            history.step();
        }
        history.events
    }

    /// Milliseconds that each person watched each show up to now, by adding up the plain way.
    pub(crate) fn watched_ms(&self) -> BTreeMap<(u128, u128), i64> {
        let mut watched = BTreeMap::new();
        for (n, state) in &self.shows {
            let mut intervals = state.watched.clone();
            for (_, who, joined_ms) in &state.open {
                intervals.entry(*who).or_default().push((*joined_ms, self.now_ms));
            }
            for (who, mut spans) in intervals {
                spans.sort_unstable();
                let (mut sum, mut reached) = (0, i64::MIN);
                for (from, to) in spans {
                    sum += (to - from.max(reached)).max(0);
                    reached = reached.max(to);
                }
                watched.insert((*n, who), sum);
            }
        }
        watched
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn fresh(&mut self) -> u128 {
        self.next_id += 1;
        self.next_id
    }

    fn happen(&mut self, n: u128, event: impl Into<ShowEvent>) {
        let id = self.fresh();
        self.events.push(events::event(streams::show(show(n)), id, self.now_ms, event.into()));
    }

    fn pay(&mut self, payment: u128, event: PaymentEvent) {
        let id = self.fresh();
        let stream = streams::payment(PaymentId(events::id(payment)));
        self.events.push(events::event(stream, id, self.now_ms, event));
    }

    /// Lets something happen.
    pub(crate) fn step(&mut self) {
        self.now_ms += self.chance.random_range(0..5_000);
        let which = self.chance.random_range(0..self.current.len());
        let n = self.current[which];
        let who = self.chance.random_range(1..=PERSONS);
        let state = &self.shows[&n];
        if !state.is_created {
            self.happen(n, created(n));
            self.shows.entry(n).or_default().is_created = true;
        } else if state.is_over && state.pending.is_empty() {
            let next = self.shows.len() as u128;
            self.shows.insert(next, ShowState::default());
            self.current[which] = next;
        } else if state.is_over {
            self.settle(n);
        } else if state.started_ms.is_none() {
            self.shows.entry(n).or_default().started_ms = Some(self.now_ms);
            self.happen(n, started(n));
        } else {
            match self.chance.random_range(0..100) {
                0..30 => self.join(n, who),
                30..55 => self.leave(n),
                55..75 => self.post(n, who),
                75..80 => self.react(n, who),
                80..88 => self.request(n, who),
                88..96 => self.settle(n),
                96..99 => self.change(n),
                _ => self.end(n),
            }
        }
    }

    fn counts(&self, n: u128) -> AudienceCounts {
        let state = &self.shows[&n];
        let mut persons: Vec<_> = state.open.iter().map(|(_, who, _)| *who).collect();
        persons.sort_unstable();
        persons.dedup();
        events::counts(persons.len().try_into().unwrap(), state.peak, state.views, 0)
    }

    fn join(&mut self, n: u128, who: u128) {
        let session = self.fresh();
        let now_ms = self.now_ms;
        let state = self.shows.entry(n).or_default();
        state.open.push((session, who, now_ms));
        state.views += 1;
        let count = self.counts(n).viewer_count;
        let state = self.shows.entry(n).or_default();
        state.peak = state.peak.max(count);
        let audience = self.counts(n);
        self.happen(n, joined(session, who, audience));
    }

    fn leave(&mut self, n: u128) {
        let open = self.shows[&n].open.len();
        if open == 0 {
            return;
        }
        let which = self.chance.random_range(0..open);
        let is_late = self.chance.random_bool(0.4);
        let ago = if is_late { self.chance.random_range(0..60_000) } else { 0 };
        let now_ms = self.now_ms;
        let state = self.shows.entry(n).or_default();
        let (session, who, joined_ms) = state.open.swap_remove(which);
        let left_ms = (now_ms - ago).max(joined_ms);
        state.watched.entry(who).or_default().push((joined_ms, left_ms));
        let reason = if is_late { LeaveReason::Unseen } else { LeaveReason::Left };
        self.happen(n, left(session, who, left_ms, reason));
    }

    fn post(&mut self, n: u128, who: u128) {
        let message = self.fresh();
        self.happen(n, posted(message, who, None));
    }

    fn react(&mut self, n: u128, who: u128) {
        let state = self.shows.entry(n).or_default();
        let is_first = !state.reacted.contains(&who);
        state.reacted.push(who);
        let first_time = if is_first { vec![person(who)] } else { Vec::new() };
        let counts = [("heart".to_owned(), 3), ("fire".to_owned(), 1)].into();
        let counted = ReactionsCounted { counts, first_time, commands: Vec::new() };
        self.happen(n, InteractionEvent::Reactions(counted));
    }

    fn request(&mut self, n: u128, who: u128) {
        let tip = self.fresh();
        let cents = self.chance.random_range(1..10_000);
        self.shows.entry(n).or_default().pending.push((tip, who, cents));
        self.pay(
            tip + 0x1000_0000,
            PaymentEvent::Requested(PaymentRequested {
                payment_id: PaymentId(id(tip + 0x1000_0000)),
                purpose: PaymentPurpose::Tip { show_id: show(n), tip_id: TipId(id(tip)) },
                payer: person(who),
                payee: person(0),
                amount: usd(cents),
            }),
        );
        self.happen(n, tip_requested(tip, who, usd(cents)));
    }

    fn settle(&mut self, n: u128) {
        let Some((tip, who, cents)) = self.shows.entry(n).or_default().pending.pop() else { return };
        let payment_id = PaymentId(id(tip + 0x1000_0000));
        if self.chance.random_bool(0.8) {
            self.pay(
                payment_id.0.as_u128(),
                PaymentEvent::Captured(PaymentCaptured {
                    payment_id,
                    provider: "sandbox".to_owned(),
                    provider_ref: format!("ref-{tip}"),
                    amount: usd(cents),
                }),
            );
            self.happen(n, tip_captured(tip, who, usd(cents), Some(events::sealed(6))));
        } else {
            let reason = DeclineReason::Expired;
            let tip_id = TipId(id(tip));
            self.pay(payment_id.0.as_u128(), PaymentEvent::Declined(PaymentDeclined { payment_id, reason }));
            let declined = TipDeclined { tip_id, payment_id, person: person(who), reason };
            self.happen(n, LedgerEvent::TipDeclined(declined));
        }
        self.pay(payment_id.0.as_u128(), PaymentEvent::Applied(PaymentApplied { payment_id }));
    }

    fn change(&mut self, n: u128) {
        let settings = StreamSettings { max_viewers: Some(500), ..StreamSettings::default() };
        self.happen(n, SettingsEvent::StreamSettings(StreamSettingsChanged { settings }));
    }

    fn end(&mut self, n: u128) {
        let now_ms = self.now_ms;
        let state = self.shows.entry(n).or_default();
        state.is_over = true;
        for (_, who, joined_ms) in std::mem::take(&mut state.open) {
            state.watched.entry(who).or_default().push((joined_ms, now_ms));
        }
        let duration_ms = now_ms - state.started_ms.unwrap();
        self.happen(n, ended(n, (duration_ms / 1_000).try_into().unwrap()));
    }
}
