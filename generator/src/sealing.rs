//! Personal data on its way to the log. The generator has no keys: what is sealed there comes out of it plain, in the same
//! place, and whoever writes the log seals it first.

use schemas::events::{AudienceEvent, ChatEvent, LedgerEvent, LifecycleEvent, ShowEvent};
use schemas::{Bytes, Identity, KeyId, PersonId, Sealed};
use uuid::Uuid;

/// A value of an event that is still plain.
#[derive(Debug)]
pub struct PlainField<'a> {
    /// Under whose key it belongs.
    pub person: PersonId,
    /// In which field of the event it stands, as the associated data names it.
    pub field: &'static str,
    /// Where it stands. What is to be sealed is its cipher text.
    pub value: &'a mut Sealed,
}

/// A value that still has to be sealed.
pub(crate) fn plain(bytes: Vec<u8>) -> Sealed {
    Sealed { key_id: KeyId(Uuid::nil()), nonce: Bytes(Vec::new()), ciphertext: Bytes(bytes) }
}

/// The same of who somebody is, as the key vault writes it.
pub(crate) fn plain_identity(sub: &str, name: &str) -> Sealed {
    let identity = Identity { sub: sub.to_owned(), name: name.to_owned() };
    // two texts as JSON: writing them cannot fail
    plain(serde_json::to_vec(&identity).unwrap_or_default())
}

/// Every plain value of an event that was played. At most two.
#[must_use]
pub fn plain_fields(event: &mut ShowEvent) -> Vec<PlainField<'_>> {
    const IDENTITY: &str = "identity";
    match event {
        ShowEvent::Lifecycle(LifecycleEvent::Created(created)) => {
            vec![PlainField {
                person: created.creator,
                field: IDENTITY,
                value: &mut created.creator_identity,
            }]
        }
        ShowEvent::Audience(AudienceEvent::Joined(joined)) => {
            vec![PlainField { person: joined.person, field: IDENTITY, value: &mut joined.identity }]
        }
        ShowEvent::Chat(ChatEvent::Posted(posted)) => vec![
            PlainField { person: posted.author, field: IDENTITY, value: &mut posted.identity },
            PlainField { person: posted.author, field: "text", value: &mut posted.text },
        ],
        ShowEvent::Ledger(LedgerEvent::TipRequested(tip)) => {
            let identity = PlainField { person: tip.person, field: IDENTITY, value: &mut tip.identity };
            with_words(tip.person, Some(identity), &mut tip.message)
        }
        ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => {
            let person = tip.person;
            let identity = tip.identity.as_mut().map(|value| PlainField { person, field: IDENTITY, value });
            with_words(person, identity, &mut tip.message)
        }
        ShowEvent::Lifecycle(
            LifecycleEvent::Started(_) | LifecycleEvent::Ended(_) | LifecycleEvent::Cancelled(_),
        )
        | ShowEvent::Settings(_)
        | ShowEvent::Audience(AudienceEvent::Left(_))
        | ShowEvent::Interaction(_)
        | ShowEvent::Ledger(LedgerEvent::TipDeclined(_)) => Vec::new(),
    }
}

fn with_words<'a>(
    person: PersonId,
    identity: Option<PlainField<'a>>,
    words: &'a mut Option<Sealed>,
) -> Vec<PlainField<'a>> {
    let words = words.as_mut().map(|value| PlainField { person, field: "message", value });
    identity.into_iter().chain(words).collect()
}
