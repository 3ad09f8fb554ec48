//! How a show stands at a revision: the fold of its stream, as far as viewers see it.
//!
//! A room's state is built from the log, so that it is exact at the sequence that it names and live frames go
//! on from there. Reading a whole stream of a hundred thousand events would make the first viewer wait for
//! seconds, so a long show begins with the read model's row, which is exact at the revision that it names, takes
//! its latest messages from the log backwards from there, and folds the events after it; see [`super::history`].

use bytes::Bytes;
use platform::http::amount::AmountNumber;
use rust_decimal::Decimal;
use schemas::events::{
    AccessPolicy, AudienceCounts, AudienceEvent, ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent,
    MessagePosted, SettingsEvent, ShowEvent,
};
use schemas::{Currency, Envelope, EventId, PersonId, Revision, ShowId, Timestamp};
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::sync::Arc;

use super::frame::{self, FrameType, SnapshotData, Status, ViewerCountData};

/// Messages in a snapshot: a screenful of chat for whoever comes in.
pub(crate) const RECENT_MESSAGES_MAX: usize = 50;

/// A message with its place, still sealed: an erasure holds for snapshots too.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Its place in the show.
    pub revision: Revision,
    /// Its event, to which the sealed fields are bound.
    pub event_id: EventId,
    /// When.
    pub at: Timestamp,
    /// The event.
    pub message: MessagePosted,
}

impl Posted {
    pub(crate) fn of(envelope: &Envelope<ShowEvent>, message: &MessagePosted) -> Self {
        Self {
            revision: envelope.revision,
            event_id: envelope.event_id,
            at: envelope.meta.occurred_at,
            message: message.clone(),
        }
    }
}

/// What an event means for those who watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// A frame of its own, which is replayed.
    Frame,
    /// Nothing of its own: at most another number of viewers, told with the next coalesced count.
    Silent,
}

/// What an event means for those who watch. Each event is spelled out: a new one must be thought about here.
pub(crate) fn effect(event: &ShowEvent) -> Effect {
    match event {
        ShowEvent::Lifecycle(
            LifecycleEvent::Created(_)
            | LifecycleEvent::Started(_)
            | LifecycleEvent::Ended(_)
            | LifecycleEvent::Cancelled(_),
        )
        | ShowEvent::Chat(ChatEvent::Posted(_))
        | ShowEvent::Interaction(InteractionEvent::Reactions(_))
        | ShowEvent::Ledger(LedgerEvent::TipCaptured(_)) => Effect::Frame,
        ShowEvent::Audience(AudienceEvent::Joined(_) | AudienceEvent::Left(_))
        | ShowEvent::Settings(SettingsEvent::Revised(_) | SettingsEvent::StreamSettings(_))
        | ShowEvent::Ledger(LedgerEvent::TipRequested(_) | LedgerEvent::TipDeclined(_)) => Effect::Silent,
    }
}

/// A show at a revision.
#[derive(Clone, Debug)]
pub struct ShowState {
    /// The show.
    pub show: ShowId,
    /// Everything up to this event is in.
    pub revision: Revision,
    /// The latest event that made a frame.
    pub last_frame: Option<Revision>,
    /// Whose show it is.
    pub creator: PersonId,
    /// Whether not everybody may enter.
    pub is_protected: bool,
    /// Where it stands.
    pub status: Status,
    /// Who is there.
    pub audience: AudienceCounts,
    /// The show's currency.
    pub currency: Currency,
    /// Tips captured.
    pub total_tips: Decimal,
    /// Messages shown.
    pub messages_count: u64,
    /// Whether viewers may chat.
    pub is_chat_enabled: bool,
    /// Whether viewers may tip.
    pub are_tips_enabled: bool,
    /// The latest messages, oldest first.
    pub recent: VecDeque<Arc<Posted>>,
}

impl ShowState {
    /// The state after a show's first event; `None` where that is not its creation.
    pub(crate) fn begin(first: &Envelope<ShowEvent>) -> Option<Self> {
        let ShowEvent::Lifecycle(LifecycleEvent::Created(created)) = &first.event else { return None };
        Some(Self {
            show: created.show_id,
            revision: first.revision,
            last_frame: Some(first.revision),
            creator: created.creator,
            is_protected: is_protected(&created.access),
            status: Status::Scheduled,
            audience: AudienceCounts::default(),
            currency: created.currency,
            total_tips: Decimal::ZERO,
            messages_count: 0,
            is_chat_enabled: created.settings.chat_enabled,
            are_tips_enabled: created.settings.tips_enabled,
            recent: VecDeque::new(),
        })
    }

    /// Takes the next event in.
    pub(crate) fn fold(&mut self, envelope: &Envelope<ShowEvent>) {
        self.revision = envelope.revision;
        if effect(&envelope.event) == Effect::Frame {
            self.last_frame = Some(envelope.revision);
        }
        match &envelope.event {
            ShowEvent::Lifecycle(event) => self.fold_lifecycle(event),
            ShowEvent::Settings(event) => self.fold_settings(event),
            ShowEvent::Audience(AudienceEvent::Joined(joined)) => self.audience = joined.audience,
            ShowEvent::Audience(AudienceEvent::Left(left)) => self.audience = left.audience,
            ShowEvent::Chat(ChatEvent::Posted(message)) => self.fold_message(envelope, message),
            ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => self.total_tips += tip.amount.amount(),
            ShowEvent::Interaction(InteractionEvent::Reactions(_))
            | ShowEvent::Ledger(LedgerEvent::TipRequested(_) | LedgerEvent::TipDeclined(_)) => {}
        }
    }

    fn fold_lifecycle(&mut self, event: &LifecycleEvent) {
        self.status = match event {
            LifecycleEvent::Created(_) => self.status,
            LifecycleEvent::Started(_) => Status::Live,
            LifecycleEvent::Ended(_) => {
                // the end closes every session
                self.audience.viewer_count = 0;
                Status::Ended
            }
            LifecycleEvent::Cancelled(_) => Status::Cancelled,
        };
    }

    fn fold_settings(&mut self, event: &SettingsEvent) {
        match event {
            SettingsEvent::Revised(revised) => {
                self.is_protected = is_protected(&revised.access);
                self.currency = revised.currency;
            }
            SettingsEvent::StreamSettings(changed) => {
                self.is_chat_enabled = changed.settings.chat_enabled;
                self.are_tips_enabled = changed.settings.tips_enabled;
            }
        }
    }

    fn fold_message(&mut self, envelope: &Envelope<ShowEvent>, message: &MessagePosted) {
        self.messages_count += 1;
        if self.recent.len() == RECENT_MESSAGES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::new(Posted::of(envelope, message)));
    }

    /// The number of viewers as it is, for the end of a resume. A room that is behind the client has no current
    /// count yet; the next coalesced one will tell it.
    pub(crate) fn current_count(&self, at_least: Revision) -> Option<Result<Bytes, serde_json::Error>> {
        if self.revision < at_least || self.status == Status::Cancelled {
            return None;
        }
        let viewer_count = self.audience.viewer_count;
        let data = ViewerCountData { stream_id: self.show, viewer_count, is_increasing: false };
        Some(frame::coalesced(FrameType::ViewerCountUpdate, self.revision, &data))
    }

    /// What a snapshot tells, with the messages already opened.
    pub(crate) fn snapshot(&self, recent_messages: Arc<RawValue>) -> SnapshotData {
        SnapshotData {
            stream_id: self.show,
            status: self.status,
            viewer_count: self.audience.viewer_count,
            peak_viewers: self.audience.peak_viewers,
            total_tips: AmountNumber::new(self.total_tips, self.currency.minor_digits()),
            currency: self.currency,
            messages_count: self.messages_count,
            chat_enabled: self.is_chat_enabled,
            tips_enabled: self.are_tips_enabled,
            recent_messages,
            sequence: self.revision,
        }
    }
}

fn is_protected(access: &AccessPolicy) -> bool {
    access.subscriber_only || access.ticket_price.is_some()
}
