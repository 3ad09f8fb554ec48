//! The domain: what may happen in a show, and what follows. Synchronous, without IO and without a clock;
//! time, ids and randomness arrive in the command. It depends on `schemas` alone, so Cargo enforces this.
//!
//! `decide` says which events a command causes, `evolve` what an event changes; [`show::Show::handle`] does both.

pub mod command;
pub mod rejection;
pub mod rules;
pub mod show;

pub use command::{Action, Caller, Command, PlatformRole};
pub use rejection::{AccessReason, Rejection, ShowStatus};
pub use rules::Rules;
pub use show::Show;
