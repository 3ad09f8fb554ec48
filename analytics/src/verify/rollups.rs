//! What roll-ups hold, and what the fold says of that, in some numbers for each show.
//!
//! Sums say what is wrong and how much. They would not tell that two viewers, or two quarters of an hour, were taken for each other: so there are
//! digests of each row, added up.

use rust_decimal::Decimal;
use schemas::{PersonId, Timestamp};
use sha2::{Digest, Sha256};

use super::report::{Sheet, plain, sheet};
use super::told::Show;
use super::warehouse::figures;
use crate::fold::{Fold, QUARTER_MS, Quarter, Viewer};

/// How many events of its show a roll-up knows.
pub(super) const KNOWN: &str = "known";

/// Roll-ups of before the migration 0005 do not know these, and serve no answer that needs them.
const SINCE_0005: [&str; 2] = [CLOSING, LAST_POSITION];
const CLOSING: &str = "closing viewers";
const LAST_POSITION: &str = "last position";

/// A roll-up: its question, and what the fold says of a show beside what was found of it.
type Rollup = (&'static str, &'static str, fn(&Show, &Sheet) -> Sheet);

pub(super) const ROLLUPS: [Rollup; 3] = [
    ("rollup_shows", SHOWS, of_show),
    ("rollup_show_viewers", SHOW_VIEWERS, of_viewers),
    ("rollup_show_quarters", SHOW_QUARTERS, of_quarters),
];

const SHOWS: &str = "
SELECT
    concat('show-', toString(show_id)) AS subject,
    toString(s.facts) AS known,
    toString(s.facts) AS events,
    toString(s.creator) AS creator,
    s.title AS title,
    s.category AS category,
    s.status AS status,
    s.currency AS currency,
    toString(toUnixTimestamp64Milli(s.started_at)) AS `started at`,
    toString(toUnixTimestamp64Milli(s.ended_at)) AS `ended at`,
    toString(toUnixTimestamp64Milli(s.as_of)) AS `counted until`,
    toString(s.duration_ms) AS `duration in ms`,
    toString(s.viewer_count) AS viewers,
    if(s.last_position > 0, toString(s.closing_viewer_count), NULL) AS `closing viewers`,
    toString(s.peak_viewers) AS `peak viewers`,
    toString(s.total_views) AS views,
    toString(s.unique_viewers) AS `unique viewers`,
    toString(s.watch_ms) AS `watched in ms`,
    toString(s.possible_watch_ms) AS `possibly watched in ms`,
    toString(s.messages) AS messages,
    toString(s.reactions) AS reactions,
    toString(s.engaged) AS engaged,
    toString(s.tippers) AS tippers,
    toString(s.tips) AS tips,
    toString(s.tips_count) AS `tips captured`,
    toString(s.pending_tips) AS `tips pending`,
    if(s.last_position > 0, toString(s.last_position), NULL) AS `last position`
FROM rollup_shows AS s FINAL";

/// The first eight bytes of a text's digest, as a number; see [`digest`].
macro_rules! digest {
    ($($part:literal),+) => {
        concat!("sum(reinterpretAsUInt64(substring(SHA256(concat(", $($part, ", ' ', ",)+ "'')), 1, 8)))")
    };
}

const SHOW_VIEWERS: &str = concat!(
    "
SELECT
    concat('show-', toString(show_id)) AS subject,
    toString(max(v.facts)) AS known,
    toString(count()) AS `unique viewers`,
    toString(sum(v.sessions)) AS views,
    toString(sum(v.watch_ms)) AS `watched in ms`,
    toString(countIf(v.messages > 0 OR v.has_reacted OR v.tips_count > 0)) AS engaged,
    toString(countIf(v.tips_count > 0)) AS tippers,
    toString(sum(toUnixTimestamp64Milli(v.first_joined_at))) AS `sum of first joins`,
    toString(sum(v.first_position)) AS `sum of first positions`,
    toString(sum(v.messages)) AS messages,
    toString(countIf(v.has_reacted)) AS `who reacted`,
    toString(sum(v.tips)) AS tips,
    toString(sum(v.tips_count)) AS `tips captured`,
    toString(",
    digest!("toString(v.person)", "v.country"),
    ") AS `each one's country`,
    toString(",
    digest!("toString(v.person)", "v.city"),
    ") AS `each one's city`,
    toString(",
    digest!("toString(v.person)", "v.device_type"),
    ") AS `each one's device`,
    toString(",
    digest!(
        "toString(v.person)",
        "toString(v.creator)",
        "ifNull(toString(toUnixTimestamp64Milli(v.started_at)), 'never')",
        "toString(toUnixTimestamp64Milli(v.first_joined_at))",
        "toString(v.first_position)",
        "toString(v.sessions)",
        "toString(v.watch_ms)",
        "toString(v.messages)",
        "toString(v.has_reacted)",
        "toString(v.tips)",
        "toString(v.tips_count)"
    ),
    ") AS `each one's figures`
FROM rollup_show_viewers AS v FINAL
GROUP BY show_id"
);

const SHOW_QUARTERS: &str = concat!(
    "
SELECT
    concat('show-', toString(show_id)) AS subject,
    toString(max(q.facts)) AS known,
    toString(count()) AS quarters,
    toString(sum(q.on_air_ms)) AS `duration in ms`,
    toString(sum(q.watch_ms)) AS `watched in ms`,
    toString(sum(q.tips)) AS tips,
    toString(",
    digest!(
        "toString(toUnixTimestamp(q.quarter))",
        "toString(q.creator)",
        "toString(q.on_air_ms)",
        "toString(q.watch_ms)",
        "toString(q.tips)"
    ),
    ") AS `each quarter's figures`
FROM rollup_show_quarters AS q FINAL
GROUP BY show_id"
);

/// What the roll-ups of a show should hold of its viewers and quarters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Rows {
    first_joins_ms: i64,
    first_positions: u64,
    messages: u64,
    reacted: u64,
    tips: Decimal,
    tips_count: u64,
    countries: u64,
    cities: u64,
    devices: u64,
    viewers: u64,
    quarters_count: usize,
    quarters: u64,
}

/// What all rows of a show have in common.
struct Common {
    creator: String,
    started_at: String,
}

impl Rows {
    /// As of the show's last event.
    pub(super) fn of(fold: &Fold, creator: Option<PersonId>, last_at: Timestamp) -> Self {
        let started_at = fold.figures(last_at).started_at;
        let common = Common {
            creator: creator.map(|creator| creator.to_string()).unwrap_or_default(),
            started_at: started_at.map_or_else(|| "never".to_owned(), |at| at.millis().to_string()),
        };
        let mut rows = Self::default();
        fold.viewers(last_at).for_each(|viewer| rows.add_viewer(&viewer, &common));
        for (number, quarter) in fold.quarters() {
            rows.add_quarter(number, &quarter, &common);
        }
        rows
    }

    fn add_viewer(&mut self, viewer: &Viewer<'_>, common: &Common) {
        let Viewer { person, first_joined_at, first, sessions, watch_ms, deeds } = *viewer;
        let (person, first_ms) = (person.to_string(), first_joined_at.millis());
        let position = first.position.unwrap_or_default().0;
        self.first_joins_ms = self.first_joins_ms.wrapping_add(first_ms);
        self.first_positions = self.first_positions.wrapping_add(position);
        self.messages += deeds.messages;
        self.reacted += u64::from(deeds.has_reacted);
        self.tips += deeds.tips;
        self.tips_count += deeds.tips_count;
        add(&mut self.countries, &[&person, &first.country]);
        add(&mut self.cities, &[&person, &first.city]);
        add(&mut self.devices, &[&person, first.device]);
        let texts = [
            person,
            common.creator.clone(),
            common.started_at.clone(),
            first_ms.to_string(),
            position.to_string(),
            sessions.to_string(),
            watch_ms.to_string(),
            deeds.messages.to_string(),
            deeds.has_reacted.to_string(),
            plain(deeds.tips),
            deeds.tips_count.to_string(),
        ];
        add(&mut self.viewers, &texts.each_ref().map(String::as_str));
    }

    fn add_quarter(&mut self, number: i64, quarter: &Quarter, common: &Common) {
        self.quarters_count += 1;
        let begin_seconds = (number * QUARTER_MS / 1_000).to_string();
        let (on_air, watched) = (quarter.on_air_ms.to_string(), quarter.watch_ms.to_string());
        let texts = [&begin_seconds, &common.creator, &on_air, &watched, &plain(quarter.tips)];
        add(&mut self.quarters, &texts.map(String::as_str));
    }
}

/// Adds a row's digest. The sum of all does not depend on their order.
fn add(sum: &mut u64, texts: &[&str]) {
    *sum = sum.wrapping_add(digest(texts));
}

/// The first eight bytes of a row's digest, as a number: texts, each with a space behind it.
fn digest(texts: &[&str]) -> u64 {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text);
        digest.update(" ");
    }
    // as ClickHouse reads them: the last of them is the highest
    digest.finalize().iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn of_show(show: &Show, found: &Sheet) -> Sheet {
    let figures_of = &show.summary(show.last_at).figures;
    let mut sheet = figures(figures_of);
    let counted_until = figures_of.ended_at.unwrap_or(show.last_at);
    let mut also = |name: &str, value: String| sheet.insert(name.to_owned(), value);
    also("events", show.lines.count.to_string());
    also("title", show.title.clone());
    also("category", show.category.clone());
    also("counted until", counted_until.millis().to_string());
    also(LAST_POSITION, show.last_position.to_string());
    if let Some(creator) = show.creator {
        also("creator", creator.to_string());
    }
    if !found.contains_key(LAST_POSITION) {
        sheet.retain(|name, _| !SINCE_0005.contains(&name.as_str()));
    }
    sheet
}

fn of_viewers(show: &Show, _: &Sheet) -> Sheet {
    let rows = show.rolled_up();
    let mut expected = figures(&show.summary(show.last_at).figures);
    expected.retain(|name, _| {
        ["unique viewers", "views", "watched in ms", "engaged", "tippers"].contains(&name.as_str())
    });
    expected.extend(sheet([
        ("sum of first joins", rows.first_joins_ms.to_string()),
        ("sum of first positions", rows.first_positions.to_string()),
        ("messages", rows.messages.to_string()),
        ("who reacted", rows.reacted.to_string()),
        ("tips", plain(rows.tips)),
        ("tips captured", rows.tips_count.to_string()),
        ("each one's country", rows.countries.to_string()),
        ("each one's city", rows.cities.to_string()),
        ("each one's device", rows.devices.to_string()),
        ("each one's figures", rows.viewers.to_string()),
    ]));
    expected
}

fn of_quarters(show: &Show, _: &Sheet) -> Sheet {
    let rows = show.rolled_up();
    let mut expected = figures(&show.summary(show.last_at).figures);
    expected.retain(|name, _| ["duration in ms", "watched in ms", "tips"].contains(&name.as_str()));
    expected.extend(sheet([
        ("quarters", rows.quarters_count.to_string()),
        ("each quarter's figures", rows.quarters.to_string()),
    ]));
    expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_clickhouse_makes_of_the_same_texts() {
        // SELECT reinterpretAsUInt64(substring(SHA256(concat('a', ' ', 'b', ' ', '')), 1, 8))
        assert_eq!(digest(&["a", "b"]), 16_349_837_381_052_475_232);
        assert_ne!(digest(&["a", "b"]), digest(&["b", "a"]));
    }
}
