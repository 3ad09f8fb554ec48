//! Messages: features only.

use schemas::events::AuthorRole;
use schemas::published::{Published, PublishedEvent};
use uuid::Uuid;

use super::{or_unknown, show_fact};

show_fact! {
    /// Of the view `messages`.
    MessageRow of "fact_messages" {
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

pub(super) fn row(published: &Published, show: Uuid) -> Option<MessageRow> {
    match &published.event {
        PublishedEvent::MessagePosted(message) => Some(MessageRow {
            show_id: show,
            revision: published.revision,
            row: 0,
            position: published.position.0,
            occurred_at: published.occurred_at.millis(),
            message_id: message.message_id.0,
            author: message.author.0,
            role: role(message.role),
            is_subscriber: message.is_subscriber,
            is_reply: message.reply_to.is_some(),
            characters: message.features.characters,
            words: message.features.words,
            emoji: message.features.emoji,
            links: message.features.links,
            language: or_unknown(message.features.language.as_ref()),
        }),
        PublishedEvent::ShowCreated(_)
        | PublishedEvent::ShowStarted(_)
        | PublishedEvent::ShowEnded(_)
        | PublishedEvent::ShowCancelled(_)
        | PublishedEvent::ShowRevised(_)
        | PublishedEvent::StreamSettingsChanged(_)
        | PublishedEvent::ViewerJoined(_)
        | PublishedEvent::ViewerLeft(_)
        | PublishedEvent::ReactionsCounted(_)
        | PublishedEvent::TipRequested(_)
        | PublishedEvent::TipCaptured(_)
        | PublishedEvent::TipDeclined(_)
        | PublishedEvent::PaymentRequested(_)
        | PublishedEvent::PaymentCaptured(_)
        | PublishedEvent::PaymentDeclined(_)
        | PublishedEvent::PaymentApplied(_) => None,
    }
}

fn role(role: AuthorRole) -> &'static str {
    match role {
        AuthorRole::Host => "HOST",
        AuthorRole::Moderator => "MODERATOR",
        AuthorRole::Admin => "ADMIN",
        AuthorRole::Viewer => "VIEWER",
    }
}
