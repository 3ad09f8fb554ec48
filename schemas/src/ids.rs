//! Typed identifiers. One type per thing that has an identity, so that ids cannot be mixed up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

typed_id!(
    /// A live stream, from its creation to its end: the `streamId` of the API.
    ShowId
);
typed_id!(
    /// A person, as a keyed pseudonym of the token's subject (UUID version 8). Nobody without the
    /// pseudonym key can go from one to the other.
    PersonId
);
typed_id!(
    /// A device of a person, as a keyed pseudonym of the `deviceId` that the client sent.
    DeviceId
);
typed_id!(
    /// One stay of a person on a device in a show.
    SessionId
);
typed_id!(
    /// A chat message.
    MessageId
);
typed_id!(
    /// A tip. Derived from the command that asked for it.
    TipId
);
typed_id!(
    /// A payment, and the name of its stream.
    PaymentId
);
typed_id!(
    /// A stored event. Derived from the command that caused it, so that a repeat is recognisable.
    EventId
);
typed_id!(
    /// A command. Derived from caller, route and `Idempotency-Key`, or fresh where there is no key.
    CommandId
);
typed_id!(
    /// A person's key in the key vault.
    KeyId
);

typed_id!(
    /// One attempt at a command. A repeat of the command is another attempt, on whichever node; deciding anew
    /// after a conflict, and appending anew what may or may not be in the log, are the same one.
    AttemptId
);

impl AttemptId {
    /// An attempt that nobody else makes (UUID version 7).
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// The only attempt there ever is at a command whose events must be found by its id: two nodes that run it make
    /// events with the same ids.
    #[must_use]
    pub fn only(command: CommandId) -> Self {
        Self(command.0)
    }

    /// Whether another node cannot have made events with these ids.
    #[must_use]
    pub fn is_ours_alone(self) -> bool {
        self.0.get_version_num() == 7
    }

    /// The id of the `index`th event of this attempt (UUID version 5 of attempt and index).
    #[must_use]
    pub fn event(self, index: u32) -> EventId {
        EventId(Uuid::new_v5(&self.0, format!("event/{index}").as_bytes()))
    }
}

impl CommandId {
    /// The id of the `index`th event of a command with one attempt only: [`AttemptId::only`].
    #[must_use]
    pub fn event(self, index: u32) -> EventId {
        AttemptId::only(self).event(index)
    }

    /// The id of a thing that this command creates: the same on every repeat (UUID version 5).
    #[must_use]
    pub fn creates(self, what: &str) -> Uuid {
        Uuid::new_v5(&self.0, what.as_bytes())
    }

    /// The id of a command that a reactor derives from this one, for example the settlement of a payment.
    #[must_use]
    pub fn derived(self, step: &str) -> CommandId {
        CommandId(Uuid::new_v5(&self.0, format!("command/{step}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_repeat_and_differ_by_purpose() {
        let command = CommandId(Uuid::from_u128(7));
        assert_eq!(command.event(0), command.event(0));
        assert_ne!(command.event(0), command.event(1));
        assert_ne!(command.creates("tip"), command.creates("message"));
        assert_ne!(command.derived("settle").0, command.creates("settle"));
    }
}
