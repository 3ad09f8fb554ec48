//! TwitchDownloader's JSON: one object, of which `comments` may be gigabytes. It is read comment by comment.

use schemas::{Currency, Money};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::io::Read;
use std::ops::ControlFlow;

use super::export::{Author, Each, Entry, Head, Host, Said, cleaned};
use super::notices;

/// A bit is worth a cent to who gets it.
const CENTS_A_BIT: i64 = 1;

/// Why the reading of comments ended early, to whoever reads serde's errors.
const ENOUGH: &str = "no more comments are wanted";

#[derive(Deserialize)]
struct Streamer {
    #[serde(default)]
    name: String,
    id: Option<Id>,
}

#[derive(Deserialize)]
struct Video {
    title: Option<String>,
    id: Option<Id>,
    created_at: Option<String>,
    /// Where the cut begins, of a video or a clip; comments count from the beginning of the whole.
    #[serde(default)]
    start: f64,
    #[serde(default)]
    end: f64,
    /// −1 where it is not known.
    #[serde(default)]
    length: f64,
    game: Option<String>,
    #[serde(default)]
    chapters: Vec<Chapter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chapter {
    game_display_name: Option<String>,
}

#[derive(Deserialize)]
struct Comment {
    #[serde(rename = "_id")]
    id: String,
    content_offset_seconds: f64,
    commenter: Option<Commenter>,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Commenter {
    #[serde(rename = "_id")]
    id: Id,
    display_name: Option<String>,
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Message {
    body: Option<String>,
    #[serde(default)]
    bits_spent: i64,
    fragments: Option<Vec<Fragment>>,
    user_badges: Option<Vec<Badge>>,
    user_notice_params: Option<Notice>,
}

#[derive(Deserialize)]
struct Fragment {
    #[serde(default)]
    text: String,
    emoticon: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Badge {
    #[serde(rename = "_id", default)]
    id: String,
}

#[derive(Deserialize)]
struct Notice {
    #[serde(rename = "msg-id", alias = "msg_id")]
    msg_id: Option<String>,
}

/// Older files have numbers where newer ones have texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

impl Id {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text).filter(|text| !text.is_empty()),
            Self::Number(number) => Some(number.to_string()),
        }
    }
}

pub(super) fn read(from: impl Read, each: &mut Each<'_>) -> anyhow::Result<Head> {
    let mut head = Head::default();
    let mut deserializer = serde_json::Deserializer::from_reader(from);
    let root = Root { head: &mut head, each };
    match deserializer.deserialize_map(root) {
        Ok(()) => Ok(head),
        Err(error) if error.to_string().starts_with(ENOUGH) => Ok(head),
        Err(error) => Err(error.into()),
    }
}

/// The outermost object.
struct Root<'a, 'b> {
    head: &'a mut Head,
    each: &'a mut Each<'b>,
}

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the object that TwitchDownloader writes")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "streamer" => {
                    if let Some(streamer) = map.next_value::<Option<Streamer>>()? {
                        let id =
                            streamer.id.and_then(Id::text).unwrap_or_else(|| streamer.name.to_lowercase());
                        self.head.host =
                            Some(Host { id, name: streamer.name }).filter(|host| !host.id.is_empty());
                    }
                }
                "video" => {
                    if let Some(video) = map.next_value::<Option<Video>>()? {
                        take_video(self.head, video);
                    }
                }
                "comments" => {
                    let host = self.head.host.as_ref().map(|host| host.id.clone());
                    map.next_value_seed(Comments { host, each: &mut *self.each })?;
                }
                // embedded images, mostly
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

fn take_video(head: &mut Head, video: Video) {
    let seconds = if video.end > video.start { video.end - video.start } else { video.length };
    head.start_ms = ms(video.start);
    head.id = video.id.and_then(Id::text).map(|id| match head.start_ms {
        0 => id,
        // another cut of the same video is another show
        start_ms => format!("{id}/{start_ms}"),
    });
    head.title = video.title.filter(|title| !title.trim().is_empty());
    head.date = video.created_at;
    head.length_ms = (seconds > 0.0).then(|| ms(seconds));
    let chapters = video.chapters.into_iter().filter_map(|chapter| chapter.game_display_name);
    for topic in video.game.into_iter().chain(chapters).filter(|topic| !topic.trim().is_empty()) {
        if !head.topics.contains(&topic) {
            head.topics.push(topic);
        }
    }
}

/// The list of comments.
struct Comments<'a, 'b> {
    host: Option<String>,
    each: &'a mut Each<'b>,
}

impl<'de> DeserializeSeed<'de> for Comments<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Comments<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of comments")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        while let Some(raw) = list.next_element::<Box<RawValue>>()? {
            for entry in entries(raw.get(), self.host.as_deref()) {
                if (self.each)(entry) == ControlFlow::Break(()) {
                    return Err(S::Error::custom(ENOUGH));
                }
            }
        }
        Ok(())
    }
}

/// What a comment is to us. One that cannot be read must not spoil the rest.
fn entries(raw: &str, host: Option<&str>) -> Vec<Entry> {
    let Ok(comment) = serde_json::from_str::<Comment>(raw) else {
        return vec![Entry::Unmapped("comment that cannot be read".to_owned())];
    };
    let Some((id, commenter)) = comment.commenter.and_then(|commenter| {
        let Commenter { id, display_name, name } = commenter;
        Some((id.text()?, display_name.or(name)))
    }) else {
        return vec![Entry::Unmapped("comment of a deleted account".to_owned())];
    };
    let message = comment.message.unwrap_or_default();
    let badges: Vec<&str> = message.user_badges.iter().flatten().map(|badge| badge.id.as_str()).collect();
    let author = Author {
        is_host: host == Some(id.as_str()) || badges.contains(&"broadcaster"),
        is_moderator: badges.contains(&"moderator"),
        name: commenter.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| id.clone()),
        id,
    };
    let (text, emotes) = text_of(message.body, message.fragments);
    let paid = match message.bits_spent {
        bits if bits > 0 => Money::from_minor(bits.saturating_mul(CENTS_A_BIT), Currency::USD).ok(),
        _ => None,
    };
    let told = notices::of(&text, &author.name, &author.id).filter(|_| paid.is_none());
    let named = message.user_notice_params.and_then(|notice| notice.msg_id).filter(|kind| !kind.is_empty());
    let kind = named.or_else(|| told.map(|notice| notice.kind.to_owned()));
    let words = told.map(|notice| notice.words.to_owned());
    let text = words.unwrap_or(text);
    let mut entries = Vec::new();
    match (text.is_empty(), paid, &kind) {
        (true, None, None) => entries.push(Entry::Unmapped("empty comment".to_owned())),
        (true, None, Some(_)) => {}
        (false, _, _) | (true, Some(_), _) => {
            let at_ms = ms(comment.content_offset_seconds);
            entries.push(Entry::Said(Said { id: comment.id, at_ms, author, text, emotes, paid }));
        }
    }
    entries.extend(kind.map(|kind| Entry::Unmapped(format!("notice: {kind}"))));
    entries
}

/// Fragments are the text in pieces, those of emotes with their names.
fn text_of(body: Option<String>, fragments: Option<Vec<Fragment>>) -> (String, u64) {
    let fragments = fragments.unwrap_or_default();
    let emotes = fragments.iter().filter(|fragment| fragment.emoticon.is_some()).count() as u64;
    let text = match body {
        Some(body) if !body.is_empty() => body,
        Some(_) | None => fragments.into_iter().map(|fragment| fragment.text).collect(),
    };
    (cleaned(&text), emotes)
}

#[expect(clippy::cast_possible_truncation, reason = "a cast keeps to the limits, and no show is that long")]
fn ms(seconds: f64) -> i64 {
    (seconds.max(0.0) * 1_000.0).round() as i64
}

#[cfg(test)]
#[path = "twitch_tests.rs"]
mod tests;
