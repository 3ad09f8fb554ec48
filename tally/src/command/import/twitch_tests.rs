//! TwitchDownloader's files, of today and of before.

use super::*;
use std::collections::BTreeMap;

const FILE: &str = include_str!("../../../../tests/vectors/chat_exports/twitch_downloader.json");
const OLD_FILE: &str = include_str!("../../../../tests/vectors/chat_exports/twitch_downloader_old.json");

fn all(file: &str) -> (Head, Vec<Said>, BTreeMap<String, u32>) {
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
fn the_show_is_told() {
    let (head, _, _) = all(FILE);
    assert_eq!(
        head,
        Head {
            id: Some("99001".to_owned()),
            title: Some("Lighthouse speedruns, blind".to_owned()),
            host: Some(Host { id: "4100".to_owned(), name: "MoonHarbor".to_owned() }),
            date: Some("2025-05-04T18:00:00Z".to_owned()),
            start_ms: 0,
            length_ms: Some(90_000),
            topics: vec!["Tidewater".to_owned(), "Just Talking".to_owned()],
        }
    );
}

#[test]
fn comments_are_read_with_their_people_times_emotes_and_bits() {
    let (_, said, _) = all(FILE);
    let by_id = |id: &str| said.iter().find(|said| said.id == id).unwrap();
    assert_eq!((by_id("c-0001").at_ms, by_id("c-0001").author.is_host), (1_250, true));
    assert_eq!((by_id("c-0003").text.as_str(), by_id("c-0003").emotes), ("wooo", 1));
    let paid = by_id("c-0006");
    assert_eq!(paid.paid.unwrap().to_string(), "2.50 USD");
    assert_eq!(paid.text, "cheer250 for the soundtrack");
    assert!(by_id("c-0007").author.is_moderator);
    assert_eq!(by_id("c-0008").text, "14 months already!", "what is said with a subscription is said");
    assert_eq!(by_id("c-0015").text, "tab here and bell");
    assert_eq!(said.len(), 15);
}

#[test]
fn what_has_no_place_is_counted_by_kind() {
    let (_, _, unmapped) = all(FILE);
    let wanted = [
        ("comment of a deleted account", 1),
        ("comment that cannot be read", 1),
        ("empty comment", 1),
        ("notice: resub", 1),
        ("notice: sub", 1),
    ];
    assert_eq!(unmapped, wanted.map(|(kind, count)| (kind.to_owned(), count)).into());
}

/// Today's files name no notice as such: `user_notice_params` is null in them.
#[test]
fn notices_are_known_by_their_text_and_only_the_own_words_are_said() {
    let comment = |id: u32, name: &str, body: &str, bits: u32| {
        format!(
            r#"{{"_id": "n{id}", "content_offset_seconds": {id}, "commenter": {{"display_name": "{name}", "_id": "{id}"}},
                "message": {{"body": "{body}", "bits_spent": {bits}, "user_notice_params": null,
                    "fragments": [{{"text": "{body}", "emoticon": null}}]}}}}"#
        )
    };
    let comments = [
        comment(1, "Ann", "Ann subscribed at Tier 1. ", 0),
        comment(2, "Ben", "Ben subscribed with Prime. They've subscribed for 14 months! hello again", 0),
        comment(3, "Cai", "Cai gifted a Tier 1 sub to Ann! ", 0),
        comment(4, "Dee", "12 raiders from Dee have joined! ", 0),
        comment(5, "Eli", "Ann subscribed at Tier 1. ", 0),
        comment(6, "Fay", "Fay subscribed at Tier 1. cheer100", 100),
    ];
    let (_, said, unmapped) = all(&format!(r#"{{"comments": [{}]}}"#, comments.join(",")));
    let said: Vec<_> = said.iter().map(|said| (said.author.name.as_str(), said.text.as_str())).collect();
    let wanted = [
        ("Ben", "hello again"),
        ("Eli", "Ann subscribed at Tier 1."),
        ("Fay", "Fay subscribed at Tier 1. cheer100"),
    ];
    assert_eq!(said, wanted);
    let wanted = ["notice: raid", "notice: resub", "notice: sub", "notice: subgift"];
    assert_eq!(unmapped, wanted.map(|kind| (kind.to_owned(), 1)).into());
}

#[test]
fn older_files_are_read_in_any_order() {
    let (head, said, unmapped) = all(OLD_FILE);
    assert_eq!((head.title, head.length_ms), (None, Some(60_000)));
    assert_eq!(head.host.unwrap().name, "OldHost");
    assert_eq!((said.len(), said[0].author.name.as_str(), said[0].at_ms), (1, "Wren", 3_500));
    assert!(unmapped.is_empty());
}

#[test]
fn reading_ends_when_nobody_wants_more() {
    let mut seen = 0;
    read(FILE.as_bytes(), &mut |_| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(seen, 3);
    let cut = &FILE[..FILE.len() / 2];
    assert!(
        read(cut.as_bytes(), &mut |_| ControlFlow::Continue(())).is_err(),
        "a file that was cut off is told"
    );
}
