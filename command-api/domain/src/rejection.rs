//! Why a command was refused. Closed: the edge maps every case to one status and one stable code.

use thiserror::Error;

/// Where a show is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShowStatus {
    /// Announced.
    Scheduled,
    /// On air.
    Live,
    /// Over.
    Ended,
    /// Called off.
    Cancelled,
}

impl ShowStatus {
    /// As in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Live => "LIVE",
            Self::Ended => "ENDED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// Why somebody may not enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessReason {
    /// Subscribers only.
    SubscriptionRequired,
    /// Ticket holders only.
    TicketRequired,
    /// Both are needed, and the caller has neither.
    SubscriptionAndTicketRequired,
    /// Every seat is taken.
    ShowFull,
}

/// Why a command was refused. Nothing was written.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Rejection {
    /// There is no such show.
    #[error("no such stream")]
    ShowNotFound,
    /// There is one already under this id.
    #[error("the stream exists already")]
    ShowExists,
    /// Only creators create shows.
    #[error("only creators may create streams")]
    CreatorRoleRequired,
    /// Only the show's creator (or an admin) may do this.
    #[error("only the stream's creator may do this")]
    NotTheCreator,
    /// The system alone asks this.
    #[error("not for callers")]
    SystemOnly,
    /// The show is not in a state for this.
    #[error("the stream is {}", .status.name())]
    WrongStatus {
        /// The state that it is in.
        status: ShowStatus,
    },
    /// `If-Match` names another version.
    #[error("the stream was changed meanwhile")]
    StaleVersion {
        /// The version of now.
        current: schemas::Revision,
    },
    /// The caller may not enter, or is not let in.
    #[error("access is not granted")]
    AccessDenied(AccessReason),
    /// More sessions of one person than anyone needs.
    #[error("too many open sessions")]
    TooManySessions {
        /// The most allowed.
        limit: u32,
    },
    /// The caller has no such session here.
    #[error("no such session")]
    SessionUnknown,
    /// The show's chat is switched off.
    #[error("chat is disabled")]
    ChatDisabled,
    /// The show's tips are switched off.
    #[error("tips are disabled")]
    TipsDisabled,
    /// More than the person may in that time.
    #[error("too many {what}")]
    RateLimited {
        /// Of what.
        what: &'static str,
        /// The most allowed in the window.
        limit: u32,
        /// The window.
        window_ms: i64,
        /// When the next is allowed.
        retry_after_ms: i64,
    },
    /// The same text again, too soon.
    #[error("the same message was just sent")]
    DuplicateMessage {
        /// When it is allowed again.
        retry_after_ms: i64,
    },
    /// The message that this one answers is not among the last ones of this show.
    #[error("no such message to reply to")]
    MessageUnknown,
    /// No such reaction in this show.
    #[error("no such reaction")]
    ReactionUnknown,
    /// Too many reactions at once, or none.
    #[error("reaction count out of range")]
    ReactionCount,
    /// Nothing, or less, cannot be tipped; a price below zero cannot be asked.
    #[error("the amount must be positive")]
    AmountNotPositive,
    /// More than one may tip at once.
    #[error("the amount is above the limit")]
    AmountTooLarge,
    /// The show takes another currency.
    #[error("the stream takes {expected}")]
    CurrencyMismatch {
        /// The show's currency.
        expected: schemas::Currency,
    },
    /// Nobody tips themselves.
    #[error("the creator cannot tip their own stream")]
    OwnShow,
    /// There is no such tip.
    #[error("no such tip")]
    TipUnknown,
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
}
