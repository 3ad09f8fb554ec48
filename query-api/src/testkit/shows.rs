//! Shows in a log in memory, event by event, past the rules that would make them; sealed as the command side does.

use parking_lot::Mutex;
use platform::event_log::memory::MemoryLog;
use platform::event_log::{EventLog, Expected, codec};
use platform::vault::Vault;
use schemas::events::{
    AccessBasis, AccessPolicy, AudienceCounts, AudienceEvent, AuthorRole, ChatEvent, ClosingTotals,
    DeclineReason, DeviceType, InteractionEvent, LeaveReason, LedgerEvent, LifecycleEvent, Location,
    MessageFeatures, MessagePosted, ReactionsCounted, SettingsEvent, ShowCancelled, ShowCreated, ShowDetails,
    ShowEnded, ShowEvent, ShowRevised, ShowStarted, StreamSettings, StreamSettingsChanged, TipCaptured,
    TipDeclined, TipRequested, ViewerJoined, ViewerLeft,
};
use schemas::{
    Actor, BodyHash, CommandId, Currency, Envelope, Event, EventId, Identity, Metadata, Money, PersonId,
    Revision, Sealed, ShowId, TextDigest, Timestamp, TipId,
};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

use crate::opening::field;

/// When everything happens in tests, unless a show waits.
pub(crate) const AT: &str = "2025-06-27T20:30:00.000Z";

pub(crate) fn person(sub: &str) -> PersonId {
    super::node::pseudonyms().person(sub)
}

/// Something that happens in a show: each kind of event there is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Happening {
    Created,
    Started,
    Ended,
    Cancelled,
    /// Public again, or for subscribers only.
    Revised {
        is_protected: bool,
    },
    Settings {
        is_chat_enabled: bool,
    },
    Joined(&'static str),
    Left(&'static str),
    Posted(&'static str, String),
    Reactions(u32),
    TipRequested(&'static str, i64),
    TipCaptured(&'static str, i64),
    TipDeclined(&'static str),
}

impl Happening {
    /// One of each.
    pub(crate) fn each() -> Vec<Self> {
        vec![
            Self::Created,
            Self::Started,
            Self::Ended,
            Self::Cancelled,
            Self::Revised { is_protected: false },
            Self::Settings { is_chat_enabled: false },
            Self::Joined("alice"),
            Self::Left("alice"),
            Self::Posted("alice", "hello".to_owned()),
            Self::Reactions(3),
            Self::TipRequested("alice", 500),
            Self::TipCaptured("alice", 500),
            Self::TipDeclined("alice"),
        ]
    }
}

/// A show that is written by hand.
#[derive(Clone)]
pub(crate) struct Show {
    pub(crate) id: ShowId,
    log: MemoryLog,
    vault: Vault,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// How long after [`AT`] it is, in milliseconds.
    waited_ms: i64,
    audience: AudienceCounts,
    sessions: HashMap<&'static str, Uuid>,
    tips: HashMap<&'static str, TipId>,
}

impl Show {
    pub(crate) fn unborn(log: &MemoryLog, vault: &Vault) -> Self {
        let id = ShowId(Uuid::new_v4());
        Self { id, log: log.clone(), vault: vault.clone(), state: Arc::default() }
    }

    pub(crate) async fn created(log: &MemoryLog, vault: &Vault) -> Self {
        let show = Self::unborn(log, vault);
        show.let_happen(Happening::Created).await;
        show
    }

    pub(crate) async fn live(log: &MemoryLog, vault: &Vault) -> Self {
        let show = Self::created(log, vault).await;
        show.let_happen(Happening::Started).await;
        show
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: i64) {
        self.state.lock().waited_ms += seconds * 1_000;
    }

    fn now(&self) -> Timestamp {
        AT.parse::<Timestamp>().unwrap().plus_millis(self.state.lock().waited_ms)
    }

    /// Appends what happens.
    pub(crate) async fn let_happen(&self, what: Happening) -> Revision {
        let envelope = self.envelope(0, what).await;
        let new = codec::encode(&Event::Show(envelope.event), &envelope.meta, envelope.event_id).unwrap();
        let stream = schemas::streams::show(self.id);
        self.log.append(&stream, Expected::Any, vec![new]).await.unwrap().revision
    }

    pub(crate) async fn message(&self, sub: &'static str, text: &str) -> Revision {
        self.let_happen(Happening::Posted(sub, text.to_owned())).await
    }

    /// The event as it would stand in the log.
    pub(crate) async fn envelope(&self, revision: Revision, what: Happening) -> Envelope<ShowEvent> {
        let event_id = EventId(Uuid::new_v4());
        let sealer = Sealer { vault: &self.vault, event_id };
        let event = self.event(&sealer, what).await;
        Envelope { event_id, revision, position: None, meta: metadata(self.now()), event }
    }

    async fn event(&self, sealer: &Sealer<'_>, what: Happening) -> ShowEvent {
        let show_id = self.id;
        match what {
            Happening::Created => self.creation(sealer).await,
            Happening::Started => LifecycleEvent::Started(ShowStarted { show_id }).into(),
            Happening::Ended => LifecycleEvent::Ended(ShowEnded { show_id, totals: totals() }).into(),
            Happening::Cancelled => LifecycleEvent::Cancelled(ShowCancelled { show_id }).into(),
            Happening::Revised { is_protected } => revised(is_protected),
            Happening::Settings { is_chat_enabled } => {
                let settings = StreamSettings { chat_enabled: is_chat_enabled, ..StreamSettings::default() };
                SettingsEvent::StreamSettings(StreamSettingsChanged { settings }).into()
            }
            Happening::Joined(sub) => self.joined(sealer, sub).await,
            Happening::Left(sub) => self.left(sub),
            Happening::Posted(sub, text) => posted(sealer, sub, &text).await,
            Happening::Reactions(count) => {
                let counts = [("HEART".to_owned(), count)].into();
                let first_time = vec![person("alice")];
                InteractionEvent::Reactions(ReactionsCounted { counts, first_time, commands: vec![] }).into()
            }
            Happening::TipRequested(sub, cents) => self.tip_requested(sealer, sub, cents).await,
            Happening::TipCaptured(sub, cents) => self.tip_captured(sealer, sub, cents).await,
            Happening::TipDeclined(sub) => LedgerEvent::TipDeclined(TipDeclined {
                tip_id: self.tip_of(sub),
                payment_id: Uuid::new_v4().into(),
                person: person(sub),
                reason: DeclineReason::Declined,
            })
            .into(),
        }
    }

    async fn creation(&self, sealer: &Sealer<'_>) -> ShowEvent {
        LifecycleEvent::Created(ShowCreated {
            show_id: self.id,
            creator: person("host"),
            creator_identity: sealer.identity("host").await,
            details: details(),
            access: AccessPolicy::default(),
            settings: StreamSettings::default(),
            currency: Currency::USD,
            scheduled_start: None,
            channel: "channel".to_owned(),
            host_uid: 1,
        })
        .into()
    }

    async fn joined(&self, sealer: &Sealer<'_>, sub: &'static str) -> ShowEvent {
        let session = Uuid::new_v4();
        let audience = {
            let mut state = self.state.lock();
            state.sessions.insert(sub, session);
            let audience = &mut state.audience;
            audience.viewer_count += 1;
            audience.total_views += 1;
            audience.unique_viewers += 1;
            audience.peak_viewers = audience.peak_viewers.max(audience.viewer_count);
            *audience
        };
        AudienceEvent::Joined(ViewerJoined {
            session_id: session.into(),
            person: person(sub),
            identity: sealer.identity(sub).await,
            device: None,
            device_type: Some(DeviceType::Mobile),
            location: Location { country: Some("DE".to_owned()), city: Some("Berlin".to_owned()) },
            rtc_uid: 2,
            basis: AccessBasis::Public,
            audience,
        })
        .into()
    }

    fn left(&self, sub: &'static str) -> ShowEvent {
        let left_at = self.now();
        let mut state = self.state.lock();
        let session = state.sessions.remove(sub).unwrap_or_default();
        state.audience.viewer_count = state.audience.viewer_count.saturating_sub(1);
        AudienceEvent::Left(ViewerLeft {
            session_id: session.into(),
            person: person(sub),
            left_at,
            reason: LeaveReason::Left,
            audience: state.audience,
        })
        .into()
    }

    fn tip_of(&self, sub: &'static str) -> TipId {
        self.state.lock().tips.remove(sub).unwrap_or_else(|| TipId(Uuid::new_v4()))
    }

    async fn tip_requested(&self, sealer: &Sealer<'_>, sub: &'static str, cents: i64) -> ShowEvent {
        let tip_id = TipId(Uuid::new_v4());
        self.state.lock().tips.insert(sub, tip_id);
        LedgerEvent::TipRequested(TipRequested {
            tip_id,
            payment_id: Uuid::new_v4().into(),
            person: person(sub),
            identity: sealer.identity(sub).await,
            amount: usd(cents),
            message: Some(sealer.seal(sub, field::MESSAGE, b"Great content!").await),
        })
        .into()
    }

    async fn tip_captured(&self, sealer: &Sealer<'_>, sub: &'static str, cents: i64) -> ShowEvent {
        LedgerEvent::TipCaptured(TipCaptured {
            tip_id: self.tip_of(sub),
            payment_id: Uuid::new_v4().into(),
            person: person(sub),
            identity: Some(sealer.identity(sub).await),
            amount: usd(cents),
            message: Some(sealer.seal(sub, field::MESSAGE, b"Great content!").await),
        })
        .into()
    }
}

struct Sealer<'a> {
    vault: &'a Vault,
    event_id: EventId,
}

impl Sealer<'_> {
    async fn seal(&self, sub: &str, field: &'static str, plain: &[u8]) -> Sealed {
        self.vault.seal(person(sub), self.event_id, field, plain).await.unwrap()
    }

    async fn identity(&self, sub: &str) -> Sealed {
        let who = Identity { sub: sub.to_owned(), name: format!("{sub} the name") };
        self.vault.seal_identity(person(sub), self.event_id, &who).await.unwrap()
    }
}

fn usd(cents: i64) -> Money {
    Money::from_minor(cents, Currency::USD).unwrap()
}

fn metadata(occurred_at: Timestamp) -> Metadata {
    Metadata {
        occurred_at,
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
        description: "About music".to_owned(),
        category: Some("music".to_owned()),
        tags: vec!["jazz".to_owned()],
        language: Some("en".to_owned()),
        thumbnail_url: None,
    }
}

fn totals() -> ClosingTotals {
    ClosingTotals {
        duration_seconds: 3_600,
        viewer_count: 1,
        peak_viewers: 1,
        total_views: 1,
        unique_viewers: 1,
        messages_count: 1,
        total_tips: usd(0),
        pending_tips: 0,
    }
}

fn revised(is_protected: bool) -> ShowEvent {
    let access = AccessPolicy { subscriber_only: is_protected, ticket_price: None };
    let revised = ShowRevised { details: details(), access, currency: Currency::USD, scheduled_start: None };
    SettingsEvent::Revised(revised).into()
}

async fn posted(sealer: &Sealer<'_>, sub: &str, text: &str) -> ShowEvent {
    ChatEvent::Posted(MessagePosted {
        message_id: Uuid::new_v4().into(),
        author: person(sub),
        identity: sealer.identity(sub).await,
        text: sealer.seal(sub, field::TEXT, text.as_bytes()).await,
        digest: TextDigest(Uuid::nil()),
        features: MessageFeatures::default(),
        reply_to: None,
        client_message_id: None,
        role: AuthorRole::Viewer,
        is_subscriber: true,
    })
    .into()
}
