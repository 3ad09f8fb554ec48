//! Each figure by its name: what it means, what it is made of, where it is served. The definitions stand in `docs/metrics.md` and nowhere else; they
//! are read from there.

/// The document, as it is built in.
const METRICS: &str = include_str!("../../../docs/metrics.md");

/// A figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figure {
    /// Its name in the API.
    pub name: &'static str,
    /// What `docs/metrics.md` calls it.
    label: &'static str,
    /// Version of the definition: raised when the same events would make another figure.
    pub version: u16,
    /// What it is counted in.
    pub unit: &'static str,
    /// Names of the events that make it.
    pub events: &'static [&'static str],
    /// Beginnings of the remarks in `docs/metrics.md` that belong to it.
    remarks: &'static [&'static str],
    /// Where it is served.
    pub paths: &'static [&'static str],
}

impl Figure {
    /// What it means.
    #[must_use]
    pub fn definition(&self) -> &'static str {
        rows()
            .find(|(labels, _)| labels.split(", ").any(|label| label == self.label) || *labels == self.label)
            .map_or("", |(_, definition)| definition)
    }

    /// What has to be said more exactly.
    #[must_use]
    pub fn remarks(&self) -> Vec<&'static str> {
        let lines = || METRICS.lines().filter_map(|line| line.strip_prefix("- "));
        lines().filter(|line| self.remarks.iter().any(|begin| line.starts_with(begin))).collect()
    }
}

/// The rows of the table of definitions: what a row is about, and the definition.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let cells =
        METRICS.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    cells.filter(|(label, _)| !matches!(*label, "figure" | "---"))
}

const STREAM: &str = "/api/v1/streams/{id}/analytics";
const CREATOR: &str = "/api/v1/creators/{id}/analytics";
const PLATFORM: &str = "/api/v1/platform/analytics";
const EVERYWHERE: &[&str] = &[STREAM, CREATOR, PLATFORM];

const LIFE: &[&str] = &["ShowCreated", "ShowStarted", "ShowEnded", "ShowCancelled"];
const SESSIONS: &[&str] = &["ViewerJoined", "ViewerLeft"];
/// What time watched is made of: sessions, and the begin and end of the show.
const WATCHING: &[&str] = &["ShowStarted", "ViewerJoined", "ViewerLeft", "ShowEnded"];
const TIPS: &[&str] = &["TipCaptured"];
const ACTS: &[&str] = &["ViewerJoined", "MessagePosted", "ReactionsCounted", "TipCaptured"];

const MINUTES: &str = "Minutes of a show";
const SURVIVAL: &str = "The survival curve";
const FIRST_SESSION: &str = "Of several shows, a person's first session";
const MONEY: &str = "Money counts";
const MANY: &str = "Figures of many shows";
const PEAK_TIMES: &str = "Peak times";
const RETURNING: &str = "Returning";

/// A figure of a show that is also one of many shows.
const fn figure(
    name: &'static str,
    unit: &'static str,
    events: &'static [&'static str],
    paths: &'static [&'static str],
) -> Figure {
    Figure { name, label: name, version: 1, unit, events, remarks: &[MANY], paths }
}

/// All figures that are served.
#[must_use]
pub fn catalogue() -> &'static [Figure] {
    &CATALOGUE
}

static CATALOGUE: [Figure; 19] = [
    Figure { remarks: &[], ..figure("viewerCount", "persons", SESSIONS, &[STREAM]) },
    figure("totalViews", "sessions", &["ViewerJoined"], EVERYWHERE),
    figure("uniqueViewers", "persons", &["ViewerJoined"], EVERYWHERE),
    figure("peakViewers", "persons", SESSIONS, EVERYWHERE),
    figure("duration", "seconds", LIFE, EVERYWHERE),
    figure("watchTime", "seconds", WATCHING, EVERYWHERE),
    figure("averageViewTime", "seconds", WATCHING, EVERYWHERE),
    figure("averageConcurrent", "persons", WATCHING, EVERYWHERE),
    figure("viewerRetention", "share", WATCHING, EVERYWHERE),
    Figure {
        label: "retention curve, absolute",
        remarks: &[MINUTES],
        ..figure(
            "retentionAbsolute",
            "share by minute",
            WATCHING,
            &["/api/v1/streams/{id}/analytics/retention"],
        )
    },
    Figure {
        label: "retention curve, survival",
        remarks: &[SURVIVAL],
        ..figure(
            "retentionSurvival",
            "share by minute",
            WATCHING,
            &["/api/v1/streams/{id}/analytics/retention"],
        )
    },
    figure("messagesCount", "messages", &["MessagePosted"], EVERYWHERE),
    Figure {
        remarks: &[MONEY],
        ..figure(
            "totalTips",
            "money",
            TIPS,
            &[
                STREAM,
                "/api/v1/streams/{id}/analytics/revenue",
                "/api/v1/creators/{id}/analytics/revenue",
                "/api/v1/platform/analytics/revenue",
            ],
        )
    },
    Figure {
        label: "engagement rate",
        ..figure("engagementRate", "share", ACTS, &[STREAM, "/api/v1/platform/analytics/behaviour"])
    },
    Figure {
        label: "tip conversion",
        ..figure(
            "tipConversion",
            "share",
            &["ViewerJoined", "TipCaptured"],
            &[STREAM, "/api/v1/platform/analytics/behaviour"],
        )
    },
    Figure {
        label: "peak times",
        remarks: &[PEAK_TIMES, MONEY, MANY],
        ..figure(
            "peakTimes",
            "persons and money by hour of the week",
            &["ShowStarted", "ViewerJoined", "ViewerLeft", "ShowEnded", "TipCaptured"],
            &["/api/v1/creators/{id}/analytics/peak-times", "/api/v1/platform/analytics/peak-times"],
        )
    },
    Figure {
        label: "content types",
        remarks: &[PEAK_TIMES, MANY],
        ..figure(
            "contentTypes",
            "persons and money by category",
            &[
                "ShowCreated",
                "ShowRevised",
                "ShowStarted",
                "ViewerJoined",
                "ViewerLeft",
                "ShowEnded",
                "TipCaptured",
            ],
            &["/api/v1/creators/{id}/analytics/content"],
        )
    },
    Figure {
        remarks: &[FIRST_SESSION],
        ..figure(
            "demographics",
            "persons by country, city, device",
            &["ViewerJoined"],
            &["/api/v1/streams/{id}/analytics/audience", "/api/v1/creators/{id}/analytics/audience"],
        )
    },
    Figure {
        remarks: &[RETURNING],
        ..figure(
            "growth",
            "persons",
            &["ShowStarted", "ViewerJoined"],
            &[
                "/api/v1/creators/{id}/analytics/growth",
                "/api/v1/platform/analytics",
                "/api/v1/platform/analytics/behaviour",
            ],
        )
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What is defined and not yet served, since its events do not exist.
    const TO_COME: [&str; 4] = ["ticketSales", "giftSales", "subscriptionSales", "quality of experience"];

    #[test]
    fn what_is_defined_is_served_and_what_is_served_is_defined() {
        let mut defined = BTreeSet::new();
        for (labels, definition) in rows() {
            assert!(!definition.is_empty());
            // a comma joins figures of one definition, or tells two of one name apart
            if labels.starts_with("retention curve") {
                defined.insert(labels);
            } else {
                defined.extend(labels.split(", "));
            }
        }
        let served: BTreeSet<&str> = catalogue().iter().map(|figure| figure.label).collect();
        assert_eq!(served.len(), catalogue().len(), "two figures of one definition");
        assert_eq!(defined, served.union(&TO_COME.into()).copied().collect());
    }

    #[test]
    fn every_figure_tells_what_it_means() {
        for figure in catalogue() {
            assert!(!figure.definition().is_empty(), "{}", figure.name);
            assert_eq!(figure.remarks().len(), figure.remarks.len(), "{}", figure.name);
            assert!(!figure.paths.is_empty() && !figure.events.is_empty(), "{}", figure.name);
        }
        let of = |name: &str| catalogue().iter().find(|figure| figure.name == name).unwrap();
        assert_eq!(of("totalViews").definition(), "sessions begun");
        assert!(of("totalTips").definition().starts_with("captured − refunded"));
        assert!(of("retentionSurvival").definition().contains("Kaplan–Meier"));
    }

    #[test]
    fn remarks_are_used() {
        let used: BTreeSet<&str> = catalogue().iter().flat_map(super::Figure::remarks).collect();
        let all: BTreeSet<&str> = METRICS.lines().filter_map(|line| line.strip_prefix("- ")).collect();
        assert_eq!(used, all);
    }

    #[test]
    fn events_are_published_ones() {
        let published = include_str!("../../../schemas/src/published/events.rs");
        for event in catalogue().iter().flat_map(|figure| figure.events) {
            assert!(published.contains(&format!("= \"{event}\" v ")), "{event}");
        }
    }
}
