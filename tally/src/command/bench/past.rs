//! Shows as they might have been: events of chats, audiences and tips for what reads the log.

use anyhow::Context;
use platform::event_log::{NewEvent, codec};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::events::{
    AccessBasis, AccessPolicy, AudienceCounts, AudienceEvent, AuthorRole, ChatEvent, DeviceType,
    InteractionEvent, LeaveReason, LedgerEvent, LifecycleEvent, Location, MessageFeatures, MessagePosted,
    PaymentApplied, PaymentCaptured, PaymentEvent, PaymentPurpose, PaymentRequested, ReactionsCounted,
    ShowCreated, ShowDetails, ShowEvent, ShowStarted, StreamSettings, TipCaptured, TipRequested,
    ViewerJoined, ViewerLeft,
};
use schemas::{
    Actor, BodyHash, Bytes, CommandId, Currency, DeviceId, Event, EventId, KeyId, MessageId, Metadata, Money,
    PaymentId, PersonId, Sealed, SessionId, ShowId, TextDigest, Timestamp, TipId, streams,
};
use uuid::Uuid;

/// Persons of one show.
const PERSONS: u128 = 500;

/// Bytes of a sealed identity and of a sealed message, tags included.
const IDENTITY_BYTES: usize = 72;
const TEXT_BYTES: usize = 80;

/// Bytes of an AEAD's nonce.
const NONCE_BYTES: usize = 12;

/// 2025-06-27T20:00:00Z, in milliseconds: when every show begins.
const START_MS: i64 = 1_751_054_400_000;

/// One show, event by event. Of a hundred steps 76 are messages, 16 come and go, 5 are reactions and 3 tips.
pub(super) struct Show {
    chance: StdRng,
    id: ShowId,
    number: u128,
    next_id: u128,
    now_ms: i64,
    /// Session and person.
    open: Vec<(Uuid, PersonId)>,
    audience: AudienceCounts,
}

/// Events of one stream that belong into one append.
pub(super) type Append = (String, Vec<NewEvent>);

impl Show {
    /// The show of this number, live.
    pub(super) fn live(number: u32) -> anyhow::Result<(Self, Append)> {
        let mut show = Self {
            chance: StdRng::seed_from_u64(number.into()),
            id: ShowId(Uuid::from_u128(0x5000 + u128::from(number))),
            number: number.into(),
            next_id: 0,
            now_ms: 0,
            open: Vec::new(),
            audience: AudienceCounts::default(),
        };
        let created = LifecycleEvent::Created(show.created());
        let started = LifecycleEvent::Started(ShowStarted { show_id: show.id });
        let events = vec![show.event(ShowEvent::from(created))?, show.event(ShowEvent::from(started))?];
        let stream = streams::show(show.id);
        Ok((show, (stream, events)))
    }

    /// At least so many further events of the show, as one append, and before it those of payments.
    pub(super) fn go_on(&mut self, events: usize) -> anyhow::Result<Vec<Append>> {
        let (mut appends, mut own) = (Vec::new(), Vec::with_capacity(events));
        while own.len() < events {
            self.now_ms += self.chance.random_range(1..40);
            match self.chance.random_range(0..100) {
                0..76 => own.push(self.post()?),
                76..85 => own.push(self.join()?),
                85..92 => own.extend(self.leave()?),
                92..97 => own.push(self.react()?),
                _ => self.tip(&mut own, &mut appends)?,
            }
        }
        appends.push((streams::show(self.id), own));
        Ok(appends)
    }

    fn fresh(&mut self) -> Uuid {
        self.next_id += 1;
        // far apart from those of other shows
        Uuid::from_u128((self.number + 1) << 64 | self.next_id)
    }

    fn person(&mut self) -> PersonId {
        PersonId(Uuid::from_u128(0xa000_0000 + self.chance.random_range(0..PERSONS)))
    }

    fn sealed(&mut self, length: usize) -> Sealed {
        let mut bytes = |length| Bytes((0..length).map(|_| self.chance.random()).collect());
        Sealed { key_id: KeyId(Uuid::from_u128(7)), nonce: bytes(NONCE_BYTES), ciphertext: bytes(length) }
    }

    fn event(&mut self, event: impl Into<Event>) -> anyhow::Result<NewEvent> {
        let id = self.fresh();
        let meta = Metadata {
            occurred_at: Timestamp::from_millis(START_MS + self.now_ms),
            actor: Actor::Person(self.person()),
            causation: CommandId(id),
            body_hash: BodyHash([7; 16]),
            correlation: Some(id.to_string()),
            traceparent: None,
            schema_version: 1,
        };
        codec::encode(&event.into(), &meta, EventId(id)).context("an event cannot be written")
    }

    fn show_event(&mut self, event: impl Into<ShowEvent>) -> anyhow::Result<NewEvent> {
        self.event(event.into())
    }

    fn created(&mut self) -> ShowCreated {
        ShowCreated {
            show_id: self.id,
            creator: self.person(),
            creator_identity: self.sealed(IDENTITY_BYTES),
            details: ShowDetails {
                title: "Night jazz".to_owned(),
                description: "Slow tunes for late hours".to_owned(),
                category: Some("music".to_owned()),
                tags: vec!["jazz".to_owned(), "live".to_owned()],
                language: Some("en".to_owned()),
                thumbnail_url: None,
            },
            access: AccessPolicy { subscriber_only: false, ticket_price: None },
            settings: StreamSettings::default(),
            currency: Currency::USD,
            scheduled_start: None,
            channel: "measured".to_owned(),
            host_uid: 1,
        }
    }

    fn post(&mut self) -> anyhow::Result<NewEvent> {
        let message = MessagePosted {
            message_id: MessageId(self.fresh()),
            author: self.person(),
            identity: self.sealed(IDENTITY_BYTES),
            text: self.sealed(TEXT_BYTES),
            digest: TextDigest(Uuid::from_u128(self.next_id)),
            features: MessageFeatures { characters: 60, words: 11, ..MessageFeatures::default() },
            reply_to: None,
            client_message_id: None,
            role: AuthorRole::Viewer,
            is_subscriber: self.chance.random_bool(0.2),
        };
        self.show_event(ChatEvent::Posted(message))
    }

    fn join(&mut self) -> anyhow::Result<NewEvent> {
        let (session, person) = (self.fresh(), self.person());
        self.open.push((session, person));
        self.audience.total_views += 1;
        self.count();
        let joined = ViewerJoined {
            session_id: SessionId(session),
            person,
            identity: self.sealed(IDENTITY_BYTES),
            device: Some(DeviceId(session)),
            device_type: Some(DeviceType::Mobile),
            location: Location { country: Some("DE".to_owned()), city: Some("Jena".to_owned()) },
            rtc_uid: 7,
            basis: AccessBasis::Public,
            audience: self.audience,
        };
        self.show_event(AudienceEvent::Joined(joined))
    }

    fn leave(&mut self) -> anyhow::Result<Option<NewEvent>> {
        if self.open.is_empty() {
            return Ok(None);
        }
        let which = self.chance.random_range(0..self.open.len());
        let (session, person) = self.open.swap_remove(which);
        self.count();
        let left = ViewerLeft {
            session_id: SessionId(session),
            person,
            left_at: Timestamp::from_millis(START_MS + self.now_ms),
            reason: LeaveReason::Left,
            audience: self.audience,
        };
        self.show_event(AudienceEvent::Left(left)).map(Some)
    }

    /// Nearly everybody has one session: the difference is of no interest to those who read.
    fn count(&mut self) {
        self.audience.viewer_count = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        self.audience.peak_viewers = self.audience.peak_viewers.max(self.audience.viewer_count);
    }

    fn react(&mut self) -> anyhow::Result<NewEvent> {
        let counts = [("heart".to_owned(), 9), ("fire".to_owned(), 3)].into();
        let first_time = vec![self.person()];
        let counted = ReactionsCounted { counts, first_time, commands: Vec::new() };
        self.show_event(InteractionEvent::Reactions(counted))
    }

    fn tip(&mut self, own: &mut Vec<NewEvent>, appends: &mut Vec<Append>) -> anyhow::Result<()> {
        let (tip_id, payment_id, person) = (TipId(self.fresh()), PaymentId(self.fresh()), self.person());
        let amount = Money::from_minor(self.chance.random_range(100..5_000), Currency::USD)?;
        let (identity, message) = (self.sealed(IDENTITY_BYTES), Some(self.sealed(TEXT_BYTES)));
        let requested = TipRequested {
            tip_id,
            payment_id,
            person,
            identity: identity.clone(),
            amount,
            message: message.clone(),
        };
        own.push(self.show_event(LedgerEvent::TipRequested(requested))?);
        let purpose = PaymentPurpose::Tip { show_id: self.id, tip_id };
        let (payer, payee) = (person, self.person());
        let steps = [
            PaymentEvent::Requested(PaymentRequested { payment_id, purpose, payer, payee, amount }),
            PaymentEvent::Captured(PaymentCaptured {
                payment_id,
                provider: "sandbox".to_owned(),
                provider_ref: payment_id.to_string(),
                amount,
            }),
            PaymentEvent::Applied(PaymentApplied { payment_id }),
        ];
        let steps = steps.into_iter().map(|step| self.event(step)).collect::<anyhow::Result<_>>()?;
        appends.push((streams::payment(payment_id), steps));
        let captured = TipCaptured { tip_id, payment_id, person, identity: Some(identity), amount, message };
        own.push(self.show_event(LedgerEvent::TipCaptured(captured))?);
        Ok(())
    }
}
