//! Events by hand.

use platform::event_log::{NewEvent, codec};
use rust_decimal::Decimal;
use schemas::events::{
    AccessBasis, AccessPolicy, AudienceCounts, AudienceEvent, AuthorRole, ChatEvent, ClosingTotals,
    DeviceType, LeaveReason, LedgerEvent, LifecycleEvent, Location, MessageFeatures, MessagePosted,
    ShowCreated, ShowDetails, ShowEnded, ShowEvent, ShowStarted, StreamSettings, TipCaptured, TipRequested,
    ViewerJoined, ViewerLeft,
};
use schemas::{
    Actor, BodyHash, CommandId, Currency, DeviceId, Event, EventId, MessageId, Metadata, Money, PaymentId,
    PersonId, Sealed, SessionId, ShowId, TextDigest, Timestamp, TipId, streams,
};
use serde_json::json;
use uuid::Uuid;

/// 2025-06-27T20:00:00Z: second 0 of every test.
const START_MS: i64 = 1_751_054_400_000;

pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub(crate) fn show(n: u128) -> ShowId {
    ShowId(id(0x5000 + n))
}

pub(crate) fn person(n: u128) -> PersonId {
    PersonId(id(0xa000 + n))
}

pub(crate) fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + ms)
}

/// A sealed value that can be told from others.
pub(crate) fn sealed(n: u8) -> Sealed {
    let value = json!({ "keyId": id(n.into()), "nonce": "AAAAAAAAAAAAAAAA", "ciphertext": "AAAA" });
    serde_json::from_value(value).unwrap()
}

pub(crate) fn usd(cents: i64) -> Money {
    Money::new(Decimal::new(cents, 2), Currency::USD).unwrap()
}

/// An event of a stream, at so many milliseconds. Its id is `id(n)`.
pub(crate) fn event(stream: String, n: u128, ms: i64, event: impl Into<Event>) -> (String, NewEvent) {
    let meta = Metadata {
        occurred_at: at_ms(ms),
        actor: Actor::System,
        causation: CommandId(id(n)),
        body_hash: BodyHash([0; 16]),
        correlation: None,
        traceparent: None,
        schema_version: 1,
    };
    (stream, codec::encode(&event.into(), &meta, EventId(id(n))).unwrap())
}

/// An event of show 1.
pub(crate) fn of_show(n: u128, ms: i64, happened: impl Into<ShowEvent>) -> (String, NewEvent) {
    event(streams::show(show(1)), n, ms, happened.into())
}

pub(crate) fn created(n: u128) -> LifecycleEvent {
    LifecycleEvent::Created(ShowCreated {
        show_id: show(n),
        creator: person(0),
        creator_identity: sealed(9),
        details: ShowDetails {
            title: "Night jazz".to_owned(),
            description: "Slow tunes".to_owned(),
            category: Some("music".to_owned()),
            tags: vec!["jazz".to_owned(), "live set".to_owned()],
            language: Some("en".to_owned()),
            thumbnail_url: None,
        },
        access: AccessPolicy { subscriber_only: false, ticket_price: Some(usd(500)) },
        settings: StreamSettings::default(),
        currency: Currency::USD,
        scheduled_start: Some(at_ms(60_000)),
        channel: "channel-1".to_owned(),
        host_uid: 1,
    })
}

pub(crate) fn started(n: u128) -> LifecycleEvent {
    LifecycleEvent::Started(ShowStarted { show_id: show(n) })
}

pub(crate) fn ended(n: u128, duration_seconds: u64) -> LifecycleEvent {
    LifecycleEvent::Ended(ShowEnded {
        show_id: show(n),
        totals: ClosingTotals {
            duration_seconds,
            viewer_count: 0,
            peak_viewers: 0,
            total_views: 0,
            unique_viewers: 0,
            messages_count: 0,
            total_tips: usd(0),
            pending_tips: 0,
        },
    })
}

pub(crate) fn counts(viewer_count: u32, peak_viewers: u32, total_views: u64, unique: u32) -> AudienceCounts {
    AudienceCounts { viewer_count, peak_viewers, total_views, unique_viewers: unique }
}

pub(crate) fn joined(session: u128, who: u128, audience: AudienceCounts) -> AudienceEvent {
    AudienceEvent::Joined(ViewerJoined {
        session_id: SessionId(id(session)),
        person: person(who),
        identity: sealed(1),
        device: Some(DeviceId(id(session + 0x1000))),
        device_type: Some(DeviceType::Mobile),
        location: Location { country: Some("DE".to_owned()), city: Some("Jena".to_owned()) },
        rtc_uid: 7,
        basis: AccessBasis::Entitled,
        audience,
    })
}

pub(crate) fn left(session: u128, who: u128, left_ms: i64, reason: LeaveReason) -> AudienceEvent {
    AudienceEvent::Left(ViewerLeft {
        session_id: SessionId(id(session)),
        person: person(who),
        left_at: at_ms(left_ms),
        reason,
        audience: counts(0, 1, 1, 1),
    })
}

pub(crate) fn posted(message: u128, author: u128, reply_to: Option<u128>) -> ChatEvent {
    ChatEvent::Posted(MessagePosted {
        message_id: MessageId(id(message)),
        author: person(author),
        identity: sealed(2),
        text: sealed(3),
        digest: TextDigest(id(message)),
        features: MessageFeatures::default(),
        reply_to: reply_to.map(|reply| MessageId(id(reply))),
        client_message_id: Some("c-1\0".to_owned()),
        role: AuthorRole::Moderator,
        is_subscriber: true,
    })
}

pub(crate) fn tip_requested(tip: u128, who: u128, amount: Money) -> LedgerEvent {
    LedgerEvent::TipRequested(TipRequested {
        tip_id: TipId(id(tip)),
        payment_id: PaymentId(id(tip + 0x1000)),
        person: person(who),
        identity: sealed(4),
        amount,
        message: Some(sealed(5)),
    })
}

pub(crate) fn tip_captured(tip: u128, who: u128, amount: Money, identity: Option<Sealed>) -> LedgerEvent {
    LedgerEvent::TipCaptured(TipCaptured {
        tip_id: TipId(id(tip)),
        payment_id: PaymentId(id(tip + 0x1000)),
        person: person(who),
        message: identity.as_ref().map(|_| sealed(7)),
        identity,
        amount,
    })
}
