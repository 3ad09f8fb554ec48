//! The figures: what each means, and where they come from.
//!
//! [`rows`] makes rows of events for the warehouse, [`migrate`] its tables and views, [`figures`] asks it. [`fold`] computes a show's figures by
//! a plain fold over the log: the yardstick that every store is measured against. It trusts no count that an event carries.

pub mod figures;
pub mod fold;
pub mod migrate;
pub mod rows;
