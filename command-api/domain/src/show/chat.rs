//! Messages.

use schemas::events::{AuthorRole, ChatEvent, MessagePosted, ShowEvent};
use schemas::{MessageId, PersonId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use super::recent::RecentActs;
use super::{About, Show, access};
use crate::command::{Command, PlatformRole, PostMessage};
use crate::rejection::Rejection;
use crate::rules::{REPLY_WINDOW, Rules};

/// What the chat remembers of itself.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Chat {
    messages_count: u64,
    pub(crate) recent: RecentActs,
    answerable: VecDeque<MessageId>,
}

pub(crate) fn post(
    show: &Show,
    command: &Command,
    post: &PostMessage,
    rules: &Rules,
) -> Result<Vec<ShowEvent>, Rejection> {
    let about = access::live(show)?;
    let (author, platform_role) = access::person_of(command)?;
    if !about.settings.chat_enabled {
        return Err(Rejection::ChatDisabled);
    }
    access::may_take_part(show, about, author, platform_role)?;
    let role = role_of(about, author, platform_role);
    let now = show.time_of(command);
    let rate = if role == AuthorRole::Viewer { rules.chat } else { rules.chat_staff };
    show.chat.recent.check_rate(author, now, rate, "messages")?;
    show.chat.recent.check_repeat(author, now, post.digest, rules.duplicate_window_ms)?;
    if post.reply_to.is_some_and(|id| !show.chat.answerable.contains(&id)) {
        return Err(Rejection::MessageUnknown);
    }
    Ok(vec![
        ChatEvent::Posted(MessagePosted {
            message_id: MessageId(command.id.creates("message")),
            author,
            identity: post.identity.clone(),
            text: post.text.clone(),
            digest: post.digest,
            features: post.features.clone(),
            reply_to: post.reply_to,
            client_message_id: post.client_message_id.clone(),
            role,
            is_subscriber: false,
        })
        .into(),
    ])
}

fn role_of(about: &About, person: PersonId, role: PlatformRole) -> AuthorRole {
    match role {
        _ if about.creator == person => AuthorRole::Host,
        PlatformRole::Admin => AuthorRole::Admin,
        PlatformRole::Moderator => AuthorRole::Moderator,
        PlatformRole::Creator | PlatformRole::Viewer => AuthorRole::Viewer,
    }
}

impl Chat {
    pub(crate) fn messages_count(&self) -> u64 {
        self.messages_count
    }

    pub(crate) fn evolve(&mut self, event: &ChatEvent, at: Timestamp) {
        match event {
            ChatEvent::Posted(message) => {
                self.messages_count += 1;
                self.recent.record(message.author, at, Some(message.digest));
                if self.answerable.len() == REPLY_WINDOW {
                    self.answerable.pop_front();
                }
                self.answerable.push_back(message.message_id);
            }
        }
    }
}
