//! One sample of every event, as the corpus holds it.

use schemas::events::*;
use schemas::{
    BodyHash, CommandId, Currency, Event, KeyId, Money, PersonId, Sealed, ShowId, TextDigest, Timestamp,
};
use std::collections::BTreeMap;
use uuid::Uuid;

fn id<T: From<Uuid>>(n: u128) -> T {
    Uuid::from_u128(n).into()
}

fn sealed(n: u128) -> Sealed {
    serde_json::from_value(serde_json::json!({
        "keyId": id::<KeyId>(n), "nonce": "AAECAwQFBgcICQoL", "ciphertext": "c2VhbGVk",
    }))
    .unwrap()
}

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::USD).unwrap()
}

fn details() -> ShowDetails {
    ShowDetails {
        title: "Evening session".into(),
        description: "Two hours of cello".into(),
        category: Some("music".into()),
        tags: vec!["cello".into(), "live".into()],
        language: Some("en".into()),
        thumbnail_url: Some("https://images.example/cello.png".into()),
    }
}

fn settings() -> StreamSettings {
    StreamSettings { quality: Quality::Uhd, max_viewers: Some(500), ..StreamSettings::default() }
}

fn access() -> AccessPolicy {
    AccessPolicy { subscriber_only: true, ticket_price: Some(usd(500)) }
}

fn counts() -> AudienceCounts {
    AudienceCounts { viewer_count: 3, peak_viewers: 7, total_views: 12, unique_viewers: 9 }
}

/// All of them.
pub fn all() -> Vec<Event> {
    let mut all = lifecycle();
    all.extend(people());
    all.extend(tips());
    all.extend(payment());
    all
}

fn lifecycle() -> Vec<Event> {
    let show_id = id::<ShowId>(1);
    let shows: [ShowEvent; 6] = [
        LifecycleEvent::Created(ShowCreated {
            show_id,
            creator: id(2),
            creator_identity: sealed(3),
            details: details(),
            access: access(),
            settings: settings(),
            currency: Currency::USD,
            scheduled_start: Some(Timestamp::from_millis(1_751_054_400_000)),
            channel: "show_1".into(),
            host_uid: 1,
        })
        .into(),
        LifecycleEvent::Started(ShowStarted { show_id }).into(),
        LifecycleEvent::Ended(ShowEnded {
            show_id,
            totals: ClosingTotals {
                duration_seconds: 3_600,
                viewer_count: 45,
                peak_viewers: 60,
                total_views: 150,
                unique_viewers: 120,
                messages_count: 234,
                total_tips: usd(12_550),
                pending_tips: 1,
            },
        })
        .into(),
        LifecycleEvent::Cancelled(ShowCancelled { show_id }).into(),
        SettingsEvent::Revised(ShowRevised {
            details: details(),
            access: AccessPolicy::default(),
            currency: Currency::USD,
            scheduled_start: None,
        })
        .into(),
        SettingsEvent::StreamSettings(StreamSettingsChanged { settings: settings() }).into(),
    ];
    shows.into_iter().map(Event::from).collect()
}

fn people() -> Vec<Event> {
    let events: [ShowEvent; 4] = [
        AudienceEvent::Joined(ViewerJoined {
            session_id: id(10),
            person: id(11),
            identity: sealed(12),
            device: Some(id(13)),
            device_type: Some(DeviceType::Tablet),
            location: Location { country: Some("DE".into()), city: Some("Berlin".into()) },
            rtc_uid: 2,
            basis: AccessBasis::Public,
            audience: counts(),
        })
        .into(),
        AudienceEvent::Left(ViewerLeft {
            session_id: id(10),
            person: id(11),
            left_at: Timestamp::from_millis(1_751_054_400_500),
            reason: LeaveReason::Unseen,
            audience: counts(),
        })
        .into(),
        ChatEvent::Posted(MessagePosted {
            message_id: id(20),
            author: id(11),
            identity: sealed(12),
            text: sealed(12),
            digest: TextDigest(Uuid::from_u128(21)),
            features: MessageFeatures {
                characters: 12,
                words: 2,
                emoji: 1,
                links: 0,
                language: Some("eng".into()),
            },
            reply_to: Some(id(19)),
            client_message_id: Some("c-1".into()),
            role: AuthorRole::Viewer,
            is_subscriber: true,
        })
        .into(),
        InteractionEvent::Reactions(ReactionsCounted {
            counts: BTreeMap::from([("FIRE".into(), 3), ("LOVE".into(), 41)]),
            first_time: vec![id::<PersonId>(11)],
            commands: vec![CountedReaction {
                command_id: id::<CommandId>(30),
                body_hash: BodyHash([7; 16]),
                person: id(11),
            }],
        })
        .into(),
    ];
    events.into_iter().map(Event::from).collect()
}

fn tips() -> Vec<Event> {
    let events: [ShowEvent; 3] = [
        LedgerEvent::TipRequested(TipRequested {
            tip_id: id(40),
            payment_id: id(41),
            person: id(11),
            identity: sealed(12),
            amount: usd(1_000),
            message: Some(sealed(12)),
        })
        .into(),
        LedgerEvent::TipCaptured(TipCaptured {
            tip_id: id(40),
            payment_id: id(41),
            person: id(11),
            identity: Some(sealed(12)),
            amount: usd(1_000),
            message: None,
        })
        .into(),
        LedgerEvent::TipDeclined(TipDeclined {
            tip_id: id(40),
            payment_id: id(41),
            person: id(11),
            reason: DeclineReason::Expired,
        })
        .into(),
    ];
    events.into_iter().map(Event::from).collect()
}

fn payment() -> Vec<Event> {
    let payment_id = id(41);
    let events = [
        PaymentEvent::Requested(PaymentRequested {
            payment_id,
            purpose: PaymentPurpose::Tip { show_id: id(1), tip_id: id(40) },
            payer: id(11),
            payee: id(2),
            amount: usd(1_000),
        }),
        PaymentEvent::Captured(PaymentCaptured {
            payment_id,
            provider: "stripe".into(),
            provider_ref: "pi_1".into(),
            amount: usd(1_000),
        }),
        PaymentEvent::Declined(PaymentDeclined { payment_id, reason: DeclineReason::Declined }),
        PaymentEvent::Applied(PaymentApplied { payment_id }),
    ];
    events.into_iter().map(Event::from).collect()
}
