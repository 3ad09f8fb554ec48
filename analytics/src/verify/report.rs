//! What is compared, and what became of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use rust_decimal::Decimal;
use schemas::Position;

/// Figures by name, as text. One that is missing is 0.
pub(super) type Sheet = BTreeMap<String, String>;

/// The sheets of a store by what they are about: the name of a stream, or the beginning that the names of some have in common.
pub(super) type Sheets = HashMap<String, Sheet>;

/// Something that is not what the fold over the log says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Where it was found.
    pub store: &'static str,
    /// What it is about: the name of a stream.
    pub subject: String,
    /// Which figure.
    pub figure: String,
    /// What the fold says.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// As of which position of the log.
    pub position: Position,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, subject, figure, expected, found, position } = self;
        write!(f, "{store}: {subject}: {figure}: expected {expected}, found {found} (position {position})")
    }
}

/// How far a verification is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress<'a> {
    /// Stores are behind the head that the log had at the beginning.
    Waiting {
        /// Which.
        stores: &'a [&'static str],
    },
    /// The log is being read.
    Reading {
        /// Events read.
        events: u64,
        /// Up to where.
        position: Position,
        /// Of what.
        end: Position,
    },
    /// A store is being compared.
    Comparing {
        /// Which.
        store: &'static str,
        /// Shows, of which there are
        shows: usize,
        /// so many.
        of: usize,
    },
}

/// Is told what happens.
pub trait Watcher: Send {
    /// How far it is.
    fn progress(&mut self, progress: Progress<'_>);
    /// A difference.
    fn difference(&mut self, difference: &Difference);
}

/// What was compared up to now.
pub(super) struct Report<'a> {
    pub(super) watcher: &'a mut dyn Watcher,
    pub(super) compared: u64,
    pub(super) differences: u64,
}

impl Report<'_> {
    /// Compares what a store says of one thing.
    pub(super) fn compare(
        &mut self,
        store: &'static str,
        subject: &str,
        position: Position,
        expected: &Sheet,
        found: &Sheet,
    ) {
        let told_only_there = found.keys().filter(|figure| !expected.contains_key(*figure));
        for figure in expected.keys().chain(told_only_there) {
            self.compared += 1;
            let (expected, found) = (value(expected, figure), value(found, figure));
            if expected != found {
                self.tell(store, subject, figure, expected, found, position);
            }
        }
    }

    /// Compares what a store says of many things. What it says of others is a difference too.
    pub(super) fn compare_all(
        &mut self,
        store: &'static str,
        position: Position,
        expected: impl Iterator<Item = (String, Sheet)>,
        mut found: Sheets,
    ) {
        for (subject, expected) in expected {
            let found = found.remove(&subject).unwrap_or_default();
            self.compare(store, &subject, position, &expected, &found);
        }
        let mut others: Vec<_> = found.into_iter().collect();
        others.sort_unstable();
        for (subject, found) in others {
            self.compare(store, &subject, position, &Sheet::new(), &found);
        }
    }

    /// Something that must hold.
    pub(super) fn check(
        &mut self,
        holds: bool,
        store: &'static str,
        subject: &str,
        what: &str,
        position: Position,
    ) {
        self.compared += 1;
        if !holds {
            self.tell(store, subject, what, "true", "false", position);
        }
    }

    pub(super) fn tell(
        &mut self,
        store: &'static str,
        subject: &str,
        figure: &str,
        expected: &str,
        found: &str,
        position: Position,
    ) {
        self.differences += 1;
        self.watcher.difference(&Difference {
            store,
            subject: subject.to_owned(),
            figure: figure.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            position,
        });
    }
}

fn value<'a>(sheet: &'a Sheet, figure: &str) -> &'a str {
    sheet.get(figure).map_or("0", String::as_str)
}

/// A sheet of named figures.
pub(super) fn sheet<const N: usize>(figures: [(&str, String); N]) -> Sheet {
    figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// An amount, whatever digits it is written with.
pub(super) fn plain(amount: Decimal) -> String {
    amount.normalize().to_string()
}

/// What a store answered as a JSON object: its figures by name. What is null is missing.
pub(super) fn from_json(answer: serde_json::Map<String, serde_json::Value>) -> Sheet {
    let text = |value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        value @ (serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_)) => Some(value.to_string()),
    };
    answer.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Notes(Vec<String>);

    impl Watcher for Notes {
        fn progress(&mut self, _: Progress<'_>) {}

        fn difference(&mut self, difference: &Difference) {
            self.0.push(difference.to_string());
        }
    }

    #[test]
    fn what_is_wrong_missing_or_unknown_is_told_and_nothing_else() {
        let mut notes = Notes::default();
        let mut report = Report { watcher: &mut notes, compared: 0, differences: 0 };
        let of =
            |viewers: u64, tips: &str| sheet([("viewers", viewers.to_string()), ("tips", tips.to_owned())]);
        let expected = [("a", of(1, "2.5")), ("b", of(3, "0")), ("c", of(0, "0"))];
        let expected = expected.into_iter().map(|(subject, sheet)| (subject.to_owned(), sheet));
        let found = [("a", of(1, "2.4")), ("d", of(7, "0"))];
        let found = found.into_iter().map(|(subject, sheet)| (subject.to_owned(), sheet)).collect();
        report.compare_all("store", Position(9), expected, found);
        assert_eq!((report.compared, report.differences), (8, 3));
        let told = [
            "store: a: tips: expected 2.5, found 2.4 (position 9)",
            "store: b: viewers: expected 3, found 0 (position 9)",
            "store: d: viewers: expected 0, found 7 (position 9)",
        ];
        assert_eq!(notes.0, told);
    }

    #[test]
    fn amounts_are_the_same_with_any_digits() {
        assert_eq!(plain(Decimal::new(1200, 2)), "12");
        assert_eq!(plain(Decimal::new(0, 4)), "0");
        assert_eq!(plain(Decimal::new(1230, 2)), "12.3");
    }
}
