//! Who watches: persons by country, city and device, never so few that one could be told from another.

use std::collections::BTreeMap;

use clickhouse::Row;
use schemas::ShowId;
use serde::Deserialize;
use uuid::Uuid;

use super::definition::of_shows;
use super::{AsOf, FigureError, Figures, Period, Scope, Standing, scope};

/// Groups of fewer persons are not shown by themselves.
pub const K_ANONYMITY: u64 = 5;

/// What groups that are too small go by.
const OTHER: &str = "other";

/// Persons with something in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// What: a country, a city with its country, a device; `unknown`; `other` for what was merged.
    pub name: String,
    /// How many.
    pub persons: u64,
}

/// Persons by country, city and device, each as in the person's first session in the scope.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Demographics {
    /// By country.
    pub by_country: Vec<Group>,
    /// By city.
    pub by_city: Vec<Group>,
    /// By device.
    pub by_device: Vec<Group>,
}

impl Demographics {
    /// With groups under `k` persons merged.
    #[must_use]
    pub fn anonymous(self, k: u64) -> Self {
        Self {
            by_country: k_anonymous(self.by_country, k),
            by_city: k_anonymous(self.by_city, k),
            by_device: k_anonymous(self.by_device, k),
        }
    }
}

/// Merges groups under `k` persons into `other`; while that is under `k`, the next smallest joins it. Largest first, `other` last.
#[must_use]
pub fn k_anonymous(mut groups: Vec<Group>, k: u64) -> Vec<Group> {
    largest_first(&mut groups);
    let mut other = 0;
    while groups.last().is_some_and(|smallest| smallest.persons < k || (other > 0 && other < k)) {
        other += groups.pop().map_or(0, |smallest| smallest.persons);
    }
    if other > 0 {
        groups.push(Group { name: OTHER.to_owned(), persons: other });
    }
    groups
}

fn largest_first(groups: &mut [Group]) {
    groups.sort_by(|a, b| b.persons.cmp(&a.persons).then_with(|| a.name.cmp(&b.name)));
}

/// Groups of a table of persons with `country`, `city`, `device_type`.
macro_rules! groups_of {
    ($persons:expr) => {
        groups_of!("", $persons)
    };
    // each by something else besides, which ends with a comma
    ($by:literal, $persons:expr) => {
        concat!(
            "
SELECT ",
            $by,
            "dimension, name, count() AS persons
FROM (
    SELECT
        ",
            $by,
            "arrayJoin([
            ('country', country),
            ('city', if(city = 'unknown', city, concat(city, ', ', country))),
            ('device', device_type)
        ]) AS pair,
        pair.1 AS dimension,
        pair.2 AS name
    FROM (",
            $persons,
            ")
)
GROUP BY ",
            $by,
            "dimension, name"
        )
    };
}

const OF_SHOW: &str = of_shows!(told, groups_of!("SELECT country, city, device_type FROM viewers"));

const OF_SHOWS: &str =
    of_shows!(known, groups_of!("show_id, ", "SELECT show_id, country, city, device_type FROM viewers"));

/// The first session is the one that stands first in the log: no two stand at one place, so the answer does not depend on chance, nor on
/// repeats: an older copy that knew less had a later first session, or the same. Three in place of one of all three: that takes twice the time.
const OF_SCOPE: &str = groups_of!(concat!(
    "
    SELECT
        argMin(v.country, first_position) AS country,
        argMin(v.city, first_position) AS city,
        argMin(v.device_type, first_position) AS device_type
    FROM rollup_show_viewers AS v
    WHERE ",
    scope!(),
    " GROUP BY person"
));

#[derive(Row, Deserialize)]
struct Answer {
    dimension: String,
    name: String,
    persons: u64,
}

#[derive(Row, Deserialize)]
struct OfShow {
    #[serde(with = "clickhouse::serde::uuid")]
    show_id: Uuid,
    dimension: String,
    name: String,
    persons: u64,
}

impl Figures {
    /// Who watched a show, as it is, before groups that are too small are merged: [`Demographics::anonymous`]. Nobody after its facts expired.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn demographics(&self, standing: &Standing) -> Result<Demographics, FigureError> {
        let Some(query) = self.of_clock(OF_SHOW, standing) else { return Ok(Demographics::default()) };
        Ok(sort_out(query.fetch_all().await?))
    }

    /// The same of several shows; those without viewers are left out.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn demographics_by_show(
        &self,
        shows: &[ShowId],
        as_of: AsOf,
    ) -> Result<BTreeMap<ShowId, Demographics>, FigureError> {
        let answers: Vec<OfShow> = self.of_shows(OF_SHOWS, shows, as_of).fetch_all().await?;
        let mut by_show: BTreeMap<ShowId, Vec<Answer>> = BTreeMap::new();
        for OfShow { show_id, dimension, name, persons } in answers {
            by_show.entry(ShowId(show_id)).or_default().push(Answer { dimension, name, persons });
        }
        Ok(by_show.into_iter().map(|(show, answers)| (show, sort_out(answers))).collect())
    }

    /// Who watched the shows of a scope and period, before groups that are too small are merged: [`Demographics::anonymous`].
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn demographics_of(&self, scope: Scope, period: Period) -> Result<Demographics, FigureError> {
        let answers = self.of_scope(OF_SCOPE, scope, period).fetch_all().await?;
        Ok(sort_out(answers))
    }
}

fn sort_out(answers: Vec<Answer>) -> Demographics {
    let mut all = Demographics::default();
    for Answer { dimension, name, persons } in answers {
        let groups = match dimension.as_str() {
            "country" => &mut all.by_country,
            "city" => &mut all.by_city,
            _ => &mut all.by_device,
        };
        groups.push(Group { name, persons });
    }
    for groups in [&mut all.by_country, &mut all.by_city, &mut all.by_device] {
        largest_first(groups);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(of: &[(&str, u64)]) -> Vec<Group> {
        of.iter().map(|(name, persons)| Group { name: (*name).to_owned(), persons: *persons }).collect()
    }

    #[test]
    fn small_groups_are_merged_until_nobody_can_be_told_apart() {
        let merged = |of: &[(&str, u64)]| k_anonymous(groups(of), 5);
        assert_eq!(merged(&[("a", 9), ("b", 5)]), groups(&[("a", 9), ("b", 5)]));
        assert_eq!(merged(&[("a", 9), ("b", 3), ("c", 2)]), groups(&[("a", 9), ("other", 5)]));
        assert_eq!(merged(&[("a", 9), ("b", 6), ("c", 2)]), groups(&[("a", 9), ("other", 8)]));
        assert_eq!(merged(&[("a", 2), ("b", 1)]), groups(&[("other", 3)]));
        assert_eq!(merged(&[("a", 4), ("b", 4), ("c", 4)]), groups(&[("other", 12)]));
        assert_eq!(merged(&[]), groups(&[]));
    }
}
