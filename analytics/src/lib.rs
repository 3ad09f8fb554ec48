//! The figures: what each means, and where they come from.
//!
//! [`rows`] makes rows of events for the warehouse, [`migrate`] its tables and views, [`figures`] asks it. [`fold`] computes a show's figures by
//! a plain fold over the log: the yardstick that every store is measured against. It trusts no count that an event carries.
//!
//! [`loader`] fills the warehouse from the topic, [`backfill`] straight from the log. [`verify`] compares every store with the log.

pub mod backfill;
pub mod figures;
pub mod fold;
pub mod loader;
pub mod migrate;
pub mod rows;
pub mod verify;
mod warehouse;

/// `part ÷ whole`; 0 where there is no whole.
#[expect(clippy::cast_precision_loss, reason = "ratios are for people; sums stay exact")]
fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
