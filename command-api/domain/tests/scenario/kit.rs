//! Given, when, then. A scenario is a show that lives through commands at chosen times.

use domain::command::*;
use domain::{Action, Caller, Command, PlatformRole, Rejection, Rules, Show};
use schemas::events::*;
use schemas::*;
use uuid::Uuid;

pub const HOST: u128 = 1;
pub const START_MS: i64 = 1_000_000;

pub fn person(n: u128) -> PersonId {
    PersonId(Uuid::from_u128(n))
}

pub fn sealed() -> Sealed {
    serde_json::from_value(serde_json::json!({
        "keyId": Uuid::nil(), "nonce": "AAECAwQFBgcICQoL", "ciphertext": "c2VhbGVk",
    }))
    .unwrap()
}

pub fn usd(text: &str) -> Money {
    Money::new(text.parse().unwrap(), Currency::USD).unwrap()
}

pub struct Scenario {
    pub show: Show,
    pub events: Vec<Envelope<ShowEvent>>,
    pub rules: Rules,
    pub now_ms: i64,
    next_command: u128,
}

impl Scenario {
    /// Given no show.
    pub fn empty() -> Self {
        Self {
            show: Show::default(),
            events: Vec::new(),
            rules: Rules::default(),
            now_ms: START_MS,
            next_command: 1_000,
        }
    }

    /// Given a scheduled show.
    pub fn scheduled() -> Self {
        Self::scheduled_with(create())
    }

    pub fn scheduled_with(create: CreateShow) -> Self {
        let mut scenario = Self::empty();
        scenario.by(HOST, PlatformRole::Creator, Action::Create(Box::new(create))).unwrap();
        scenario
    }

    /// Given a show on air.
    pub fn live() -> Self {
        Self::live_with(create())
    }

    pub fn live_with(create: CreateShow) -> Self {
        let mut scenario = Self::scheduled_with(create);
        scenario.host(Action::Start).unwrap();
        scenario
    }

    pub fn after(&mut self, ms: i64) -> &mut Self {
        self.now_ms += ms;
        self
    }

    pub fn command(&mut self, caller: Caller, action: Action) -> Command {
        self.next_command += 1;
        Command {
            id: CommandId(Uuid::from_u128(self.next_command)),
            attempt: AttemptId(Uuid::from_u128(self.next_command)),
            body_hash: BodyHash::default(),
            at: Timestamp::from_millis(self.now_ms),
            caller,
            correlation: None,
            traceparent: None,
            action,
        }
    }

    pub fn run(&mut self, command: &Command) -> Result<Vec<ShowEvent>, Rejection> {
        let decided = self.show.handle(command, &self.rules)?;
        self.events.extend(decided.iter().cloned());
        Ok(decided.into_iter().map(|envelope| envelope.event).collect())
    }

    /// When a person asks.
    pub fn by(&mut self, who: u128, role: PlatformRole, action: Action) -> Result<Vec<ShowEvent>, Rejection> {
        let command = self.command(Caller::Person { person: person(who), role }, action);
        self.run(&command)
    }

    pub fn viewer(&mut self, who: u128, action: Action) -> Result<Vec<ShowEvent>, Rejection> {
        self.by(who, PlatformRole::Viewer, action)
    }

    pub fn host(&mut self, action: Action) -> Result<Vec<ShowEvent>, Rejection> {
        self.by(HOST, PlatformRole::Creator, action)
    }

    pub fn system(&mut self, action: Action) -> Result<Vec<ShowEvent>, Rejection> {
        let command = self.command(Caller::System, action);
        self.run(&command)
    }

    pub fn join(&mut self, who: u128) -> SessionId {
        joined(&self.viewer(who, join(None)).unwrap()).session_id
    }
}

pub fn create() -> CreateShow {
    CreateShow {
        show_id: ShowId(Uuid::from_u128(99)),
        identity: sealed(),
        details: ShowDetails {
            title: "Show".into(),
            description: String::new(),
            category: None,
            tags: Vec::new(),
            language: None,
            thumbnail_url: None,
        },
        subscriber_only: false,
        ticket_price: None,
        currency: Currency::USD,
        settings: StreamSettings::default(),
        scheduled_start: None,
        channel: "show_99".into(),
    }
}

pub fn join(device: Option<u128>) -> Action {
    Action::Join(Box::new(JoinShow {
        identity: sealed(),
        device: device.map(|n| DeviceId(Uuid::from_u128(n))),
        device_type: Some(DeviceType::Mobile),
        location: Location::default(),
        entitlements: Entitlements::default(),
    }))
}

pub fn post(text: u128) -> Action {
    reply(text, None)
}

pub fn reply(text: u128, reply_to: Option<MessageId>) -> Action {
    Action::Post(Box::new(PostMessage {
        identity: sealed(),
        text: sealed(),
        digest: TextDigest(Uuid::from_u128(text)),
        features: MessageFeatures::default(),
        reply_to,
        client_message_id: None,
    }))
}

pub fn tip(n: u128, amount: Money) -> Action {
    Action::RequestTip(Box::new(RequestTip {
        tip_id: TipId(Uuid::from_u128(n)),
        payment_id: PaymentId(Uuid::from_u128(n)),
        identity: sealed(),
        amount,
        message: None,
    }))
}

pub fn settle(n: u128, captured: bool) -> Action {
    let outcome = if captured {
        TipOutcome::Captured { identity: Some(sealed()), message: None }
    } else {
        TipOutcome::Declined(DeclineReason::Declined)
    };
    Action::SettleTip(Box::new(SettleTip { tip_id: TipId(Uuid::from_u128(n)), outcome }))
}

pub fn reaction(command: u128, who: u128, kind: &str, count: u32) -> Reaction {
    Reaction {
        command_id: CommandId(Uuid::from_u128(command)),
        body_hash: BodyHash([1; 16]),
        person: person(who),
        role: PlatformRole::Viewer,
        kind: kind.into(),
        count,
    }
}

pub fn react(reactions: Vec<Reaction>) -> Action {
    Action::React(CountReactions { reactions })
}

pub fn joined(events: &[ShowEvent]) -> &ViewerJoined {
    match events {
        [ShowEvent::Audience(AudienceEvent::Joined(joined))] => joined,
        other => panic!("expected one join, got {other:?}"),
    }
}

pub fn left(events: &[ShowEvent]) -> Vec<&ViewerLeft> {
    events
        .iter()
        .map(|event| match event {
            ShowEvent::Audience(AudienceEvent::Left(left)) => left,
            other => panic!("expected leaves, got {other:?}"),
        })
        .collect()
}
