//! Messages: features only.

use schemas::published::PostedMessage;
use uuid::Uuid;

use super::{Place, fact, or_unknown};

fact! {
    /// Of the view `messages`.
    MessageRow(show_id) in "fact_messages" {
        /// The message.
        #[serde(with = "clickhouse::serde::uuid")]
        message_id: Uuid,
        /// Who wrote it.
        #[serde(with = "clickhouse::serde::uuid")]
        author: Uuid,
        /// In which role.
        role: &'static str,
        /// Whether the author subscribed to the creator then.
        is_subscriber: bool,
        /// Whether it answers another message.
        is_reply: bool,
        /// Code points.
        characters: u32,
        /// Words.
        words: u32,
        /// Emoji.
        emoji: u32,
        /// Web addresses.
        links: u32,
        /// Language, or unknown.
        language: String,
    }
}

impl MessageRow {
    pub(super) fn posted(place: Place, message: &PostedMessage) -> Self {
        Self {
            message_id: message.message_id.0,
            author: message.author.0,
            role: message.role.name(),
            is_subscriber: message.is_subscriber,
            is_reply: message.reply_to.is_some(),
            characters: message.features.characters,
            words: message.features.words,
            emoji: message.features.emoji,
            links: message.features.links,
            language: or_unknown(message.features.language.as_ref()),
            ..Self::at(place, 0)
        }
    }
}
