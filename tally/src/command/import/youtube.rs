//! yt-dlp's `live_chat.json`: a line for each action of the chat, as YouTube's own client gets it.

use serde_json::Value;
use std::collections::HashSet;
use std::io::BufRead;
use std::ops::ControlFlow;

use super::amount;
use super::export::{Author, Each, Entry, Head, Host, Said, cleaned, line};

/// What stands beside an action's or item's own member.
const NOISE: &str = "clickTrackingParams";

/// What stands in for a message that is held back.
const PLACEHOLDER: &str = "liveChatPlaceholderItemRenderer";

/// Placeholders that are remembered until what they stand for is shown: most never are.
const HELD_MAX: usize = 20_000;

pub(super) fn read(mut from: impl BufRead, each: &mut Each<'_>) -> anyhow::Result<Head> {
    let mut head = Head::default();
    let mut held = Held::default();
    let mut bytes = Vec::new();
    while line(&mut from, &mut bytes)?.is_some() {
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        for entry in entries(&bytes, &mut held) {
            if let Entry::Said(said) = &entry
                && said.author.is_host
                && head.host.is_none()
            {
                head.host = Some(Host { id: said.author.id.clone(), name: said.author.name.clone() });
            }
            if each(entry) == ControlFlow::Break(()) {
                return Ok(head);
            }
        }
    }
    for _ in held.0 {
        if each(Entry::Unmapped(PLACEHOLDER.to_owned())) == ControlFlow::Break(()) {
            break;
        }
    }
    Ok(head)
}

/// The ids of placeholders for which nothing was shown yet.
#[derive(Default)]
struct Held(HashSet<String>);

impl Held {
    /// Remembers a placeholder, unless there are too many.
    fn hold(&mut self, id: &Value) -> bool {
        let id = id.as_str().filter(|_| self.0.len() < HELD_MAX);
        id.is_some_and(|id| self.0.insert(id.to_owned()))
    }

    /// Whether it was one; it is none any more.
    fn release(&mut self, id: &Value) -> bool {
        id.as_str().is_some_and(|id| self.0.remove(id))
    }
}

/// What a line is to us. One that cannot be read must not spoil the rest: downloads are cut off.
fn entries(line: &[u8], held: &mut Held) -> Vec<Entry> {
    let Ok(line) = serde_json::from_slice::<Value>(line) else {
        return vec![Entry::Unmapped("line that cannot be read".to_owned())];
    };
    let replay = &line["replayChatItemAction"];
    // recorded while live, the offset stands outside
    let at_ms = offset_ms(&replay["videoOffsetTimeMsec"]).or(offset_ms(&line["videoOffsetTimeMsec"]));
    let at_ms = at_ms.unwrap_or(0);
    let actions: &[Value] = match replay["actions"].as_array() {
        Some(actions) => actions,
        None => std::slice::from_ref(&line),
    };
    actions.iter().flat_map(|action| of_action(action, at_ms, held)).collect()
}

/// Where an item stands on the show's clock. Before the show the text beside it counts down, whatever the offset says.
fn shown_ms(item: &Value, offset_ms: i64) -> i64 {
    let clock = item["timestampText"]["simpleText"].as_str().and_then(|text| text.strip_prefix('-'));
    let add = |sum: i64, part: &str| sum.checked_mul(60)?.checked_add(i64::from(part.parse::<u16>().ok()?));
    let seconds = clock.and_then(|clock| clock.split(':').try_fold(0, add));
    seconds.map_or(offset_ms, |seconds| offset_ms.min(seconds.saturating_mul(-1_000)))
}

fn offset_ms(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The one member that says what an object is.
fn kind(object: &Value) -> Option<(&str, &Value)> {
    let members = object.as_object()?.iter().filter(|(key, _)| *key != NOISE);
    members.map(|(key, value)| (key.as_str(), value)).next()
}

fn of_action(action: &Value, at_ms: i64, held: &mut Held) -> Vec<Entry> {
    let unmapped = |kind: &str| vec![Entry::Unmapped(kind.to_owned())];
    match kind(action) {
        Some(("addChatItemAction", added)) => of_item(&added["item"], at_ms, held),
        // what was held back is let go; any other replacement is of something that was told before
        Some(("replaceChatItemAction", replaced)) if held.release(&replaced["targetItemId"]) => {
            of_item(&replaced["replacementItem"], at_ms, held)
        }
        Some((kind, _)) => unmapped(kind),
        None => unmapped("action without a kind"),
    }
}

fn of_item(item: &Value, at_ms: i64, held: &mut Held) -> Vec<Entry> {
    let unmapped = |kind: &str| vec![Entry::Unmapped(kind.to_owned())];
    let Some((renderer, item)) = kind(item) else { return unmapped("item without a kind") };
    let at_ms = shown_ms(item, at_ms);
    match renderer {
        PLACEHOLDER if held.hold(&item["id"]) => Vec::new(),
        "liveChatTextMessageRenderer" => said(item, at_ms, &item["message"]).into_iter().collect(),
        "liveChatPaidMessageRenderer" => paid(item, at_ms, &item["message"]),
        "liveChatPaidStickerRenderer" => {
            paid(item, at_ms, &item["sticker"]["accessibility"]["accessibilityData"]["label"])
        }
        "liveChatMembershipItemRenderer" => {
            let is_milestone = item.get("headerPrimaryText").is_some();
            let mut entries = unmapped(if is_milestone { "membership milestone" } else { "new membership" });
            if item.get("message").is_some() {
                entries.extend(said(item, at_ms, &item["message"]));
            }
            entries
        }
        "liveChatSponsorshipsGiftPurchaseAnnouncementRenderer" => unmapped("gifted memberships"),
        "liveChatSponsorshipsGiftRedemptionAnnouncementRenderer" => unmapped("received a gifted membership"),
        other => unmapped(other),
    }
}

/// Somebody who wrote; without a text it is told as empty.
fn said(item: &Value, at_ms: i64, text: &Value) -> Option<Entry> {
    let (Some(id), Some(author)) = (item["id"].as_str(), author(item)) else {
        return Some(Entry::Unmapped("message without id or author".to_owned()));
    };
    let (text, emotes) = text_of(text);
    if text.is_empty() {
        return Some(Entry::Unmapped("empty message".to_owned()));
    }
    Some(Entry::Said(Said { id: id.to_owned(), at_ms, author, text, emotes, paid: None }))
}

fn paid(item: &Value, at_ms: i64, words: &Value) -> Vec<Entry> {
    let (Some(id), Some(author)) = (item["id"].as_str(), author(item)) else {
        return vec![Entry::Unmapped("payment without id or author".to_owned())];
    };
    let (amount, _) = text_of(&item["purchaseAmountText"]);
    let (text, emotes) = text_of(words);
    let paid = amount::parse(&amount);
    let mut entries = Vec::new();
    if paid.is_none() {
        entries.push(Entry::Unmapped(format!("payment of an unknown amount: {amount}")));
    }
    // the words are worth telling, whatever they were worth
    if paid.is_some() || !text.is_empty() {
        entries.push(Entry::Said(Said { id: id.to_owned(), at_ms, author, text, emotes, paid }));
    }
    entries
}

fn author(item: &Value) -> Option<Author> {
    let id = item["authorExternalChannelId"].as_str().filter(|id| !id.is_empty())?;
    let (name, _) = text_of(&item["authorName"]);
    let badges = item["authorBadges"].as_array().map_or(&[][..], Vec::as_slice);
    let has = |wanted: &str| {
        let icon = |badge: &Value| badge["liveChatAuthorBadgeRenderer"]["icon"]["iconType"] == wanted;
        badges.iter().any(icon)
    };
    Some(Author {
        id: id.to_owned(),
        name: if name.is_empty() { id.to_owned() } else { name },
        is_host: has("OWNER"),
        is_moderator: has("MODERATOR"),
    })
}

/// A text in any of its forms, with emotes as what one would type, and how many these are.
fn text_of(value: &Value) -> (String, u64) {
    if let Some(text) = value.as_str().or_else(|| value["simpleText"].as_str()) {
        return (cleaned(text), 0);
    }
    let (mut text, mut emotes) = (String::new(), 0);
    for run in value["runs"].as_array().into_iter().flatten() {
        if let Some(plain) = run["text"].as_str() {
            text.push_str(plain);
        } else if let Some(emoji) = run.get("emoji") {
            let shortcut = emoji["shortcuts"][0].as_str();
            let is_custom = emoji["isCustomEmoji"].as_bool().unwrap_or(false);
            // the id of a common one is the emoji itself
            let typed = if is_custom { shortcut } else { emoji["emojiId"].as_str().or(shortcut) };
            text.push_str(typed.unwrap_or_default());
            emotes += u64::from(is_custom);
        }
    }
    (cleaned(&text), emotes)
}

#[cfg(test)]
#[path = "youtube_tests.rs"]
mod tests;
