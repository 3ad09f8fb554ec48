//! yt-dlp's files, with everything that YouTube's chats show.

use super::*;
use std::collections::BTreeMap;

const FILE: &str = include_str!("../../../../tests/vectors/chat_exports/youtube.live_chat.json");

fn all() -> (Head, Vec<Said>, BTreeMap<String, u32>) {
    all_of(FILE)
}

fn all_of(file: &str) -> (Head, Vec<Said>, BTreeMap<String, u32>) {
    let (mut said, mut unmapped) = (Vec::new(), BTreeMap::new());
    let head = read(file.as_bytes(), &mut |entry| {
        match entry {
            Entry::Said(one) => said.push(one),
            Entry::Unmapped(kind) => *unmapped.entry(kind).or_default() += 1,
        }
        ControlFlow::Continue(())
    });
    (head.unwrap(), said, unmapped)
}

#[test]
fn messages_are_read_with_their_people_times_and_emotes() {
    let (head, said, _) = all();
    let by_id = |id: &str| said.iter().find(|said| said.id == id).unwrap();
    assert_eq!(head.host, Some(Host { id: "UChost".to_owned(), name: "Cedar Radio".to_owned() }));
    assert_eq!((by_id("y02").text.as_str(), by_id("y02").emotes), ("hello 🌲:_wave:", 1));
    assert_eq!((by_id("y03").at_ms, by_id("y03").author.is_moderator), (4_100, true));
    assert_eq!((by_id("y15").at_ms, by_id("y16").at_ms), (14_000, 14_000), "two actions of one time");
    assert_eq!(by_id("y17").at_ms, 15_000, "recorded while it was live");
    assert_eq!(by_id("y18").at_ms, -2_500, "before the start");
    assert_eq!(by_id("y10").text, "half a year!", "what is said with a membership is said");
}

#[test]
fn payments_are_read_exactly_with_their_words() {
    let (_, said, _) = all();
    let paid: Vec<_> =
        said.iter().filter_map(|said| Some((said.paid?.to_string(), said.text.as_str()))).collect();
    let wanted = [
        ("10.00 EUR", "for the new antenna"),
        ("2.50 EUR", ""),
        ("1000 JPY", "こんばんは"),
        ("5.00 EUR", "A fox waving"),
    ];
    assert_eq!(paid, wanted.map(|(amount, words)| (amount.to_owned(), words)));
}

#[test]
fn what_has_no_place_is_counted_by_kind() {
    let (_, _, unmapped) = all();
    let wanted = [
        ("addBannerToLiveChatCommand", 1),
        ("addLiveChatTickerItemAction", 1),
        ("gifted memberships", 1),
        ("line that cannot be read", 1),
        ("liveChatModeChangeMessageRenderer", 1),
        ("liveChatPlaceholderItemRenderer", 1),
        ("liveChatViewerEngagementMessageRenderer", 1),
        ("markChatItemAsDeletedAction", 1),
        ("membership milestone", 1),
        ("new membership", 1),
        ("payment of an unknown amount: 5 shells", 1),
        ("received a gifted membership", 1),
        ("showLiveChatActionPanelAction", 1),
    ];
    assert_eq!(unmapped, wanted.map(|(kind, count)| (kind.to_owned(), count)).into());
}

fn line(offset: &str, action: &str) -> String {
    format!(r#"{{"replayChatItemAction": {{"actions": [{action}], "videoOffsetTimeMsec": "{offset}"}}}}"#)
}

fn item(id: &str, renderer: &str, more: &str) -> String {
    format!(
        r#"{{"{renderer}": {{"id": "{id}", "authorName": {{"simpleText": "Ann"}}, "authorExternalChannelId": "UCann"{more}}}}}"#
    )
}

fn added(item: &str) -> String {
    format!(r#"{{"addChatItemAction": {{"item": {item}}}}}"#)
}

const TEXT: &str = r#", "message": {"runs": [{"text": "hi"}]}"#;

#[test]
fn the_waiting_room_keeps_its_times() {
    let text =
        |id: &str, more: &str| added(&item(id, "liveChatTextMessageRenderer", &format!("{TEXT}{more}")));
    let clock = |text: &str| format!(r#", "timestampText": {{"simpleText": "{text}"}}"#);
    let file = [
        line("-90500", &text("w1", "")),
        line("0", &text("w2", &clock("-1:02:03"))),
        line("-3500", &text("w3", &clock("-0:03"))),
        line("0", &text("w4", &clock("-soon"))),
        line("61000", &text("w5", &clock("1:01"))),
    ];
    let (_, said, _) = all_of(&file.join("\n"));
    let times: Vec<i64> = said.iter().map(|said| said.at_ms).collect();
    assert_eq!(times, [-90_500, -3_723_000, -3_500, 0, 61_000]);
}

#[test]
fn a_message_that_was_held_back_takes_the_place_of_its_placeholder() {
    let held = |id: &str| added(&item(id, PLACEHOLDER, ""));
    let replaced = |target: &str, id: &str| {
        let item = item(id, "liveChatTextMessageRenderer", TEXT);
        format!(
            r#"{{"clickTrackingParams": "C", "replaceChatItemAction": {{"targetItemId": "{target}", "replacementItem": {item}}}}}"#
        )
    };
    let file = [
        line("1000", &held("r1")),
        line("1500", &held("r2")),
        line("1800", &added(&item("r3", "liveChatTextMessageRenderer", TEXT))),
        line("2000", &replaced("r1", "r1")),
        line("2500", &replaced("r1", "r1")),
        line("3000", &replaced("r3", "r3")),
        line("3500", &replaced("never", "r9")),
    ];
    let (_, said, unmapped) = all_of(&file.join("\n"));
    let said: Vec<_> = said.iter().map(|said| (said.id.as_str(), said.at_ms, said.text.as_str())).collect();
    assert_eq!(said, [("r3", 1_800, "hi"), ("r1", 2_000, "hi")]);
    let wanted = [(PLACEHOLDER, 1), ("replaceChatItemAction", 3)];
    assert_eq!(unmapped, wanted.map(|(kind, count)| (kind.to_owned(), count)).into());
}

#[test]
fn words_are_said_whatever_was_paid_for_them() {
    let paid = |id: &str, words: &str| {
        let more = format!(r#"{words}, "purchaseAmountText": {{"simpleText": "5 shells"}}"#);
        line("1000", &added(&item(id, "liveChatPaidMessageRenderer", &more)))
    };
    let (_, said, unmapped) = all_of(&[paid("p1", TEXT), paid("p2", "")].join("\n"));
    let said: Vec<_> = said.iter().map(|said| (said.id.as_str(), said.text.as_str(), said.paid)).collect();
    assert_eq!(said, [("p1", "hi", None)]);
    assert_eq!(unmapped, [("payment of an unknown amount: 5 shells".to_owned(), 2)].into());
}
