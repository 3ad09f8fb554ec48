//! Why there is no figure, in the terms of those who must answer for it.

use super::FigureError;

/// What to make of a figure that did not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The warehouse cannot be reached.
    Away,
    /// It gave up: it has too much to do, or the question takes more than it may.
    Overloaded,
    /// Its tables are not there yet.
    Unprepared,
    /// A fault of ours.
    Fault,
}

/// Codes of ClickHouse for a query that took, or would take, too much: time, speed, quota, number of queries, memory, room on the disk, cancelled.
const OVERLOADED: [u32; 7] = [159, 160, 201, 202, 241, 243, 394];

/// Codes for a table or a database that is not there.
const UNPREPARED: [u32; 2] = [60, 81];

impl FigureError {
    /// What to make of it.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Warehouse(error) => trouble(error),
            Self::Money | Self::TooLarge => Trouble::Fault,
        }
    }
}

fn trouble(error: &clickhouse::error::Error) -> Trouble {
    if matches!(error, clickhouse::error::Error::Network(_) | clickhouse::error::Error::TimedOut) {
        return Trouble::Away;
    }
    let clickhouse::error::Error::BadResponse(text) = error else { return Trouble::Fault };
    match code(text) {
        Some(code) if OVERLOADED.contains(&code) => Trouble::Overloaded,
        Some(code) if UNPREPARED.contains(&code) => Trouble::Unprepared,
        _ => Trouble::Fault,
    }
}

/// The code that a refusal begins with: `Code: 159. DB::Exception: …`.
fn code(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Code: ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_their_codes() {
        let refused = |text: &str| {
            FigureError::Warehouse(clickhouse::error::Error::BadResponse(text.to_owned())).trouble()
        };
        assert_eq!(refused("Code: 159. DB::Exception: Timeout exceeded"), Trouble::Overloaded);
        assert_eq!(refused("Code: 243. DB::Exception: Cannot reserve 1.00 MiB"), Trouble::Overloaded);
        assert_eq!(refused("Code: 60. DB::Exception: Unknown table"), Trouble::Unprepared);
        assert_eq!(refused("Code: 6. DB::Exception: Cannot parse"), Trouble::Fault);
        assert_eq!(refused("502 Bad Gateway"), Trouble::Fault);
        assert_eq!(FigureError::Money.trouble(), Trouble::Fault);
    }
}
