//! What became of everything.

use schemas::Currency;
use std::collections::BTreeMap;
use std::time::Duration;

use super::survey::{Sum, Survey};

/// Refusals that are told in full.
const EXAMPLES_MAX: usize = 5;

/// What an import did.
#[derive(Default)]
pub(super) struct Report {
    pub(super) people: u64,
    pub(super) messages: u64,
    pub(super) replies: u64,
    pub(super) tips: Sum,
    pub(super) pending_tips: u64,
    /// Texts that were too long, and were cut.
    pub(super) cut: u64,
    /// Answers to messages that could not be answered any more: sent without.
    pub(super) lost_replies: u64,
    /// Sessions that had ended while their people were there, and were begun again.
    pub(super) rejoined: u64,
    /// How often a limit made the import wait, and for how long.
    pub(super) waits: u64,
    pub(super) waited: Duration,
    /// Refused as the product's rules want it, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// Refused otherwise.
    pub(super) unexpected: u64,
    pub(super) examples: Vec<String>,
    /// Payments in other currencies than the show's.
    pub(super) foreign: BTreeMap<&'static str, Sum>,
}

impl Report {
    pub(super) fn refuse(&mut self, reason: &str) {
        *self.refused.entry(reason.to_owned()).or_default() += 1;
    }

    pub(super) fn refuse_unexpectedly(&mut self, what: &str, status: u16, code: &str, detail: &str) {
        self.unexpected += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{what}: {status} {code}: {detail}"));
        }
    }

    pub(super) fn wait(&mut self, wait: Duration) {
        self.waits += 1;
        self.waited += wait;
    }

    /// Prints what was done, and what was not and why.
    pub(super) fn print(&self, currency: Currency, took: Duration) {
        println!("people     {:>9}", self.people);
        println!("messages   {:>9}  of which {} answer another one", self.messages, self.replies);
        println!("tips       {:>9}  {} {currency}", self.tips.count, self.tips.amount);
        let more = [
            (self.pending_tips, "tips whose payment is still under way"),
            (self.cut, "texts cut at 500 characters"),
            (self.lost_replies, "answers to what could not be answered any more, sent without it"),
            (self.rejoined, "sessions that had ended too early, begun again"),
        ];
        for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
            println!("           {count:>9}  {what}");
        }
        for (code, sum) in &self.foreign {
            println!(
                "not sent   {:>9}  payments of {} {code}: the show takes {currency}; their words are messages",
                sum.count, sum.amount
            );
        }
        for (reason, count) in &self.refused {
            println!("refused    {count:>9}  {reason}");
        }
        if self.unexpected > 0 {
            println!("refused    {:>9}  unexpectedly", self.unexpected);
            self.examples.iter().for_each(|example| println!("                      {example}"));
        }
        if self.waits > 0 {
            println!(
                "waited     {:>9}  times for limits, {:.0} s: more at once than the product lets one person do",
                self.waits,
                self.waited.as_secs_f64()
            );
        }
        println!("took       {:>8.0}s", took.as_secs_f64());
    }
}

/// Prints what an export holds.
pub(super) fn print_survey(survey: &Survey, title: &str) {
    let Survey { format, head, last_ms, messages, emotes, paid, unmapped, length_ms, .. } = survey;
    let seconds = length_ms / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    println!("{title} ({}), {hours}:{minutes:02}:{seconds:02}", format.platform());
    println!(
        "  by {}{}",
        survey.host().name,
        head.date.as_ref().map(|date| format!(", {date}")).unwrap_or_default()
    );
    println!("  {} people, {messages} messages, {emotes} emotes (kept as their names)", last_ms.len());
    for (code, sum) in paid {
        println!("  {} payments, {} {code}", sum.count, sum.amount);
    }
    if !unmapped.is_empty() {
        println!("  not mapped, as Tally has no place for it:");
    }
    for (kind, count) in unmapped {
        println!("  {count:>9}  {kind}");
    }
}
