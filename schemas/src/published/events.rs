//! What is published of each event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::catalogue::stored_events;
use crate::events::{
    AccessBasis, AccessPolicy, AudienceCounts, AudienceEvent, AuthorRole, ChatEvent, DeviceType,
    InteractionEvent, LedgerEvent, LifecycleEvent, Location, MessageFeatures, PaymentApplied,
    PaymentDeclined, PaymentEvent, PaymentRequested, SettingsEvent, ShowCancelled, ShowDetails, ShowEnded,
    ShowEvent, ShowStarted, StreamSettings, StreamSettingsChanged, TipDeclined, ViewerLeft,
};
use crate::{Currency, Event, MessageId, Money, PaymentId, PersonId, SessionId, ShowId, Timestamp, TipId};

stored_events! {
    /// Any event, as far as it leaves the log. Versions are of the published shape, not of the stored one.
    PublishedEvent {
        /// A creator announced a show.
        ShowCreated(CreatedShow) = "ShowCreated" v 1,
        /// The host went live.
        ShowStarted(ShowStarted) = "ShowStarted" v 1,
        /// The show is over.
        ShowEnded(ShowEnded) = "ShowEnded" v 1,
        /// The show was called off before it began.
        ShowCancelled(ShowCancelled) = "ShowCancelled" v 1,
        /// What is announced of a show, anew.
        ShowRevised(RevisedShow) = "ShowRevised" v 1,
        /// How a show runs, from now on.
        StreamSettingsChanged(StreamSettingsChanged) = "StreamSettingsChanged" v 1,
        /// A person began a session.
        ViewerJoined(JoinedViewer) = "ViewerJoined" v 1,
        /// A session is over.
        ViewerLeft(ViewerLeft) = "ViewerLeft" v 1,
        /// A message was shown.
        MessagePosted(PostedMessage) = "MessagePosted" v 1,
        /// Reactions of about one second.
        ReactionsCounted(CountedReactions) = "ReactionsCounted" v 1,
        /// Somebody wants to tip, and may.
        TipRequested(RequestedTip) = "TipRequested" v 1,
        /// The tip was paid.
        TipCaptured(CapturedTip) = "TipCaptured" v 1,
        /// The tip was not paid.
        TipDeclined(TipDeclined) = "TipDeclined" v 1,
        /// The payment was decided.
        PaymentRequested(PaymentRequested) = "PaymentRequested" v 1,
        /// The provider has the money.
        PaymentCaptured(CapturedPayment) = "PaymentCaptured" v 1,
        /// There will be no money.
        PaymentDeclined(PaymentDeclined) = "PaymentDeclined" v 1,
        /// What the payment was for knows how it ended.
        PaymentApplied(PaymentApplied) = "PaymentApplied" v 1,
    }
}

/// What is published of an announcement: not the description, which is free text of any length.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedDetails {
    /// 1–140 code points.
    pub title: String,
    /// Free text of the platform's choice, for example `music`.
    pub category: Option<String>,
    /// At most 10.
    pub tags: Vec<String>,
    /// BCP 47, for example `en`.
    pub language: Option<String>,
}

/// Of `ShowCreated`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedShow {
    /// The show.
    pub show_id: ShowId,
    /// Its creator and host.
    pub creator: PersonId,
    /// Title and the rest of what is announced.
    pub details: PublishedDetails,
    /// Who may enter.
    pub access: AccessPolicy,
    /// How it runs.
    pub settings: StreamSettings,
    /// The one currency of the show.
    pub currency: Currency,
    /// When it should start, if that is known.
    pub scheduled_start: Option<Timestamp>,
}

/// Of `ShowRevised`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisedShow {
    /// Title and the rest.
    pub details: PublishedDetails,
    /// Who may enter.
    pub access: AccessPolicy,
    /// The one currency of the show.
    pub currency: Currency,
    /// When it should start.
    pub scheduled_start: Option<Timestamp>,
}

/// Of `ViewerJoined`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinedViewer {
    /// The session.
    pub session_id: SessionId,
    /// Who, as a pseudonym.
    pub person: PersonId,
    /// What kind of device; `None`: unknown.
    pub device_type: Option<DeviceType>,
    /// Where.
    pub location: Location,
    /// Why they may be here.
    pub basis: AccessBasis,
    /// The audience with this person in it.
    pub audience: AudienceCounts,
}

/// Of `MessagePosted`: not its text, nor the hash that tells a repeat of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostedMessage {
    /// The message.
    pub message_id: MessageId,
    /// Who wrote it, as a pseudonym.
    pub author: PersonId,
    /// What may be known of the text without the text.
    pub features: MessageFeatures,
    /// The message that this one answers.
    pub reply_to: Option<MessageId>,
    /// In which role it was written.
    pub role: AuthorRole,
    /// Whether the author subscribed to the creator at that time.
    pub is_subscriber: bool,
}

/// Of `ReactionsCounted`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountedReactions {
    /// How many of each type.
    pub counts: BTreeMap<String, u32>,
    /// Persons who reacted for the first time in this show.
    pub first_time: Vec<PersonId>,
}

/// Of `TipRequested`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestedTip {
    /// The tip.
    pub tip_id: TipId,
    /// Its payment.
    pub payment_id: PaymentId,
    /// Who tips, as a pseudonym.
    pub person: PersonId,
    /// How much; above zero.
    pub amount: Money,
}

/// Of `TipCaptured`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapturedTip {
    /// The tip.
    pub tip_id: TipId,
    /// Its payment.
    pub payment_id: PaymentId,
    /// Who tipped, as a pseudonym.
    pub person: PersonId,
    /// How much.
    pub amount: Money,
}

/// Of `PaymentCaptured`: not what the provider calls it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapturedPayment {
    /// The payment.
    pub payment_id: PaymentId,
    /// Which provider.
    pub provider: String,
    /// How much was captured.
    pub amount: Money,
}

impl PublishedEvent {
    /// What leaves the log of a stored event.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        match event {
            Event::Show(event) => Self::of_show(event),
            Event::Payment(event) => Self::of_payment(event),
        }
    }

    /// What leaves the log of an event of a show.
    #[must_use]
    pub fn of_show(event: &ShowEvent) -> Self {
        match event {
            ShowEvent::Lifecycle(event) => of_lifecycle(event),
            ShowEvent::Settings(event) => of_settings(event),
            ShowEvent::Audience(event) => of_audience(event),
            ShowEvent::Chat(ChatEvent::Posted(message)) => Self::MessagePosted(PostedMessage {
                message_id: message.message_id,
                author: message.author,
                features: message.features.clone(),
                reply_to: message.reply_to,
                role: message.role,
                is_subscriber: message.is_subscriber,
            }),
            ShowEvent::Interaction(InteractionEvent::Reactions(counted)) => {
                Self::ReactionsCounted(CountedReactions {
                    counts: counted.counts.clone(),
                    first_time: counted.first_time.clone(),
                })
            }
            ShowEvent::Ledger(event) => of_ledger(event),
        }
    }

    /// What leaves the log of an event of a payment.
    #[must_use]
    pub fn of_payment(event: &PaymentEvent) -> Self {
        match event {
            PaymentEvent::Requested(requested) => Self::PaymentRequested(requested.clone()),
            PaymentEvent::Captured(captured) => Self::PaymentCaptured(CapturedPayment {
                payment_id: captured.payment_id,
                provider: captured.provider.clone(),
                amount: captured.amount,
            }),
            PaymentEvent::Declined(declined) => Self::PaymentDeclined(declined.clone()),
            PaymentEvent::Applied(applied) => Self::PaymentApplied(applied.clone()),
        }
    }
}

fn of_lifecycle(event: &LifecycleEvent) -> PublishedEvent {
    match event {
        LifecycleEvent::Created(created) => PublishedEvent::ShowCreated(CreatedShow {
            show_id: created.show_id,
            creator: created.creator,
            details: details(&created.details),
            access: created.access.clone(),
            settings: created.settings,
            currency: created.currency,
            scheduled_start: created.scheduled_start,
        }),
        LifecycleEvent::Started(started) => PublishedEvent::ShowStarted(started.clone()),
        LifecycleEvent::Ended(ended) => PublishedEvent::ShowEnded(ended.clone()),
        LifecycleEvent::Cancelled(cancelled) => PublishedEvent::ShowCancelled(cancelled.clone()),
    }
}

fn of_settings(event: &SettingsEvent) -> PublishedEvent {
    match event {
        SettingsEvent::Revised(revised) => PublishedEvent::ShowRevised(RevisedShow {
            details: details(&revised.details),
            access: revised.access.clone(),
            currency: revised.currency,
            scheduled_start: revised.scheduled_start,
        }),
        SettingsEvent::StreamSettings(changed) => PublishedEvent::StreamSettingsChanged(changed.clone()),
    }
}

fn of_audience(event: &AudienceEvent) -> PublishedEvent {
    match event {
        AudienceEvent::Joined(joined) => PublishedEvent::ViewerJoined(JoinedViewer {
            session_id: joined.session_id,
            person: joined.person,
            device_type: joined.device_type,
            location: joined.location.clone(),
            basis: joined.basis,
            audience: joined.audience,
        }),
        AudienceEvent::Left(left) => PublishedEvent::ViewerLeft(left.clone()),
    }
}

fn of_ledger(event: &LedgerEvent) -> PublishedEvent {
    match event {
        LedgerEvent::TipRequested(tip) => PublishedEvent::TipRequested(RequestedTip {
            tip_id: tip.tip_id,
            payment_id: tip.payment_id,
            person: tip.person,
            amount: tip.amount,
        }),
        LedgerEvent::TipCaptured(tip) => PublishedEvent::TipCaptured(CapturedTip {
            tip_id: tip.tip_id,
            payment_id: tip.payment_id,
            person: tip.person,
            amount: tip.amount,
        }),
        LedgerEvent::TipDeclined(tip) => PublishedEvent::TipDeclined(tip.clone()),
    }
}

fn details(details: &ShowDetails) -> PublishedDetails {
    PublishedDetails {
        title: details.title.clone(),
        category: details.category.clone(),
        tags: details.tags.clone(),
        language: details.language.clone(),
    }
}
