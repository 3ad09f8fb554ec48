//! The summary, and whether every figure of the server agrees with what was counted here.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::histogram::Histogram;
use super::record::{Confirmed, Record};
use super::rest::{Document, Ended};

/// Faults that are shown in words; the rest is counted.
const FAULTS_SHOWN: usize = 12;

/// Everything that is known after a show.
pub(super) struct Reckoning {
    pub(super) host: Record,
    pub(super) viewers: Vec<Record>,
    pub(super) ended: Ended,
    pub(super) document: anyhow::Result<Document>,
}

/// One figure, there and here.
struct Check {
    what: &'static str,
    server: String,
    here: String,
    agrees: bool,
}

impl Check {
    fn equal<T: PartialEq + Display + Copy>(what: &'static str, server: T, here: T) -> Self {
        Self { what, agrees: server == here, server: server.to_string(), here: here.to_string() }
    }

    fn none(what: &'static str, found: u64) -> Self {
        Self { what, agrees: found == 0, server: "0".to_owned(), here: found.to_string() }
    }
}

/// Sums over the viewers, and over everybody.
struct Sums {
    confirmed: Confirmed,
    joined: u64,
    left: u64,
    reconnects: u64,
    delivered: u64,
    coalesced: u64,
    gap_notices: u64,
    repeated_requests: u64,
    to_frame: Histogram,
    to_answer: Histogram,
    to_reaction_answer: Histogram,
    refusals: BTreeMap<String, u64>,
}

impl Reckoning {
    /// Prints the summary. `false`: something does not agree.
    pub(super) fn print(&self) -> bool {
        let sums = self.sums();
        self.print_sums(&sums);
        let checks = self.checks(&sums);
        println!("\n{:<44} {:>14} {:>14}", "figure", "server", "counted here");
        for check in &checks {
            let mark = if check.agrees { "" } else { "  <- differs" };
            println!("{:<44} {:>14} {:>14}{mark}", check.what, check.server, check.here);
        }
        self.print_faults();
        checks.iter().all(|check| check.agrees)
    }

    fn everybody(&self) -> impl Iterator<Item = &Record> {
        self.viewers.iter().chain(std::iter::once(&self.host))
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums {
            confirmed: Confirmed::default(),
            joined: self.viewers.iter().filter(|viewer| viewer.confirmed.joined).count() as u64,
            left: self.viewers.iter().filter(|viewer| viewer.confirmed.left).count() as u64,
            reconnects: 0,
            delivered: 0,
            coalesced: 0,
            gap_notices: 0,
            repeated_requests: 0,
            to_frame: Histogram::default(),
            to_answer: Histogram::default(),
            to_reaction_answer: Histogram::default(),
            refusals: BTreeMap::new(),
        };
        for record in self.everybody() {
            sums.confirmed.messages += record.confirmed.messages;
            sums.confirmed.reactions += record.confirmed.reactions;
            sums.confirmed.tips += record.confirmed.tips;
            sums.confirmed.tipped += record.confirmed.tipped;
            sums.confirmed.tips_pending += record.confirmed.tips_pending;
            sums.reconnects += record.reconnects;
            sums.delivered += record.chain.frames();
            sums.coalesced += record.coalesced_frames;
            sums.gap_notices += record.gap_notices;
            sums.repeated_requests += record.repeated_requests;
            sums.to_frame.add(&record.to_frame);
            sums.to_answer.add(&record.to_answer);
            sums.to_reaction_answer.add(&record.to_reaction_answer);
            for (code, count) in &record.refusals {
                *sums.refusals.entry(code.clone()).or_default() += count;
            }
        }
        sums
    }

    fn print_sums(&self, sums: &Sums) {
        let confirmed = &sums.confirmed;
        println!(
            "\nsent      {} viewers joined, {} left early, {} connections lost and resumed",
            sums.joined, sums.left, sums.reconnects
        );
        println!(
            "          {} messages, {} reactions, {} tips of {:.2} USD, {} requests repeated",
            confirmed.messages, confirmed.reactions, confirmed.tips, confirmed.tipped, sums.repeated_requests
        );
        println!(
            "received  {} durable frames of the show, {} on all sockets, {} coalesced, {} GAP notices",
            self.host.chain.frames(),
            sums.delivered,
            sums.coalesced,
            sums.gap_notices
        );
        let line = |what: &str, histogram: &Histogram| {
            println!(
                "latency   {what}: p50 {:.1} ms, p99 {:.1} ms ({} samples)",
                histogram.quantile_ms(0.50),
                histogram.quantile_ms(0.99),
                histogram.count()
            );
        };
        line("message sent to its frame, at every socket", &sums.to_frame);
        line("command sent to its answer", &sums.to_answer);
        line("reaction sent to its answer (gathered for a second)", &sums.to_reaction_answer);
        if !sums.refusals.is_empty() {
            println!("refused   {:?}", sums.refusals);
        }
    }

    fn checks(&self, sums: &Sums) -> Vec<Check> {
        let (ended, confirmed, contents) = (&self.ended, &sums.confirmed, &self.host.contents);
        let mut checks = vec![
            Check::equal("end: viewerCount", ended.viewer_count, sums.joined - sums.left),
            Check::equal("end: totalTips", ended.total_tips.0.normalize(), confirmed.tipped.normalize()),
            Check::equal("end: pendingTips", ended.pending_tips, confirmed.tips_pending),
            Check::equal("end: duration", ended.duration, self.duration_seconds()),
            Check::equal("frames: messages", contents.messages, confirmed.messages),
            Check::equal("frames: reactions", contents.reactions, confirmed.reactions),
            Check::equal("frames: tips", contents.tips, confirmed.tips - confirmed.tips_pending),
            Check::equal("frames: tipped", contents.tipped.normalize(), confirmed.tipped.normalize()),
            Check::none(
                "sockets: gaps in `previous` chains",
                self.everybody().map(|record| record.chain.gaps()).sum(),
            ),
            Check::none(
                "sockets: frames received twice",
                self.everybody().map(|record| record.chain.repeats()).sum(),
            ),
            Check::none("sockets: frames that the host saw and they not", self.missing()),
            Check::none("sockets: stayed, and did not see the end", self.without_end()),
            Check::none("faults", self.everybody().map(|record| record.faults.len() as u64).sum()),
        ];
        match &self.document {
            Ok(document) => checks.extend(self.document_checks(document, sums)),
            Err(_) => checks.push(Check::equal("document: readable", "no", "yes")),
        }
        checks
    }

    fn document_checks(&self, document: &Document, sums: &Sums) -> Vec<Check> {
        let stats = &document.stream_stats;
        let peak_in_range = (self.ended.viewer_count..=sums.joined).contains(&stats.peak_viewers);
        vec![
            Check::equal("document: status", document.status.as_str(), "ENDED"),
            Check::equal("document: messagesCount", stats.messages_count, sums.confirmed.messages),
            Check::equal(
                "document: totalTips",
                stats.total_tips.0.normalize(),
                sums.confirmed.tipped.normalize(),
            ),
            Check::equal("document: duration", stats.duration, self.ended.duration),
            Check {
                what: "document: peakViewers, within",
                server: stats.peak_viewers.to_string(),
                here: format!("{}-{}", self.ended.viewer_count, sums.joined),
                agrees: peak_in_range,
            },
        ]
    }

    fn duration_seconds(&self) -> u64 {
        let (Some(started), Some(ended)) = (self.host.started_at, self.host.ended_at) else { return 0 };
        u64::try_from(ended.millis_since(started) / 1_000).unwrap_or(0)
    }

    fn missing(&self) -> u64 {
        self.viewers.iter().map(|viewer| viewer.chain.missing(&self.host.sequences)).sum()
    }

    fn without_end(&self) -> u64 {
        let last = self.host.sequences.last().copied();
        let stayed = self.viewers.iter().filter(|viewer| viewer.confirmed.joined && !viewer.confirmed.left);
        stayed.filter(|viewer| viewer.chain.position() != last).count() as u64
    }

    fn print_faults(&self) {
        let faults: Vec<&String> = self.everybody().flat_map(|record| &record.faults).collect();
        let mut lines: Vec<String> = faults.iter().take(FAULTS_SHOWN).map(ToString::to_string).collect();
        if let Err(error) = &self.document {
            lines.push(format!("the show's document: {error:#}"));
        }
        if faults.len() > FAULTS_SHOWN {
            lines.push(format!("... and {} more", faults.len() - FAULTS_SHOWN));
        }
        for line in lines {
            println!("fault     {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::http::amount::Amount;
    use rust_decimal::Decimal;

    fn reckoning() -> Reckoning {
        let time = |text: &str| text.parse::<schemas::Timestamp>().ok();
        let mut host = Record {
            started_at: time("2026-01-01T20:00:00Z"),
            ended_at: time("2026-01-01T20:00:09.900Z"),
            sequences: vec![1, 3, 4],
            ..Record::default()
        };
        host.contents.messages = 1;
        host.contents.tips = 1;
        host.contents.tipped = Decimal::new(1250, 2);
        let mut viewer = Record::default();
        viewer.chain.snapshot(1);
        viewer.chain.durable(3, Some(1));
        viewer.chain.durable(4, Some(3));
        viewer.confirmed = Confirmed {
            messages: 1,
            tips: 1,
            tipped: Decimal::new(125, 1),
            joined: true,
            ..Confirmed::default()
        };
        let ended = Ended {
            duration: 9,
            viewer_count: 1,
            total_tips: Amount(Decimal::new(1250, 2)),
            pending_tips: 0,
        };
        let document = serde_json::from_str(
            r#"{"status":"ENDED","streamStats":{"peakViewers":1,"totalTips":12.50,"duration":9,"messagesCount":1}}"#,
        );
        Reckoning { host, viewers: vec![viewer], ended, document: document.map_err(Into::into) }
    }

    fn differing(reckoning: &Reckoning) -> Vec<&'static str> {
        let checks = reckoning.checks(&reckoning.sums());
        checks.iter().filter(|check| !check.agrees).map(|check| check.what).collect()
    }

    #[test]
    fn what_agrees_agrees() {
        assert_eq!(differing(&reckoning()), [""; 0]);
        assert!(reckoning().print());
    }

    #[test]
    fn every_difference_is_found() {
        let mut lost = reckoning();
        lost.viewers[0].chain = super::super::chain::Chain::default();
        lost.viewers[0].chain.snapshot(1);
        lost.viewers[0].chain.durable(4, Some(3));
        assert_eq!(
            differing(&lost),
            ["sockets: gaps in `previous` chains", "sockets: frames that the host saw and they not"]
        );
        let mut cent = reckoning();
        cent.ended.total_tips = Amount(Decimal::new(1251, 2));
        assert_eq!(differing(&cent), ["end: totalTips"]);
        let mut unread = reckoning();
        unread.document = Err(anyhow::anyhow!("503"));
        assert_eq!(differing(&unread), ["document: readable"]);
        let mut alone = reckoning();
        alone.ended.viewer_count = 2;
        assert!(differing(&alone).contains(&"end: viewerCount"));
    }
}
