//! The limits that decisions know. Exact, per person and show.

/// The reactions that a show offers.
pub const REACTIONS: [&str; 10] =
    ["LIKE", "LOVE", "HEART", "LAUGH", "WOW", "SAD", "ANGRY", "CLAP", "FIRE", "PARTY"];

/// Reactions that one command may carry: what a thumb can do in the second that is counted together.
pub const MAX_REACTIONS_A_COMMAND: u32 = 50;

/// Open sessions of one person in one show: more devices than anyone watches on, few enough to bound the state.
pub const MAX_SESSIONS_A_PERSON: u32 = 10;

/// How long a command's id is kept: as long as the contract promises for idempotency keys.
pub const COMMAND_MEMORY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Messages that can still be answered: several screens, and a bound on the state.
pub const REPLY_WINDOW: usize = 2_000;

/// The longest window that a rate may have: what the state remembers of persons' acts.
pub const MAX_WINDOW_MS: i64 = 60_000;

/// So many in so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// The most in any window.
    pub count: u32,
    /// The window's length.
    pub window_ms: i64,
}

/// The configurable limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Messages of a person.
    pub chat: Rate,
    /// Messages of the host, moderators and admins.
    pub chat_staff: Rate,
    /// How long the same text of the same person is refused.
    pub duplicate_window_ms: i64,
    /// Tips of a person.
    pub tips: Rate,
    /// The largest tip, in major units of its currency.
    pub max_tip_major: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            chat: Rate { count: 20, window_ms: 30_000 },
            chat_staff: Rate { count: 100, window_ms: 30_000 },
            duplicate_window_ms: 30_000,
            tips: Rate { count: 10, window_ms: 60_000 },
            max_tip_major: 10_000,
        }
    }
}
