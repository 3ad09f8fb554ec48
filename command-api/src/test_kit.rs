//! What the tests of this crate share: commands of made-up persons, and a show to send them to.

pub(crate) mod provider;

use domain::command::{Action, CreateShow, Entitlements, JoinShow, LeaveShow, PostMessage, Reaction};
use domain::{Caller, Command, PlatformRole};
use schemas::events::{Location, MessageFeatures, ShowDetails, ShowEvent, StreamSettings};
use schemas::{
    AttemptId, BodyHash, CommandId, Currency, Envelope, PersonId, Sealed, SessionId, ShowId, TextDigest,
    Timestamp,
};
use uuid::Uuid;

pub(crate) const HOST: u128 = 1;
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

pub(crate) fn show_id() -> ShowId {
    ShowId(Uuid::from_u128(0x5707))
}

pub(crate) fn person(n: u128) -> PersonId {
    PersonId(Uuid::from_u128(n))
}

pub(crate) fn sealed() -> Sealed {
    serde_json::from_value(serde_json::json!({
        "keyId": Uuid::nil(), "nonce": "AAECAwQFBgcICQoL", "ciphertext": "c2VhbGVk",
    }))
    .unwrap()
}

fn id_of(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(n))
}

/// A command under an id of its own.
pub(crate) fn command(caller: Caller, id: u128, action: Action) -> Command {
    Command {
        id: id_of(id),
        // those whose events two nodes make alike, as tips are, and all others
        attempt: if id.is_multiple_of(2) { AttemptId::only(id_of(id)) } else { AttemptId::fresh() },
        body_hash: BodyHash::default(),
        at: NOW,
        caller,
        correlation: None,
        traceparent: None,
        action,
    }
}

pub(crate) fn by(who: u128, id: u128, action: Action) -> Command {
    let role = if who == HOST { PlatformRole::Creator } else { PlatformRole::Viewer };
    command(Caller::Person { person: person(who), role }, id, action)
}

pub(crate) fn create(max_viewers: Option<u32>) -> Action {
    Action::Create(Box::new(CreateShow {
        show_id: show_id(),
        identity: sealed(),
        details: ShowDetails {
            title: "A show".to_owned(),
            description: String::new(),
            category: None,
            tags: Vec::new(),
            language: None,
            thumbnail_url: None,
        },
        subscriber_only: false,
        ticket_price: None,
        currency: Currency::USD,
        settings: StreamSettings { max_viewers, ..StreamSettings::default() },
        scheduled_start: None,
        channel: "channel".to_owned(),
    }))
}

pub(crate) fn join() -> Action {
    Action::Join(Box::new(JoinShow {
        identity: sealed(),
        device: None,
        device_type: None,
        location: Location::default(),
        entitlements: Entitlements::default(),
    }))
}

pub(crate) fn leave(session_id: Option<SessionId>) -> Action {
    Action::Leave(LeaveShow { session_id })
}

pub(crate) fn post(text: u128) -> Action {
    Action::Post(Box::new(PostMessage {
        identity: sealed(),
        text: sealed(),
        digest: TextDigest(Uuid::from_u128(text)),
        features: MessageFeatures::default(),
        reply_to: None,
        client_message_id: None,
    }))
}

pub(crate) fn reaction(who: u128, id: u128) -> Reaction {
    Reaction {
        command_id: id_of(id),
        body_hash: BodyHash::default(),
        person: person(who),
        role: PlatformRole::Viewer,
        kind: "LIKE".to_owned(),
        count: 1,
    }
}

/// The stored names of events.
pub(crate) fn names(events: &[Envelope<ShowEvent>]) -> Vec<&'static str> {
    events.iter().map(|event| event.event.stored().0).collect()
}
