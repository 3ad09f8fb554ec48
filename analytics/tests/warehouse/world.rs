//! Random shows, as the log would hold them.

use super::many::Frame;
pub use super::recorded::{Recorded, Show};
use analytics::rows::Rows;
use proptest::prelude::*;
use schemas::events::*;
use schemas::published::{Published, PublishedEvent, Record};
use schemas::{
    Currency, Event, EventId, KeyId, Money, PersonId, Position, Sealed, SessionId, ShowId, TextDigest,
    Timestamp, TipId, streams,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A Saturday, 2025-05-31T17:25:00Z: some minutes before an hour of India begins, and, short of the frame's second time, an hour before June does there.
pub const BEGIN_MS: i64 = 1_748_712_300_000;
pub const PERSONS: u8 = 14;
pub const CREATORS: u8 = 2;

/// What somebody does after so many milliseconds.
#[derive(Clone, Debug)]
pub struct Act {
    pub after_ms: i64,
    pub what: What,
    pub person: u8,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    Join(u8),
    Leave,
    Vanish(u16),
    Write,
    React(u8),
    AskToTip(u16),
    PayTip,
    FailTip,
}

/// A show in outline.
#[derive(Clone, Debug)]
pub struct Plan {
    pub creator: u8,
    pub category: Option<u8>,
    pub currency: bool,
    pub start_after_ms: Option<i64>,
    pub acts: Vec<Act>,
    pub ends: bool,
    pub paid_later: u8,
}

pub fn plans() -> impl Strategy<Value = Vec<Plan>> {
    prop::collection::vec(plan(), 1..5)
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        0..CREATORS,
        prop::option::of(0..2_u8),
        any::<bool>(),
        prop::option::weighted(0.93, 0..9_000_000_i64),
        prop::collection::vec(act(), 0..60),
        prop::bool::weighted(0.75),
        0..3_u8,
    )
        .prop_map(|(creator, category, currency, start_after_ms, acts, ends, paid_later)| Plan {
            creator,
            category,
            currency,
            start_after_ms,
            acts,
            ends,
            paid_later,
        })
}

fn act() -> impl Strategy<Value = Act> {
    let after = prop_oneof![3 => 0..3_i64, 5 => 0..90_000_i64, 1 => Just(60_000_i64), 1 => 0..3_000_000_i64];
    let what = prop_oneof![
        6 => (0..8_u8).prop_map(What::Join),
        2 => Just(What::Leave),
        2 => any::<u16>().prop_map(What::Vanish),
        2 => Just(What::Write),
        2 => (1..5_u8).prop_map(What::React),
        2 => (1..5_000_u16).prop_map(What::AskToTip),
        2 => Just(What::PayTip),
        1 => Just(What::FailTip),
    ];
    (after, what, 0..PERSONS).prop_map(|(after_ms, what, person)| Act { after_ms, what, person })
}

/// What is asked for of the many shows of a world.
pub fn frame() -> Frame {
    const HOUR_MS: i64 = 3_600_000;
    Frame {
        creators: (0..CREATORS).map(creator).collect(),
        times: [0, BEGIN_MS + 4_000_000, BEGIN_MS + 1_000 * HOUR_MS],
        usage: [BEGIN_MS, BEGIN_MS + 14 * 24 * HOUR_MS],
    }
}

pub fn person(number: u8) -> PersonId {
    PersonId(Uuid::from_u128(0x1000 + u128::from(number)))
}

pub fn creator(number: u8) -> PersonId {
    PersonId(Uuid::from_u128(0x2000 + u128::from(number)))
}

/// The shows that plans make, with positions across all of them in the order of time.
pub fn world(plans: &[Plan]) -> Vec<Show> {
    let mut shows: Vec<Show> =
        plans.iter().zip(1..).map(|(plan, number)| Making::new(plan, number).make(plan)).collect();
    let mut order: Vec<(i64, usize, usize)> = Vec::new();
    for (s, show) in shows.iter().enumerate() {
        order.extend(show.events.iter().enumerate().map(|(e, event)| (event.at, s, e)));
    }
    order.sort_unstable();
    for (position, (_, show, event)) in (100..).step_by(7).zip(order) {
        shows[show].events[event].position = position;
    }
    shows
}

struct Making {
    show: Show,
    now: i64,
    currency: Currency,
    open: Vec<(PersonId, u8, SessionId, i64)>,
    tips: Vec<(TipId, PersonId, Money)>,
    reacted: Vec<PersonId>,
    made: u128,
}

impl Making {
    fn new(plan: &Plan, number: u128) -> Self {
        let show =
            Show { id: ShowId(Uuid::from_u128(number)), creator: creator(plan.creator), events: Vec::new() };
        let currency = if plan.currency { Currency::USD } else { "JPY".parse().unwrap() };
        let (open, tips, reacted) = (Vec::new(), Vec::new(), Vec::new());
        Self { show, now: BEGIN_MS, currency, open, tips, reacted, made: number << 64 }
    }

    fn tell(&mut self, event: impl Into<ShowEvent>) {
        let revision = self.show.events.len() as u64;
        self.show.events.push(Recorded { position: 0, revision, at: self.now, event: event.into() });
    }

    fn id<T: From<Uuid>>(&mut self) -> T {
        self.made += 1;
        Uuid::from_u128(self.made).into()
    }

    fn make(mut self, plan: &Plan) -> Show {
        let show_id = self.show.id;
        self.tell(created(plan, show_id, self.currency));
        let Some(after) = plan.start_after_ms else {
            self.tell(LifecycleEvent::Cancelled(ShowCancelled { show_id }));
            return self.show;
        };
        self.now += after;
        self.tell(LifecycleEvent::Started(ShowStarted { show_id }));
        for act in &plan.acts {
            self.now += act.after_ms;
            self.act(act.what, act.person);
        }
        if plan.ends {
            self.now += 17;
            // what the end says of the show does not matter: the warehouse counts for itself
            let totals = ClosingTotals {
                duration_seconds: 0,
                viewer_count: 0,
                peak_viewers: 0,
                total_views: 0,
                unique_viewers: 0,
                messages_count: 0,
                total_tips: Money::zero(self.currency),
                pending_tips: 0,
            };
            self.tell(LifecycleEvent::Ended(ShowEnded { show_id, totals }));
            for _ in 0..plan.paid_later {
                self.now += 1_000_000;
                self.act(What::PayTip, 0);
            }
        }
        self.show
    }

    fn act(&mut self, what: What, number: u8) {
        let who = person(number);
        match what {
            What::Join(device) => self.join(who, number, device),
            What::Leave => self.leave(who, 0, LeaveReason::Left),
            What::Vanish(before) => self.leave(who, i64::from(before), LeaveReason::Unseen),
            What::Write => {
                // the last of them is the host
                let author = if number == PERSONS - 1 { self.show.creator } else { who };
                let message = posted(author, self.id());
                self.tell(message);
            }
            What::React(count) => self.react(who, count),
            What::AskToTip(minor) => {
                let amount = Money::from_minor(i64::from(minor), self.currency).unwrap();
                let tip_id: TipId = self.id();
                self.tips.push((tip_id, who, amount));
                self.tell(LedgerEvent::TipRequested(TipRequested {
                    tip_id,
                    payment_id: tip_id.0.into(),
                    person: who,
                    identity: sealed(),
                    amount,
                    message: None,
                }));
            }
            What::PayTip => {
                if let Some((tip_id, person, amount)) = self.tips.pop() {
                    self.tell(LedgerEvent::TipCaptured(TipCaptured {
                        tip_id,
                        payment_id: tip_id.0.into(),
                        person,
                        identity: None,
                        amount,
                        message: Some(sealed()),
                    }));
                }
            }
            What::FailTip => {
                if let Some((tip_id, person, _)) = self.tips.pop() {
                    let (payment_id, reason) = (tip_id.0.into(), DeclineReason::Expired);
                    self.tell(LedgerEvent::TipDeclined(TipDeclined { tip_id, payment_id, person, reason }));
                }
            }
        }
    }

    fn join(&mut self, who: PersonId, number: u8, device: u8) {
        if self.open.iter().any(|(person, on, ..)| *person == who && *on == device) {
            return;
        }
        let session_id: SessionId = self.id();
        self.open.push((who, device, session_id, self.now));
        let country = [Some("DE"), Some("FR"), None, Some("")][usize::from((number + device) % 4)];
        let city = [Some("Berlin"), None, Some("Aachen")][usize::from((number + device) % 3)];
        let device_type =
            [Some(DeviceType::Mobile), Some(DeviceType::Desktop), Some(DeviceType::Tablet), None]
                [usize::from(device % 4)];
        self.tell(AudienceEvent::Joined(ViewerJoined {
            session_id,
            person: who,
            identity: sealed(),
            device: None,
            device_type,
            location: Location { country: country.map(Into::into), city: city.map(Into::into) },
            rtc_uid: 2,
            basis: AccessBasis::Public,
            audience: AudienceCounts::default(),
        }));
    }

    fn leave(&mut self, who: PersonId, before_ms: i64, reason: LeaveReason) {
        let Some(at) = self.open.iter().position(|(person, ..)| *person == who) else { return };
        let (person, _, session_id, joined) = self.open.remove(at);
        let left_at = Timestamp::from_millis((self.now - before_ms).max(joined));
        let audience = AudienceCounts::default();
        self.tell(AudienceEvent::Left(ViewerLeft { session_id, person, left_at, reason, audience }));
    }

    fn react(&mut self, who: PersonId, count: u8) {
        let first_time = if self.reacted.contains(&who) { vec![] } else { vec![who, person(0)] };
        let first_time: Vec<_> = first_time.into_iter().filter(|p| !self.reacted.contains(p)).collect();
        let mut first_time = first_time;
        first_time.dedup();
        self.reacted.extend(&first_time);
        let counts = BTreeMap::from([("FIRE".to_owned(), u32::from(count)), ("LOVE".to_owned(), 1)]);
        self.tell(InteractionEvent::Reactions(ReactionsCounted { counts, first_time, commands: Vec::new() }));
    }
}

fn created(plan: &Plan, show_id: ShowId, currency: Currency) -> LifecycleEvent {
    LifecycleEvent::Created(ShowCreated {
        show_id,
        creator: creator(plan.creator),
        creator_identity: sealed(),
        details: ShowDetails {
            title: "A show?".into(),
            description: String::new(),
            category: plan.category.map(|category| format!("c{category}")),
            tags: vec!["a".into()],
            language: None,
            thumbnail_url: None,
        },
        access: AccessPolicy::default(),
        settings: StreamSettings::default(),
        currency,
        scheduled_start: None,
        channel: "c".into(),
        host_uid: 1,
    })
}

fn posted(author: PersonId, message: Uuid) -> ChatEvent {
    ChatEvent::Posted(MessagePosted {
        message_id: message.into(),
        author,
        identity: sealed(),
        text: sealed(),
        digest: TextDigest(Uuid::nil()),
        features: MessageFeatures { characters: 3, words: 1, ..MessageFeatures::default() },
        reply_to: None,
        client_message_id: None,
        role: AuthorRole::Viewer,
        is_subscriber: false,
    })
}

fn sealed() -> Sealed {
    let empty = schemas::Bytes(Vec::new());
    Sealed { key_id: KeyId(Uuid::nil()), nonce: empty.clone(), ciphertext: empty }
}

/// An event as the relay publishes it, before it knows what stands before it.
pub fn published(show: ShowId, recorded: &Recorded) -> Published {
    Published {
        event_id: EventId(Uuid::from_u128(u128::from(recorded.position))),
        stream: streams::show(show),
        revision: recorded.revision,
        position: Position(recorded.position),
        previous: None,
        occurred_at: Timestamp::from_millis(recorded.at),
        event: PublishedEvent::of(&Event::Show(recorded.event.clone())),
    }
}

/// The rows of an event by way of the wire.
#[allow(dead_code, reason = "a loader's tests have a loader")]
pub fn add(rows: &mut Rows, show: ShowId, recorded: &Recorded) {
    let bytes = Record::Event(published(show, recorded)).encode().unwrap();
    let Record::Event(published) = Record::decode(&bytes).unwrap() else {
        panic!("an event became a watermark")
    };
    rows.add(&published).unwrap();
}
