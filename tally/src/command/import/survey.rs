//! The first reading of an export: who takes part until when, in which currency, and what there is no place for.

use indicatif::ProgressBar;
use schemas::{Currency, Money};
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use super::export::{self, Entry, Format, Head, Host, Said};

/// What an export holds, as a whole. Holds some bytes for each person, and nothing for each message.
pub(super) struct Survey {
    pub(super) format: Format,
    pub(super) head: Head,
    /// When each person is heard of last, from the start of the show, by the platform's id.
    pub(super) last_ms: HashMap<String, i64>,
    pub(super) messages: u64,
    pub(super) emotes: u64,
    /// How many payments there are in each currency, and of how much.
    pub(super) paid: BTreeMap<&'static str, Sum>,
    /// What there is no place for, by kind.
    pub(super) unmapped: BTreeMap<String, u64>,
    /// The first entry's id: what tells one export from another where it has no id.
    pub(super) first_id: Option<String>,
    pub(super) length_ms: i64,
}

/// Payments in one currency.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) amount: rust_decimal::Decimal,
}

impl Sum {
    pub(super) fn add(&mut self, money: Money) {
        self.count += 1;
        self.amount += money.amount();
    }
}

impl Survey {
    /// Reads the whole file once.
    pub(super) fn of(path: &Path, bar: &ProgressBar) -> anyhow::Result<Self> {
        let format = Format::of(path)?;
        let mut survey = Self {
            format,
            head: Head::default(),
            last_ms: HashMap::new(),
            messages: 0,
            emotes: 0,
            paid: BTreeMap::new(),
            unmapped: BTreeMap::new(),
            first_id: None,
            length_ms: 0,
        };
        let head = export::read(path, format, Some(bar), &mut |entry| {
            survey.take(entry);
            ControlFlow::Continue(())
        })?;
        survey.count_from(head.start_ms);
        survey.length_ms = survey.length_ms.max(head.length_ms.unwrap_or(0));
        survey.head = head;
        Ok(survey)
    }

    /// Where the show begins may be told after everything that happened in it: all times are moved only then.
    fn count_from(&mut self, start_ms: i64) {
        let moved = |at_ms: i64| at_ms.saturating_sub(start_ms).max(0);
        self.length_ms = moved(self.length_ms);
        self.last_ms.values_mut().for_each(|last_ms| *last_ms = moved(*last_ms));
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Unmapped(kind) => *self.unmapped.entry(kind).or_default() += 1,
            Entry::Said(Said { id, at_ms, author, emotes, paid, .. }) => {
                self.first_id.get_or_insert(id);
                self.length_ms = self.length_ms.max(at_ms);
                self.emotes += emotes;
                let last = self.last_ms.entry(author.id).or_default();
                *last = at_ms.max(*last);
                match paid {
                    Some(money) => self.paid.entry(money.currency().code()).or_default().add(money),
                    None => self.messages += 1,
                }
            }
        }
    }

    /// The currency of most payments: a show has one.
    pub(super) fn currency(&self) -> Currency {
        let most = self.paid.iter().max_by_key(|(_, sum)| sum.count);
        most.and_then(|(code, _)| code.parse().ok()).unwrap_or(Currency::USD)
    }

    /// What tells this show from others: the platform's id of it, or of its first entry.
    pub(super) fn identity(&self) -> String {
        let id = self.head.id.as_ref().or(self.first_id.as_ref());
        format!("{}/{}", self.format.platform(), id.map_or("empty", String::as_str))
    }

    /// Whose show it is; somebody is made up where the export says nothing of it.
    pub(super) fn host(&self) -> Host {
        let unknown = || Host { id: format!("host-of-{}", self.identity()), name: "Host".to_owned() };
        self.head.host.clone().unwrap_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a cut the comments count from the beginning of the whole, and where the cut begins may follow them.
    #[test]
    fn a_cut_begins_at_zero_whatever_comes_first_in_the_file() {
        let comment = |id: &str, seconds: f64, person: u32| {
            format!(
                r#"{{"_id": "{id}", "content_offset_seconds": {seconds},
                    "commenter": {{"display_name": "P{person}", "_id": "{person}"}}, "message": {{"body": "{id}"}}}}"#
            )
        };
        let comments =
            [comment("a", 7_199.5, 1), comment("b", 7_203.0, 2), comment("c", 7_250.0, 1)].join(",");
        let video = r#""video": {"id": "9", "start": 7200, "end": 7260, "length": 90000}"#;
        let streamer = r#""streamer": {"name": "H", "id": 5}"#;
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            format!(r#"{{{streamer}, {video}, "comments": [{comments}]}}"#),
            format!(r#"{{{streamer}, "comments": [{comments}], {video}}}"#),
        ] {
            std::fs::write(file.path(), &text).unwrap();
            let survey = Survey::of(file.path(), &ProgressBar::hidden()).unwrap();
            assert_eq!((survey.length_ms, survey.head.start_ms), (60_000, 7_200_000));
            assert_eq!((survey.last_ms["1"], survey.last_ms["2"]), (50_000, 3_000));
            assert_eq!(survey.identity(), "twitch/9/7200000", "another cut of the video is another show");
            let mut played = Vec::new();
            export::read(file.path(), survey.format, None, &mut |entry| {
                if let Entry::Said(said) = entry.since(survey.head.start_ms) {
                    played.push(said.at_ms);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(played, [-500, 3_000, 50_000]);
        }
    }
}
