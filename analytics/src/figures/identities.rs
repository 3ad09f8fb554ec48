//! What always holds among the figures of a show, whoever tells them: `docs/metrics.md`.

use super::{Demographics, Group, ShowFigures, signed};

impl ShowFigures {
    /// The identities that always hold, as the broken ones in words.
    #[must_use]
    pub fn broken_identities(&self) -> Vec<&'static str> {
        let peak = signed(self.peak_viewers);
        let held = [
            (self.viewer_count <= self.peak_viewers, "viewer count ≤ peak viewers"),
            (self.closing_viewer_count <= self.peak_viewers, "closing viewer count ≤ peak viewers"),
            (self.peak_viewers <= self.unique_viewers, "peak viewers ≤ unique viewers"),
            (self.unique_viewers <= self.total_views, "unique viewers ≤ total views"),
            (self.watch_ms <= peak.saturating_mul(self.duration_ms), "average concurrent ≤ peak viewers"),
            (self.watch_ms <= self.possible_watch_ms, "watch time ≤ possible watch time"),
            (self.watch_ms >= 0 && self.duration_ms >= 0, "times are not negative"),
            (self.tippers <= self.engaged, "tippers ≤ engaged"),
            (self.engaged <= self.unique_viewers, "engaged ≤ unique viewers"),
        ];
        held.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what).collect()
    }
}

impl Demographics {
    /// The same, before groups that are too small are merged.
    #[must_use]
    pub fn broken_identities(&self, unique_viewers: u64) -> Vec<&'static str> {
        let persons = |groups: &[Group]| groups.iter().map(|group| group.persons).sum::<u64>();
        let held = [
            (&self.by_country, "persons by country = unique viewers"),
            (&self.by_city, "persons by city = unique viewers"),
            (&self.by_device, "persons by device = unique viewers"),
        ];
        held.into_iter()
            .filter(|(groups, _)| persons(groups) != unique_viewers)
            .map(|(_, what)| what)
            .collect()
    }
}
