//! Changes to what was announced: all of it while SCHEDULED, the stream's settings also while LIVE.

use schemas::events::{
    AccessPolicy, SettingsEvent, ShowDetails, ShowEvent, ShowRevised, StreamSettings, StreamSettingsChanged,
};

use super::{About, Show, access, lifecycle};
use crate::command::{Command, ReviseShow};
use crate::rejection::{Rejection, ShowStatus};

pub(crate) fn revise(
    show: &Show,
    command: &Command,
    revise: &ReviseShow,
) -> Result<Vec<ShowEvent>, Rejection> {
    let (about, status) = access::own(show, command)?;
    if revise.expected_version.is_some_and(|expected| expected != about.version) {
        return Err(Rejection::StaleVersion { current: about.version });
    }
    let revised = revised(about, revise)?;
    let settings = settings(about.settings, revise);
    let announcement_changes = revised != announced(about);
    match status {
        ShowStatus::Scheduled => {}
        ShowStatus::Live if !announcement_changes => {}
        ShowStatus::Live | ShowStatus::Ended | ShowStatus::Cancelled => {
            return Err(Rejection::WrongStatus { status });
        }
    }
    let mut events = Vec::new();
    if announcement_changes {
        events.push(SettingsEvent::Revised(revised).into());
    }
    if settings != about.settings {
        events.push(SettingsEvent::StreamSettings(StreamSettingsChanged { settings }).into());
    }
    Ok(events)
}

fn announced(about: &About) -> ShowRevised {
    ShowRevised {
        details: about.details.clone(),
        access: about.access.clone(),
        currency: about.currency,
        scheduled_start: about.scheduled_start,
    }
}

fn revised(about: &About, change: &ReviseShow) -> Result<ShowRevised, Rejection> {
    let old = &about.details;
    let currency = change.currency.unwrap_or(about.currency);
    let price = change.ticket_price.unwrap_or(about.access.ticket_price);
    Ok(ShowRevised {
        details: ShowDetails {
            title: change.title.clone().unwrap_or_else(|| old.title.clone()),
            description: change.description.clone().unwrap_or_else(|| old.description.clone()),
            category: change.category.clone().unwrap_or_else(|| old.category.clone()),
            tags: change.tags.clone().unwrap_or_else(|| old.tags.clone()),
            language: change.language.clone().unwrap_or_else(|| old.language.clone()),
            thumbnail_url: change.thumbnail_url.clone().unwrap_or_else(|| old.thumbnail_url.clone()),
        },
        access: AccessPolicy {
            subscriber_only: change.subscriber_only.unwrap_or(about.access.subscriber_only),
            ticket_price: lifecycle::ticket_price(price, currency)?,
        },
        currency,
        scheduled_start: change.scheduled_start.unwrap_or(about.scheduled_start),
    })
}

fn settings(old: StreamSettings, change: &ReviseShow) -> StreamSettings {
    StreamSettings {
        quality: change.quality.unwrap_or(old.quality),
        recording_enabled: change.recording_enabled.unwrap_or(old.recording_enabled),
        chat_enabled: change.chat_enabled.unwrap_or(old.chat_enabled),
        tips_enabled: change.tips_enabled.unwrap_or(old.tips_enabled),
        max_viewers: change.max_viewers.unwrap_or(old.max_viewers),
    }
}
