//! The read side's service: queries over the read models, and shows in real time.

mod opening;
pub mod realtime;
#[cfg(test)]
mod testkit;
