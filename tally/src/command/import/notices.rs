//! Twitch's own notices. TwitchDownloader writes them as comments of the person whom they are about, and only the sentence
//! tells: `Ann subscribed at Tier 1.`

/// Who says that somebody gives without a name: Twitch's account for it, and Twitch's own.
const ANONYMOUS_GIFTERS: [&str; 2] = ["274598607", "12826"];

/// Sentences about somebody, after their name, with what Twitch calls them. In these `#` stands for a number.
const OF_PERSONS: [(&str, &str); 8] = [
    ("is gifting # Tier # Sub", "submysterygift"),
    ("gifted a Tier # sub to ", "subgift"),
    ("gifted # months of Tier # to ", "subgift"),
    ("is continuing the Gift Sub they got from ", "giftpaidupgrade"),
    ("is paying forward the Gift they got from ", "payforward"),
    ("converted from a Prime sub to a Tier # sub", "primepaidupgrade"),
    ("converted from a Tier # sub to a Tier # sub", "subupgrade"),
    ("converted from a Tier # sub to a Prime sub", "subupgrade"),
];

/// Sentences that people may add words of their own to.
const SUBSCRIBED: [&str; 3] =
    ["subscribed at Tier #.", "subscribed with Prime.", "subscribed with Twitch Prime."];
const FOR_MONTHS: [&str; 3] = [
    "They've subscribed for # months!",
    "They've subscribed for # months, currently on a # month streak!",
    "They've subscribed for # month!",
];
const WATCHED: [&str; 2] = [
    "watched # consecutive streams this month and sparked a watch streak!",
    "watched # consecutive streams and sparked a watch streak!",
];

/// A notice, and what the person themselves said with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Notice<'a> {
    /// As Twitch calls it.
    pub(super) kind: &'static str,
    /// Empty where they said nothing.
    pub(super) words: &'a str,
}

/// What a comment is, if it is a notice. It must begin with the name of its own author, or be a sentence that Twitch itself
/// says: who quotes one does neither.
pub(super) fn of<'a>(text: &'a str, name: &str, id: &str) -> Option<Notice<'a>> {
    let text = text.trim();
    let without_words = |kind| Notice { kind, words: "" };
    if let Some(notice) = text.strip_prefix(name).and_then(of_person) {
        return Some(notice);
    }
    if text == "bits badge tier notification" {
        return Some(without_words("bitsbadgetier"));
    }
    let raid = ["# raiders from ", "# raider from "].iter().find_map(|start| after(text, start));
    if raid.and_then(|raid| raid.strip_prefix(name)).is_some_and(|rest| rest == " have joined!") {
        return Some(without_words("raid"));
    }
    let is_twitch = ANONYMOUS_GIFTERS.contains(&id) || name == "AnAnonymousGifter";
    let gift = text.strip_prefix("An anonymous user ").filter(|rest| is_twitch && is_whole(rest))?;
    match of_table(gift)? {
        "subgift" => Some(without_words("anonsubgift")),
        "submysterygift" => Some(without_words("anonsubmysterygift")),
        _ => None,
    }
}

/// What follows the name.
fn of_person(rest: &str) -> Option<Notice<'_>> {
    if let Some(donated) = rest.strip_prefix(": Donated ") {
        let is_notice = donated.contains(" to support ") && is_whole(donated);
        return is_notice.then_some(Notice { kind: "charitydonation", words: "" });
    }
    let rest = rest.strip_prefix(' ')?;
    if let Some(words) = after_one_of(rest, &SUBSCRIBED) {
        return Some(match after_one_of(words, &FOR_MONTHS) {
            Some(words) => Notice { kind: "resub", words },
            None => Notice { kind: "sub", words },
        });
    }
    if let Some(words) = after_one_of(rest, &WATCHED) {
        return Some(Notice { kind: "viewermilestone", words });
    }
    let kind = of_table(rest).filter(|_| is_whole(rest))?;
    let kind = match kind {
        "giftpaidupgrade" if rest.ends_with(" from an anonymous user!") => "anongiftpaidupgrade",
        "payforward" if rest.ends_with(" to the community!") => "communitypayforward",
        "payforward" => "standardpayforward",
        other => other,
    };
    Some(Notice { kind, words: "" })
}

fn of_table(rest: &str) -> Option<&'static str> {
    OF_PERSONS.iter().find(|(start, _)| after(rest, start).is_some()).map(|(_, kind)| *kind)
}

/// Whether it ends as Twitch's sentences do.
fn is_whole(text: &str) -> bool {
    text.ends_with(['!', '.'])
}

/// The words after a whole sentence.
fn after_one_of<'a>(text: &'a str, sentences: &[&str]) -> Option<&'a str> {
    let rest = sentences.iter().find_map(|sentence| after(text, sentence))?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim_start())
}

/// What follows a beginning in which `#` stands for a number.
fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let mut pieces = start.split('#');
    let mut rest = text.strip_prefix(pieces.next()?)?;
    for piece in pieces {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if number.len() == rest.len() {
            return None;
        }
        rest = number.strip_prefix(piece)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_of_twitch_is_known() {
        for (text, kind, words) in [
            ("Ann_2 subscribed at Tier 1. ", "sub", ""),
            ("Ann_2 subscribed with Prime. ", "sub", ""),
            ("Ann_2 subscribed with Prime. Hello LUL", "sub", "Hello LUL"),
            ("Ann_2 subscribed with Twitch Prime. They've subscribed for 12 months!", "resub", ""),
            ("Ann_2 subscribed at Tier 3. They've subscribed for 1 month!", "resub", ""),
            ("Ann_2 subscribed at Tier 2. They've subscribed for 14 months! so long!", "resub", "so long!"),
            (
                "Ann_2 subscribed at Tier 1. They've subscribed for 3 months, currently on a 3 month streak! Hey LUL",
                "resub",
                "Hey LUL",
            ),
            (
                "Ann_2 is gifting 5 Tier 1 Subs to Harbor's community! They've gifted a total of 349 in the channel! ",
                "submysterygift",
                "",
            ),
            ("Ann_2 gifted a Tier 1 sub to Ben! ", "subgift", ""),
            ("Ann_2 gifted a Tier 2 sub to Ben! They have given 7 Gift Subs in the channel!", "subgift", ""),
            (
                "Ann_2 gifted 3 months of Tier 1 to Ben. They've gifted 11 months in the channel!",
                "subgift",
                "",
            ),
            ("Ann_2 converted from a Prime sub to a Tier 1 sub! ", "primepaidupgrade", ""),
            ("Ann_2 converted from a Tier 1 sub to a Tier 3 sub!", "subupgrade", ""),
            ("Ann_2 is continuing the Gift Sub they got from Ben! ", "giftpaidupgrade", ""),
            ("Ann_2 is continuing the Gift Sub they got from an anonymous user! ", "anongiftpaidupgrade", ""),
            (
                "Ann_2 is paying forward the Gift they got from Ben to the community! ",
                "communitypayforward",
                "",
            ),
            ("Ann_2 is paying forward the Gift they got from Ben to Cai!", "standardpayforward", ""),
            (
                "Ann_2 watched 3 consecutive streams this month and sparked a watch streak! me too",
                "viewermilestone",
                "me too",
            ),
            ("Ann_2: Donated $5.00 USD to support Save the Coast! ", "charitydonation", ""),
            ("bits badge tier notification ", "bitsbadgetier", ""),
            ("5180 raiders from Ann_2 have joined! ", "raid", ""),
        ] {
            assert_eq!(of(text, "Ann_2", "7"), Some(Notice { kind, words }), "{text}");
        }
    }

    #[test]
    fn gifts_without_a_name_come_from_twitch() {
        let one = "An anonymous user gifted a Tier 1 sub to Ben!  ";
        let many = "An anonymous user is gifting 20 Tier 1 Subs to Harbor's community! ";
        for (name, id) in [("AnAnonymousGifter", "1"), ("Twitch", "12826"), ("x", "274598607")] {
            assert_eq!(of(one, name, id).map(|notice| notice.kind), Some("anonsubgift"));
            assert_eq!(of(many, name, id).map(|notice| notice.kind), Some("anonsubmysterygift"));
        }
        assert_eq!(of(one, "Ann", "7"), None, "a quotation");
    }

    #[test]
    fn what_people_write_is_no_notice() {
        for text in [
            "",
            "Ann",
            "Ann!",
            "Ben subscribed at Tier 1. ",
            "ann subscribed at Tier 1.",
            "wow, Ann subscribed at Tier 1.",
            "Ann subscribed at Tier one.",
            "Ann subscribed at Tier 1.5",
            "Ann subscribed yesterday!",
            "Anna subscribed at Tier 1.",
            "Ann is gifting everybody a smile!",
            "Ann gifted a Tier 1 sub to me, can you believe it",
            "Ann: Donated my old bike!",
            "5180 raiders from Ben have joined!",
            "many raiders from Ann have joined!",
            "5180 raiders from Ann have joined! hello",
        ] {
            assert_eq!(of(text, "Ann", "7"), None, "{text}");
        }
    }
}
