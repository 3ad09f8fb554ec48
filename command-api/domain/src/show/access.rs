//! Who may enter, and who may take part.

use schemas::PersonId;
use schemas::events::{AccessBasis, AccessPolicy};

use super::{About, Show};
use crate::command::{Command, Entitlements, PlatformRole};
use crate::rejection::{AccessReason, Rejection, ShowStatus};

/// The show and what is known of it, or there is none.
pub(crate) fn existing(show: &Show) -> Result<(&About, ShowStatus), Rejection> {
    show.lifecycle.announced().map(|(about, phase)| (about, phase.status())).ok_or(Rejection::ShowNotFound)
}

/// The show, if it is on air.
pub(crate) fn live(show: &Show) -> Result<&About, Rejection> {
    match existing(show)? {
        (about, ShowStatus::Live) => Ok(about),
        (_, status @ (ShowStatus::Scheduled | ShowStatus::Ended | ShowStatus::Cancelled)) => {
            Err(Rejection::WrongStatus { status })
        }
    }
}

/// The show, if the caller is its creator or an admin.
pub(crate) fn own<'a>(show: &'a Show, command: &Command) -> Result<(&'a About, ShowStatus), Rejection> {
    let (about, status) = existing(show)?;
    let (person, role) = person_of(command)?;
    if about.creator == person || role == PlatformRole::Admin {
        return Ok((about, status));
    }
    Err(Rejection::NotTheCreator)
}

/// The person who asks. The system asks only what is its own.
pub(crate) fn person_of(command: &Command) -> Result<(PersonId, PlatformRole), Rejection> {
    match command.caller {
        crate::Caller::Person { person, role } => Ok((person, role)),
        crate::Caller::System => Err(Rejection::SystemOnly),
    }
}

/// Only the system may ask.
pub(crate) fn system_only(command: &Command) -> Result<(), Rejection> {
    match command.caller {
        crate::Caller::System => Ok(()),
        crate::Caller::Person { .. } => Err(Rejection::SystemOnly),
    }
}

/// Why a person may enter, or may not.
pub(crate) fn entry(
    policy: &AccessPolicy,
    role: PlatformRole,
    entitlements: Entitlements,
) -> Result<AccessBasis, AccessReason> {
    if role >= PlatformRole::Moderator {
        return Ok(AccessBasis::Staff);
    }
    let lacks_subscription = policy.subscriber_only && !entitlements.subscribes;
    let lacks_ticket = policy.ticket_price.is_some() && !entitlements.holds_ticket;
    match (lacks_subscription, lacks_ticket) {
        (true, true) => Err(AccessReason::SubscriptionAndTicketRequired),
        (true, false) => Err(AccessReason::SubscriptionRequired),
        (false, true) => Err(AccessReason::TicketRequired),
        (false, false) if policy == &AccessPolicy::default() => Ok(AccessBasis::Public),
        (false, false) => Ok(AccessBasis::Entitled),
    }
}

/// Refuses persons who never entered a protected show. Host and staff always may take part.
pub(crate) fn may_take_part(
    show: &Show,
    about: &About,
    person: PersonId,
    role: PlatformRole,
) -> Result<(), Rejection> {
    if about.creator == person || show.audience.has_entered(person) {
        return Ok(());
    }
    entry(&about.access, role, Entitlements::default()).map(drop).map_err(Rejection::AccessDenied)
}
