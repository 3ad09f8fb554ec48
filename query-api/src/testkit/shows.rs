//! Shows in a log in memory, event by event; and sealed fields that are not really sealed.

use async_trait::async_trait;
use parking_lot::Mutex;
use platform::event_log::memory::MemoryLog;
use platform::event_log::{EventLog, Expected, codec};
use schemas::events::{
    AccessBasis, AccessPolicy, AudienceCounts, AudienceEvent, AuthorRole, ChatEvent, ClosingTotals,
    DeclineReason, InteractionEvent, LeaveReason, LedgerEvent, LifecycleEvent, Location, MessageFeatures,
    MessagePosted, ReactionsCounted, SettingsEvent, ShowCancelled, ShowCreated, ShowDetails, ShowEnded,
    ShowEvent, ShowRevised, ShowStarted, StreamSettings, StreamSettingsChanged, TipCaptured, TipDeclined,
    TipRequested, ViewerJoined, ViewerLeft,
};
use schemas::{
    Actor, BodyHash, CommandId, Currency, Envelope, Event, EventId, Identity, KeyId, Metadata, Money,
    Revision, Sealed, ShowId, TextDigest, Timestamp,
};
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

use crate::opening::{OpenError, Opener};

/// Opens what [`seal`] closed: nothing is sealed, but the erased stay closed.
#[derive(Clone, Default)]
pub(crate) struct PlainOpener {
    erased: Arc<Mutex<HashSet<KeyId>>>,
}

impl PlainOpener {
    pub(crate) fn erase(&self, sub: &str) {
        self.erased.lock().insert(key(sub));
    }
}

#[async_trait]
impl Opener for PlainOpener {
    async fn open(
        &self,
        _event: EventId,
        field: &'static str,
        sealed: &Sealed,
    ) -> Result<Option<Vec<u8>>, OpenError> {
        if self.erased.lock().contains(&sealed.key_id) {
            return Ok(None);
        }
        let bytes = serde_json::to_value(sealed).unwrap();
        let sealed_as = |name: &str| {
            let text = bytes[name].as_str().unwrap();
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap()
        };
        assert_eq!(sealed_as("nonce"), field.as_bytes(), "the field's name is part of what is sealed");
        Ok(Some(sealed_as("ciphertext")))
    }
}

fn key(sub: &str) -> KeyId {
    KeyId(Uuid::new_v5(&Uuid::nil(), sub.as_bytes()))
}

fn seal(sub: &str, field: &str, plain: &[u8]) -> Sealed {
    let base64 = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let json = serde_json::json!({ "keyId": key(sub), "nonce": base64(field.as_bytes()), "ciphertext": base64(plain) });
    serde_json::from_value(json).unwrap()
}

fn identity(sub: &str, field: &str) -> Sealed {
    let who = Identity { sub: sub.to_owned(), name: format!("{sub} the name") };
    seal(sub, field, &serde_json::to_vec(&who).unwrap())
}

pub(crate) fn person(sub: &str) -> schemas::PersonId {
    super::node::pseudonyms().person(sub)
}

/// A show that is written by hand, past the rules.
#[derive(Clone)]
pub(crate) struct Show {
    pub(crate) id: ShowId,
    log: MemoryLog,
    audience: Arc<Mutex<AudienceCounts>>,
}

impl Show {
    /// A show with its first event.
    pub(crate) async fn created(log: &MemoryLog) -> Self {
        let show = Self::unborn(log);
        show.append(show.creation()).await;
        show
    }

    pub(crate) fn unborn(log: &MemoryLog) -> Self {
        Self { id: ShowId(Uuid::new_v4()), log: log.clone(), audience: Arc::default() }
    }

    /// A show that is live.
    pub(crate) async fn live(log: &MemoryLog) -> Self {
        let show = Self::created(log).await;
        show.start().await;
        show
    }

    pub(crate) async fn append(&self, event: ShowEvent) -> Revision {
        let id = EventId(Uuid::new_v4());
        let new = codec::encode(&Event::Show(event), &metadata(), id).unwrap();
        let stream = schemas::streams::show(self.id);
        self.log.append(&stream, Expected::Any, vec![new]).await.unwrap().revision
    }

    pub(crate) async fn start(&self) -> Revision {
        self.append(LifecycleEvent::Started(ShowStarted { show_id: self.id }).into_show()).await
    }

    pub(crate) async fn end(&self) -> Revision {
        self.append(any_event(Kind::Ended, self.id)).await
    }

    pub(crate) async fn message(&self, sub: &str, text: &str) -> Revision {
        self.append(message(sub, text)).await
    }

    pub(crate) async fn tip(&self, sub: &str, cents: i64) -> Revision {
        self.append(tip(sub, cents)).await
    }

    pub(crate) async fn join(&self, sub: &str) -> Revision {
        let audience = {
            let mut audience = self.audience.lock();
            audience.viewer_count += 1;
            audience.peak_viewers = audience.peak_viewers.max(audience.viewer_count);
            *audience
        };
        self.append(joined(sub, audience)).await
    }

    pub(crate) async fn leave(&self, sub: &str) -> Revision {
        let audience = {
            let mut audience = self.audience.lock();
            audience.viewer_count -= 1;
            *audience
        };
        self.append(left(sub, audience)).await
    }

    pub(crate) async fn protect(&self) -> Revision {
        self.append(revised(true)).await
    }

    fn creation(&self) -> ShowEvent {
        LifecycleEvent::Created(ShowCreated {
            show_id: self.id,
            creator: person("host"),
            creator_identity: identity("host", "creator"),
            details: details(),
            access: AccessPolicy::default(),
            settings: StreamSettings::default(),
            currency: Currency::USD,
            scheduled_start: None,
            channel: "channel".to_owned(),
            host_uid: 1,
        })
        .into_show()
    }
}

trait IntoShow {
    fn into_show(self) -> ShowEvent;
}

impl<E: Into<ShowEvent>> IntoShow for E {
    fn into_show(self) -> ShowEvent {
        self.into()
    }
}

/// Each kind of event there is; a test walks over all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Created,
    Started,
    Ended,
    Cancelled,
    Revised,
    Settings,
    Joined,
    Left,
    Posted,
    Reactions,
    TipRequested,
    TipCaptured,
    TipDeclined,
}

impl Kind {
    pub(crate) const ALL: [Self; 13] = [
        Self::Created,
        Self::Started,
        Self::Ended,
        Self::Cancelled,
        Self::Revised,
        Self::Settings,
        Self::Joined,
        Self::Left,
        Self::Posted,
        Self::Reactions,
        Self::TipRequested,
        Self::TipCaptured,
        Self::TipDeclined,
    ];
}

/// Some event of a kind.
pub(crate) fn any_event(kind: Kind, show_id: ShowId) -> ShowEvent {
    let audience = AudienceCounts { viewer_count: 3, peak_viewers: 4, total_views: 5, unique_viewers: 4 };
    let usd = |cents| Money::from_minor(cents, Currency::USD).unwrap();
    match kind {
        Kind::Created => Show { id: show_id, log: MemoryLog::new(1), audience: Arc::default() }.creation(),
        Kind::Started => LifecycleEvent::Started(ShowStarted { show_id }).into(),
        Kind::Ended => {
            let totals = ClosingTotals {
                duration_seconds: 1,
                viewer_count: 1,
                peak_viewers: 1,
                total_views: 1,
                unique_viewers: 1,
                messages_count: 1,
                total_tips: usd(0),
                pending_tips: 0,
            };
            LifecycleEvent::Ended(ShowEnded { show_id, totals }).into()
        }
        Kind::Cancelled => LifecycleEvent::Cancelled(ShowCancelled { show_id }).into(),
        Kind::Revised => revised(false),
        Kind::Settings => {
            let settings = StreamSettings { chat_enabled: false, ..StreamSettings::default() };
            SettingsEvent::StreamSettings(StreamSettingsChanged { settings }).into()
        }
        Kind::Joined => joined("alice", audience),
        Kind::Left => left("alice", audience),
        Kind::Posted => message("alice", "hello"),
        Kind::Reactions => InteractionEvent::Reactions(ReactionsCounted {
            counts: [("HEART".to_owned(), 3)].into(),
            first_time: vec![person("alice")],
            commands: vec![],
        })
        .into(),
        Kind::TipRequested => LedgerEvent::TipRequested(TipRequested {
            tip_id: Uuid::from_u128(1).into(),
            payment_id: Uuid::from_u128(2).into(),
            person: person("alice"),
            identity: identity("alice", "tipper"),
            amount: usd(500),
            message: None,
        })
        .into(),
        Kind::TipCaptured => tip("alice", 500),
        Kind::TipDeclined => LedgerEvent::TipDeclined(TipDeclined {
            tip_id: Uuid::from_u128(1).into(),
            payment_id: Uuid::from_u128(2).into(),
            person: person("alice"),
            reason: DeclineReason::Declined,
        })
        .into(),
    }
}

/// An event as it stands in the log.
pub(crate) fn envelope(revision: Revision, event: ShowEvent) -> Envelope<ShowEvent> {
    let event_id = EventId(Uuid::from_u128(u128::from(revision)));
    Envelope { event_id, revision, position: None, meta: metadata(), event }
}

fn metadata() -> Metadata {
    Metadata {
        occurred_at: "2025-06-27T20:30:00Z".parse::<Timestamp>().unwrap(),
        actor: Actor::System,
        causation: CommandId(Uuid::new_v4()),
        body_hash: BodyHash::default(),
        correlation: None,
        traceparent: None,
        schema_version: 1,
    }
}

fn details() -> ShowDetails {
    ShowDetails {
        title: "A show".to_owned(),
        description: String::new(),
        category: None,
        tags: vec![],
        language: None,
        thumbnail_url: None,
    }
}

fn revised(is_protected: bool) -> ShowEvent {
    let access = AccessPolicy { subscriber_only: is_protected, ticket_price: None };
    let revised = ShowRevised { details: details(), access, currency: Currency::USD, scheduled_start: None };
    SettingsEvent::Revised(revised).into()
}

fn joined(sub: &str, audience: AudienceCounts) -> ShowEvent {
    AudienceEvent::Joined(ViewerJoined {
        session_id: Uuid::new_v4().into(),
        person: person(sub),
        identity: identity(sub, "viewer"),
        device: None,
        device_type: None,
        location: Location::default(),
        rtc_uid: 2,
        basis: AccessBasis::Public,
        audience,
    })
    .into()
}

fn left(sub: &str, audience: AudienceCounts) -> ShowEvent {
    AudienceEvent::Left(ViewerLeft {
        session_id: Uuid::new_v4().into(),
        person: person(sub),
        left_at: Timestamp::default(),
        reason: LeaveReason::Left,
        audience,
    })
    .into()
}

fn message(sub: &str, text: &str) -> ShowEvent {
    ChatEvent::Posted(MessagePosted {
        message_id: Uuid::new_v4().into(),
        author: person(sub),
        identity: identity(sub, "author"),
        text: seal(sub, "text", text.as_bytes()),
        digest: TextDigest(Uuid::nil()),
        features: MessageFeatures::default(),
        reply_to: None,
        client_message_id: None,
        role: AuthorRole::Viewer,
        is_subscriber: true,
    })
    .into()
}

fn tip(sub: &str, cents: i64) -> ShowEvent {
    LedgerEvent::TipCaptured(TipCaptured {
        tip_id: Uuid::new_v4().into(),
        payment_id: Uuid::new_v4().into(),
        person: person(sub),
        identity: Some(identity(sub, "tipper")),
        amount: Money::from_minor(cents, Currency::USD).unwrap(),
        message: Some(seal(sub, "message", b"Great content!")),
    })
    .into()
}
