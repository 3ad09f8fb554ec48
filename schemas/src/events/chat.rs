//! What people write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::stored_events;
use crate::{MessageId, PersonId, Sealed, TextDigest};

stored_events! {
    /// Messages.
    ChatEvent {
        /// A message was shown.
        Posted(MessagePosted) = "MessagePosted" v 1,
    }
}

/// A message was shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessagePosted {
    /// The message.
    pub message_id: MessageId,
    /// Who wrote it.
    pub author: PersonId,
    /// Who that is, sealed (field `identity`).
    pub identity: Sealed,
    /// What they wrote, sealed (field `text`): 1–500 code points.
    pub text: Sealed,
    /// Tells a repeat.
    pub digest: TextDigest,
    /// What may be known of the text without the text.
    pub features: MessageFeatures,
    /// The message that this one answers.
    pub reply_to: Option<MessageId>,
    /// The client's own id of the message, at most 64 characters.
    pub client_message_id: Option<String>,
    /// In which role it was written.
    pub role: AuthorRole,
    /// Whether the author subscribed to the creator at that time.
    pub is_subscriber: bool,
}

/// What may be known of a text without the text. Computed once, when deciding, so that an erasure changes no figure.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageFeatures {
    /// Code points.
    pub characters: u32,
    /// Words, by Unicode segmentation.
    pub words: u32,
    /// Emoji.
    pub emoji: u32,
    /// Web addresses.
    pub links: u32,
    /// ISO 639-3, where the text is long enough to tell.
    pub language: Option<String>,
}

/// In which role somebody speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AuthorRole {
    /// The show's creator.
    Host,
    /// A moderator of the platform or of the show.
    Moderator,
    /// An administrator of the platform.
    Admin,
    /// Everybody else.
    Viewer,
}

impl AuthorRole {
    /// Its name, as in stored events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "HOST",
            Self::Moderator => "MODERATOR",
            Self::Admin => "ADMIN",
            Self::Viewer => "VIEWER",
        }
    }
}
