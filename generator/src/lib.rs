//! A history as a platform might have had it: months of shows with creators, audiences, chats and tips, made from a seed.
//!
//! Nothing here does IO or reads a clock. Each event is decided by the domain itself, so a history holds nothing that the
//! product would not have written. The same [`Options`] make the same history, byte for byte, on every machine: randomness
//! comes from ChaCha, functions beyond arithmetic from `libm`, and no order from a hash map.
//!
//! A [`History`] plans all shows in the order of their time; [`History::play`] then plays one of them, as far as it is asked
//! for. What is sealed in the log comes out plain ([`sealing`]), for whoever has the keys.

mod acts;
mod audience;
mod calendar;
mod chat;
mod creators;
mod dice;
mod digest;
mod edge;
mod money;
mod payments;
mod people;
mod places;
mod play;
mod rhythm;
pub mod sealing;
mod size;
mod texts;

pub use calendar::{Fate, History, Options, ShowPlan};
pub use digest::{Digest, counts_of};
pub use edge::{Edge, PlainEdge};
pub use play::{Happening, PaymentStep, Performance};
pub use rhythm::{LocalTime, activity};
