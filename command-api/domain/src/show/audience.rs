//! Who is in the show: sessions of persons on devices.

use schemas::events::{
    AudienceCounts, AudienceEvent, LeaveReason, LifecycleEvent, ShowEvent, ViewerJoined, ViewerLeft,
};
use schemas::{DeviceId, PersonId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::lifecycle::HOST_UID;
use super::shared_map::SharedMap;
use super::{About, Show, access};
use crate::command::{Command, ExpireSession, JoinShow, LeaveShow};
use crate::rejection::{AccessReason, Rejection};
use crate::rules::MAX_SESSIONS_A_PERSON;

/// The audience.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Audience {
    /// Everybody who ever entered, with the sessions that are open now, or were when the show ended. Stored in pieces.
    #[serde(skip)]
    pub(crate) persons: SharedMap<PersonId, Vec<OpenSession>>,
    /// Whether the show is over: its end ended every session at once.
    is_over: bool,
    counts: AudienceCounts,
    last_uid: u32,
}

/// A session that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenSession {
    /// The session.
    pub session_id: SessionId,
    /// On which device; none is a device too.
    pub device: Option<DeviceId>,
    /// Since when.
    pub joined_at: Timestamp,
    /// The uid in the video channel.
    pub rtc_uid: u32,
}

pub(crate) fn join(show: &Show, command: &Command, join: &JoinShow) -> Result<Vec<ShowEvent>, Rejection> {
    let about = access::live(show)?;
    let (person, role) = access::person_of(command)?;
    if about.creator == person || show.audience.session_on(person, join.device).is_some() {
        return Ok(Vec::new());
    }
    let basis = access::entry(&about.access, role, join.entitlements).map_err(Rejection::AccessDenied)?;
    check_room(&show.audience, about, person)?;
    Ok(vec![
        AudienceEvent::Joined(ViewerJoined {
            session_id: SessionId(command.id.creates("session")),
            person,
            identity: join.identity.clone(),
            device: join.device,
            device_type: join.device_type,
            location: join.location.clone(),
            rtc_uid: show.audience.last_uid.max(HOST_UID) + 1,
            basis,
            audience: show.audience.counts_with(person),
        })
        .into(),
    ])
}

/// The cap counts persons, not sessions. Where tickets are sold it caps the tickets, and a holder always enters.
fn check_room(audience: &Audience, about: &About, person: PersonId) -> Result<(), Rejection> {
    let open = audience.sessions(person).len();
    if open >= MAX_SESSIONS_A_PERSON as usize {
        return Err(Rejection::TooManySessions { limit: MAX_SESSIONS_A_PERSON });
    }
    let seated = open > 0 || about.access.ticket_price.is_some();
    match about.settings.max_viewers {
        Some(cap) if !seated && audience.counts.viewer_count >= cap => {
            Err(Rejection::AccessDenied(AccessReason::ShowFull))
        }
        _ => Ok(()),
    }
}

pub(crate) fn leave(show: &Show, command: &Command, leave: LeaveShow) -> Result<Vec<ShowEvent>, Rejection> {
    access::existing(show)?;
    let (person, _) = access::person_of(command)?;
    let open = show.audience.sessions(person);
    if leave.session_id.is_some() && !show.audience.has_entered(person) {
        return Err(Rejection::SessionUnknown);
    }
    let now = show.time_of(command);
    let leaving: Vec<OpenSession> = open
        .iter()
        .filter(|session| leave.session_id.is_none_or(|id| id == session.session_id))
        .copied()
        .collect();
    Ok(departures(&show.audience, person, &leaving, LeaveReason::Left, now))
}

pub(crate) fn expire(
    show: &Show,
    command: &Command,
    expire: ExpireSession,
) -> Result<Vec<ShowEvent>, Rejection> {
    access::system_only(command)?;
    access::existing(show)?;
    let now = show.time_of(command);
    let Some(session) = show.open_session(expire.person, expire.session_id).copied() else {
        return Ok(Vec::new());
    };
    let left_at = expire.last_seen.min(now);
    Ok(departures(&show.audience, expire.person, &[session], LeaveReason::Unseen, left_at))
}

/// One event a session, each with the audience that it leaves behind.
fn departures(
    audience: &Audience,
    person: PersonId,
    leaving: &[OpenSession],
    reason: LeaveReason,
    left_at: Timestamp,
) -> Vec<ShowEvent> {
    let mut open = audience.sessions(person).len();
    let mut counts = audience.counts;
    let mut events = Vec::with_capacity(leaving.len());
    for session in leaving {
        open -= 1;
        if open == 0 {
            counts.viewer_count -= 1;
        }
        events.push(
            AudienceEvent::Left(ViewerLeft {
                session_id: session.session_id,
                person,
                left_at: left_at.max(session.joined_at),
                reason,
                audience: counts,
            })
            .into(),
        );
    }
    events
}

impl Audience {
    /// The counts now.
    #[must_use]
    pub fn counts(&self) -> AudienceCounts {
        self.counts
    }

    /// A person's open sessions.
    #[must_use]
    pub fn sessions(&self, person: PersonId) -> &[OpenSession] {
        self.persons.get(&person).filter(|_| !self.is_over).map_or(&[], Vec::as_slice)
    }

    /// A person's open session on a device.
    #[must_use]
    pub fn session_on(&self, person: PersonId, device: Option<DeviceId>) -> Option<&OpenSession> {
        self.sessions(person).iter().find(|session| session.device == device)
    }

    /// Whether a person ever began a session here.
    #[must_use]
    pub fn has_entered(&self, person: PersonId) -> bool {
        self.persons.contains_key(&person)
    }

    /// Every open session, in no order.
    pub fn open(&self) -> impl Iterator<Item = (PersonId, &OpenSession)> {
        let persons = self.persons.iter().filter(|_| !self.is_over);
        persons.flat_map(|(person, sessions)| sessions.iter().map(|session| (*person, session)))
    }

    fn counts_with(&self, person: PersonId) -> AudienceCounts {
        let mut counts = self.counts;
        counts.total_views += 1;
        if !self.has_entered(person) {
            counts.unique_viewers += 1;
        }
        if self.sessions(person).is_empty() {
            counts.viewer_count += 1;
        }
        counts.peak_viewers = counts.peak_viewers.max(counts.viewer_count);
        counts
    }

    pub(crate) fn evolve(&mut self, event: &AudienceEvent, at: Timestamp) {
        match event {
            AudienceEvent::Joined(joined) => {
                let mut sessions = self.sessions(joined.person).to_vec();
                sessions.push(OpenSession {
                    session_id: joined.session_id,
                    device: joined.device,
                    joined_at: at,
                    rtc_uid: joined.rtc_uid,
                });
                self.persons.insert(joined.person, sessions);
                self.last_uid = self.last_uid.max(joined.rtc_uid);
                self.counts = joined.audience;
            }
            AudienceEvent::Left(left) => {
                let mut sessions = self.sessions(left.person).to_vec();
                sessions.retain(|session| session.session_id != left.session_id);
                self.persons.insert(left.person, sessions);
                self.counts = left.audience;
            }
        }
    }

    /// The end of the show ends every session.
    pub(crate) fn evolve_lifecycle(&mut self, event: &LifecycleEvent) {
        match event {
            LifecycleEvent::Ended(_) => {
                self.is_over = true;
                self.counts.viewer_count = 0;
            }
            LifecycleEvent::Created(_) | LifecycleEvent::Started(_) | LifecycleEvent::Cancelled(_) => {}
        }
    }
}
