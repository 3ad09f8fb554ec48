//! yt-dlp's files, with everything that YouTube's chats show.

use super::*;
use std::collections::BTreeMap;

const FILE: &str = include_str!("../../../../tests/vectors/chat_exports/youtube.live_chat.json");

fn all() -> (Head, Vec<Said>, BTreeMap<String, u32>) {
    let (mut said, mut unmapped) = (Vec::new(), BTreeMap::new());
    let head = read(FILE.as_bytes(), &mut |entry| {
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
    assert_eq!(by_id("y18").at_ms, 0, "before the start");
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
