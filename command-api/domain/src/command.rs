//! What can be asked of a show.

use schemas::events::{
    DeclineReason, DeviceType, Location, MessageFeatures, Quality, ShowDetails, StreamSettings,
};
use schemas::{
    Actor, AttemptId, BodyHash, CommandId, Currency, DeviceId, MessageId, Money, PaymentId, PersonId,
    Revision, Sealed, SessionId, ShowId, TextDigest, Timestamp, TipId,
};

/// A command: who asks what, when, and under which id. All that a decision needs besides the state.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// The same on every repeat; ids of what it creates derive from it.
    pub id: CommandId,
    /// What its events' ids derive from.
    pub attempt: AttemptId,
    /// Tells another request under the same id.
    pub body_hash: BodyHash,
    /// The node's time. The event's time is never earlier than the event before.
    pub at: Timestamp,
    /// Who asks.
    pub caller: Caller,
    /// The request that it came with.
    pub correlation: Option<String>,
    /// The trace that it came with.
    pub traceparent: Option<String>,
    /// What is asked.
    pub action: Action,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A person with a token.
    Person {
        /// Who.
        person: PersonId,
        /// The strongest of the token's roles.
        role: PlatformRole,
    },
    /// Tally itself: the presence sweeper, the payment saga.
    System,
}

impl Caller {
    /// As stored in an event's metadata.
    #[must_use]
    pub fn actor(self) -> Actor {
        match self {
            Self::Person { person, .. } => Actor::Person(person),
            Self::System => Actor::System,
        }
    }

    /// The person, if it is one.
    #[must_use]
    pub fn person(self) -> Option<PersonId> {
        match self {
            Self::Person { person, .. } => Some(person),
            Self::System => None,
        }
    }
}

/// What a token says that its bearer is on the platform. In rising order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PlatformRole {
    /// May watch, chat, tip.
    Viewer,
    /// May create shows.
    Creator,
    /// Moderates the platform; enters every show.
    Moderator,
    /// May do everything.
    Admin,
}

/// What can be asked of a show.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Announce a show.
    Create(Box<CreateShow>),
    /// Change what was announced, or how it runs.
    Revise(Box<ReviseShow>),
    /// Go live.
    Start,
    /// Be over.
    End,
    /// Call it off before it begins.
    Cancel,
    /// Begin a session, or continue the one on this device.
    Join(Box<JoinShow>),
    /// End one session, or all of the caller's.
    Leave(LeaveShow),
    /// End a session without signs of life (system only).
    Expire(ExpireSession),
    /// Write a message.
    Post(Box<PostMessage>),
    /// Count reactions of about a second.
    React(CountReactions),
    /// Promise a tip; its payment follows.
    RequestTip(Box<RequestTip>),
    /// Say how a tip's payment ended (system only).
    SettleTip(Box<SettleTip>),
}

/// Announce a show. The edge has checked lengths and formats.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateShow {
    /// The new show: derived from the command.
    pub show_id: ShowId,
    /// Who the creator is, sealed (field `identity`).
    pub identity: Sealed,
    /// Title and the rest.
    pub details: ShowDetails,
    /// Subscribers only.
    pub subscriber_only: bool,
    /// In the show's currency; zero or `None`: no ticket.
    pub ticket_price: Option<Money>,
    /// The show's one currency.
    pub currency: Currency,
    /// How it runs.
    pub settings: StreamSettings,
    /// When it should start.
    pub scheduled_start: Option<Timestamp>,
    /// The video channel.
    pub channel: String,
}

/// A change: `None` leaves a thing as it is; `Some(None)` takes it away.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ReviseShow {
    /// The revision that the caller saw (`If-Match`).
    pub expected_version: Option<Revision>,
    /// Title.
    pub title: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Category.
    pub category: Option<Option<String>>,
    /// Tags.
    pub tags: Option<Vec<String>>,
    /// Language.
    pub language: Option<Option<String>>,
    /// Thumbnail.
    pub thumbnail_url: Option<Option<String>>,
    /// Subscribers only.
    pub subscriber_only: Option<bool>,
    /// Ticket price; zero is none.
    pub ticket_price: Option<Option<Money>>,
    /// Currency.
    pub currency: Option<Currency>,
    /// Scheduled start.
    pub scheduled_start: Option<Option<Timestamp>>,
    /// Video quality.
    pub quality: Option<Quality>,
    /// Recording.
    pub recording_enabled: Option<bool>,
    /// Chat.
    pub chat_enabled: Option<bool>,
    /// Tips.
    pub tips_enabled: Option<bool>,
    /// Seat cap.
    pub max_viewers: Option<Option<u32>>,
}

/// What other aggregates say of the caller and this show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entitlements {
    /// Subscribes to the creator.
    pub subscribes: bool,
    /// Holds a ticket.
    pub holds_ticket: bool,
}

/// Begin a session.
#[derive(Clone, PartialEq, Debug)]
pub struct JoinShow {
    /// Who the caller is, sealed (field `identity`).
    pub identity: Sealed,
    /// On which device; none is a device too.
    pub device: Option<DeviceId>,
    /// What kind of device.
    pub device_type: Option<DeviceType>,
    /// Where.
    pub location: Location,
    /// What the caller may by other aggregates.
    pub entitlements: Entitlements,
}

/// End sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaveShow {
    /// Which; `None`: all of the caller's in this show.
    pub session_id: Option<SessionId>,
}

/// End a session without signs of life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpireSession {
    /// Which.
    pub session_id: SessionId,
    /// Whose.
    pub person: PersonId,
    /// The last sign of life.
    pub last_seen: Timestamp,
}

/// Write a message. The edge has checked its length and sealed it.
#[derive(Clone, PartialEq, Debug)]
pub struct PostMessage {
    /// Who the author is, sealed (field `identity`).
    pub identity: Sealed,
    /// The text, sealed (field `text`).
    pub text: Sealed,
    /// Tells a repeat.
    pub digest: TextDigest,
    /// What may be known of the text.
    pub features: MessageFeatures,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// The client's own id.
    pub client_message_id: Option<String>,
}

/// Reactions that one node gathered in about a second. Each is one person's command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CountReactions {
    /// Never empty.
    pub reactions: Vec<Reaction>,
}

/// One person's reaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reaction {
    /// The person's command.
    pub command_id: CommandId,
    /// The hash of its body.
    pub body_hash: BodyHash,
    /// Who.
    pub person: PersonId,
    /// In which role.
    pub role: PlatformRole,
    /// One of [`crate::rules::REACTIONS`].
    pub kind: String,
    /// How many: 1 to [`crate::rules::MAX_REACTIONS_A_COMMAND`].
    pub count: u32,
}

/// Promise a tip.
#[derive(Clone, PartialEq, Debug)]
pub struct RequestTip {
    /// Derived from the command.
    pub tip_id: TipId,
    /// Derived from the command.
    pub payment_id: PaymentId,
    /// Who tips, sealed (field `identity`).
    pub identity: Sealed,
    /// How much.
    pub amount: Money,
    /// With which words, sealed (field `message`).
    pub message: Option<Sealed>,
}

/// Say how a tip's payment ended.
#[derive(Clone, PartialEq, Debug)]
pub struct SettleTip {
    /// Which.
    pub tip_id: TipId,
    /// How.
    pub outcome: TipOutcome,
}

/// How a tip's payment ended.
#[derive(Clone, PartialEq, Debug)]
pub enum TipOutcome {
    /// Paid.
    Captured {
        /// Who tipped, sealed for the event to come; `None` if they were erased meanwhile.
        identity: Option<Sealed>,
        /// The words, likewise.
        message: Option<Sealed>,
    },
    /// Not paid.
    Declined(DeclineReason),
}
