//! A show's life: SCHEDULED → LIVE → ENDED, or SCHEDULED → CANCELLED.

use schemas::events::{
    AccessPolicy, ClosingTotals, LifecycleEvent, SettingsEvent, ShowCancelled, ShowCreated, ShowDetails,
    ShowEnded, ShowEvent, ShowStarted, StreamSettings,
};
use schemas::{Currency, Money, PersonId, Revision, ShowId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Show, access};
use crate::command::{Command, CreateShow, PlatformRole};
use crate::rejection::{Rejection, ShowStatus};

/// The host's uid in every video channel. Viewers' follow.
pub(crate) const HOST_UID: u32 = 1;

/// Whether there is a show, and where it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub enum Lifecycle {
    /// There is none.
    #[default]
    Absent,
    /// There is one.
    Announced(Box<About>, Phase),
}

/// What is known of a show in every phase.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct About {
    /// The show.
    pub show_id: ShowId,
    /// Its creator and host.
    pub creator: PersonId,
    /// Title and the rest.
    pub details: ShowDetails,
    /// Who may enter.
    pub access: AccessPolicy,
    /// How it runs.
    pub settings: StreamSettings,
    /// Its one currency.
    pub currency: Currency,
    /// When it should start.
    pub scheduled_start: Option<Timestamp>,
    /// The video channel.
    pub channel: String,
    /// The host's uid there.
    pub host_uid: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// The revision of the last change of anything above: the `ETag`.
    pub version: Revision,
}

/// Where a show is in its life.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// Announced.
    Scheduled,
    /// On air.
    Live {
        /// Since when.
        started_at: Timestamp,
    },
    /// Over.
    Ended {
        /// From when.
        started_at: Timestamp,
        /// Until when.
        ended_at: Timestamp,
        /// The totals at its end.
        totals: ClosingTotals,
    },
    /// Called off.
    Cancelled,
}

impl Phase {
    /// By name.
    #[must_use]
    pub fn status(&self) -> ShowStatus {
        match self {
            Self::Scheduled => ShowStatus::Scheduled,
            Self::Live { .. } => ShowStatus::Live,
            Self::Ended { .. } => ShowStatus::Ended,
            Self::Cancelled => ShowStatus::Cancelled,
        }
    }
}

pub(crate) fn create(
    show: &Show,
    command: &Command,
    create: &CreateShow,
) -> Result<Vec<ShowEvent>, Rejection> {
    let (creator, role) = access::person_of(command)?;
    if role < PlatformRole::Creator {
        return Err(Rejection::CreatorRoleRequired);
    }
    if show.lifecycle.announced().is_some() {
        return Err(Rejection::ShowExists);
    }
    let access = AccessPolicy {
        subscriber_only: create.subscriber_only,
        ticket_price: ticket_price(create.ticket_price, create.currency)?,
    };
    Ok(vec![
        LifecycleEvent::Created(ShowCreated {
            show_id: create.show_id,
            creator,
            creator_identity: create.identity.clone(),
            details: create.details.clone(),
            access,
            settings: create.settings,
            currency: create.currency,
            scheduled_start: create.scheduled_start,
            channel: create.channel.clone(),
            host_uid: HOST_UID,
        })
        .into(),
    ])
}

/// A price as stored: zero is none, less than zero is refused, and it is in the show's currency.
pub(crate) fn ticket_price(price: Option<Money>, currency: Currency) -> Result<Option<Money>, Rejection> {
    let Some(price) = price else { return Ok(None) };
    if price.currency() != currency {
        return Err(Rejection::CurrencyMismatch { expected: currency });
    }
    if price.is_positive() {
        return Ok(Some(price));
    }
    if price == Money::zero(currency) { Ok(None) } else { Err(Rejection::AmountNotPositive) }
}

pub(crate) fn start(show: &Show, command: &Command) -> Result<Vec<ShowEvent>, Rejection> {
    match access::own(show, command)? {
        (about, ShowStatus::Scheduled) => {
            Ok(vec![LifecycleEvent::Started(ShowStarted { show_id: about.show_id }).into()])
        }
        (_, status @ (ShowStatus::Live | ShowStatus::Ended | ShowStatus::Cancelled)) => {
            Err(Rejection::WrongStatus { status })
        }
    }
}

pub(crate) fn end(show: &Show, command: &Command) -> Result<Vec<ShowEvent>, Rejection> {
    let (about, status) = access::own(show, command)?;
    let Some((_, Phase::Live { started_at })) = show.lifecycle.announced() else {
        return Err(Rejection::WrongStatus { status });
    };
    let counts = show.audience.counts();
    let duration_ms = show.time_of(command).millis_since(*started_at);
    let totals = ClosingTotals {
        duration_seconds: u64::try_from(duration_ms / 1_000).unwrap_or(0),
        viewer_count: counts.viewer_count,
        peak_viewers: counts.peak_viewers,
        total_views: counts.total_views,
        unique_viewers: counts.unique_viewers,
        messages_count: show.chat.messages_count(),
        total_tips: show.ledger.total_tips().unwrap_or(Money::zero(about.currency)),
        pending_tips: show.ledger.pending_count(),
    };
    Ok(vec![LifecycleEvent::Ended(ShowEnded { show_id: about.show_id, totals }).into()])
}

pub(crate) fn cancel(show: &Show, command: &Command) -> Result<Vec<ShowEvent>, Rejection> {
    match access::own(show, command)? {
        (about, ShowStatus::Scheduled) => {
            Ok(vec![LifecycleEvent::Cancelled(ShowCancelled { show_id: about.show_id }).into()])
        }
        (_, status @ (ShowStatus::Live | ShowStatus::Ended | ShowStatus::Cancelled)) => {
            Err(Rejection::WrongStatus { status })
        }
    }
}

impl Lifecycle {
    pub(crate) fn announced(&self) -> Option<(&About, &Phase)> {
        match self {
            Self::Absent => None,
            Self::Announced(about, phase) => Some((about, phase)),
        }
    }

    pub(crate) fn evolve(&mut self, event: &LifecycleEvent, revision: Revision, at: Timestamp) {
        match event {
            LifecycleEvent::Created(created) => {
                *self = Self::Announced(Box::new(about(created, revision, at)), Phase::Scheduled);
            }
            LifecycleEvent::Started(_) => self.enter(|_| Phase::Live { started_at: at }),
            LifecycleEvent::Ended(ended) => {
                let totals = ended.totals.clone();
                self.enter(|phase| match phase {
                    Phase::Live { started_at } | Phase::Ended { started_at, .. } => {
                        Phase::Ended { started_at: *started_at, ended_at: at, totals }
                    }
                    Phase::Scheduled | Phase::Cancelled => {
                        Phase::Ended { started_at: at, ended_at: at, totals }
                    }
                });
            }
            LifecycleEvent::Cancelled(_) => self.enter(|_| Phase::Cancelled),
        }
    }

    pub(crate) fn evolve_settings(&mut self, event: &SettingsEvent, revision: Revision) {
        let Self::Announced(about, _) = self else { return };
        match event {
            SettingsEvent::Revised(revised) => {
                about.details = revised.details.clone();
                about.access = revised.access.clone();
                about.currency = revised.currency;
                about.scheduled_start = revised.scheduled_start;
            }
            SettingsEvent::StreamSettings(changed) => about.settings = changed.settings,
        }
        about.version = revision;
    }

    fn enter(&mut self, next: impl FnOnce(&Phase) -> Phase) {
        if let Self::Announced(_, phase) = self {
            *phase = next(phase);
        }
    }
}

fn about(created: &ShowCreated, revision: Revision, at: Timestamp) -> About {
    About {
        show_id: created.show_id,
        creator: created.creator,
        details: created.details.clone(),
        access: created.access.clone(),
        settings: created.settings,
        currency: created.currency,
        scheduled_start: created.scheduled_start,
        channel: created.channel.clone(),
        host_uid: created.host_uid,
        created_at: at,
        version: revision,
    }
}
