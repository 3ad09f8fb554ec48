//! Playing a show: each act becomes a command, the domain decides it, and what it decides happens.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::command::{
    CountReactions, CreateShow, ExpireSession, JoinShow, LeaveShow, PostMessage, Reaction, RequestTip,
    ReviseShow, SettleTip, TipOutcome,
};
use domain::{Action, Caller, Command, PlatformRole, Rules, Show};
use schemas::events::{
    ChatEvent, LedgerEvent, PaymentEvent, Quality, ShowDetails, ShowEvent, StreamSettings, TipRequested,
};
use schemas::{
    AttemptId, BodyHash, CommandId, Envelope, Event, MessageId, PaymentId, PersonId, SessionId, ShowId,
    Timestamp, TipId, streams,
};

use crate::acts::{Act, MeantTip, Script, Thrown, What, script};
use crate::audience::{Visitor, visitors};
use crate::calendar::{History, ShowPlan};
use crate::dice::{Dice, Seed};
use crate::edge::Edge;
use crate::payments::Payment;
use crate::sealing::{plain, plain_identity};
use crate::texts::{self, CATEGORIES, Setting};

/// What requests of a generated history are called, in their events' metadata.
const CORRELATION: &str = "tally-generate";

/// Messages that answer another one, and how far back.
const REPLY_SHARE: f64 = 0.16;
const REPLY_REACH: usize = 25;

/// An event of the show, and what happens in payments around it.
#[derive(Clone, PartialEq, Debug)]
pub struct Happening {
    /// The event, as the domain decided it. What is sealed in the log is plain.
    pub event: Envelope<ShowEvent>,
    /// A payment that this event promises: its stream up to where the show is told how it ended. It stands in the log
    /// before this event, so that nobody who finds the promise asks for the money again.
    pub before: Option<PaymentStep>,
    /// What a payment's stream says after this event.
    pub after: Option<PaymentStep>,
}

/// Events of a payment's stream that are written together.
#[derive(Clone, PartialEq, Debug)]
pub struct PaymentStep {
    /// The payment.
    pub payment: PaymentId,
    /// Its events, with their revisions.
    pub events: Vec<Envelope<PaymentEvent>>,
}

impl Happening {
    /// All of it with the streams that it stands in, in the order of the log.
    pub fn told(self, show: ShowId) -> impl Iterator<Item = (String, Envelope<Event>)> {
        let of_show = (streams::show(show), self.event.map(Into::into));
        told_of(self.before).chain([of_show]).chain(told_of(self.after))
    }
}

fn told_of(step: Option<PaymentStep>) -> impl Iterator<Item = (String, Envelope<Event>)> {
    step.into_iter().flat_map(|step| {
        let stream = streams::payment(step.payment);
        step.events.into_iter().map(move |event| (stream.clone(), event.map(Into::into)))
    })
}

/// A show that is being played. Yields its events one by one; what is under way is as much as its acts and its state.
pub struct Performance {
    history: Arc<History>,
    edge: Arc<dyn Edge>,
    plan: ShowPlan,
    host: PersonId,
    visitors: Vec<Visitor>,
    acts: std::vec::IntoIter<Act>,
    tips: Vec<MeantTip>,
    /// Those that were promised, with their words.
    payments: Vec<Option<(Payment, Option<String>)>>,
    /// The commands of joins, by visitor and stay.
    joins: Vec<Vec<Option<CommandId>>>,
    show: Show,
    rules: Rules,
    recent: VecDeque<MessageId>,
    dice: Dice,
    decided: VecDeque<Happening>,
}

impl History {
    /// Plays the show at this place in [`History::shows`].
    #[must_use]
    pub fn play(self: &Arc<Self>, place: usize, edge: &Arc<dyn Edge>) -> Performance {
        let plan = self.shows()[place].clone();
        let seed: &Seed = &self.world;
        let mut dice = seed.dice("performance", &[plan.salt]);
        let visitors = visitors(self, &plan, edge.as_ref(), &mut dice);
        let Script { acts, tips } = script(self, &plan, &visitors, &mut dice);
        Performance {
            host: edge.person(&self.creator_of(&plan).sub),
            payments: tips.iter().map(|_| None).collect(),
            joins: visitors.iter().map(|visitor| vec![None; visitor.stays.len()]).collect(),
            history: Arc::clone(self),
            edge: Arc::clone(edge),
            plan,
            visitors,
            acts: acts.into_iter(),
            tips,
            show: Show::default(),
            rules: Rules::default(),
            recent: VecDeque::with_capacity(REPLY_REACH),
            dice,
            decided: VecDeque::new(),
        }
    }
}

impl Iterator for Performance {
    type Item = Happening;

    fn next(&mut self) -> Option<Happening> {
        loop {
            if let Some(happening) = self.decided.pop_front() {
                return Some(happening);
            }
            let act = self.acts.next()?;
            self.perform(act);
        }
    }
}

impl Performance {
    /// The show that is played.
    #[must_use]
    pub fn plan(&self) -> &ShowPlan {
        &self.plan
    }

    fn perform(&mut self, act: Act) {
        let at = act.at;
        match act.what {
            What::Create => self.create(at),
            What::Revise => self.revise(at),
            What::Cancel => self.as_host(at, Action::Cancel),
            What::Start => self.as_host(at, Action::Start),
            What::Change => {
                let change = ReviseShow { quality: Some(Quality::Fhd), ..ReviseShow::default() };
                self.as_host(at, Action::Revise(Box::new(change)));
            }
            What::End => self.as_host(at, Action::End),
            What::Join { visitor, stay } => self.join(at, visitor, stay),
            What::Leave { visitor, stay } => self.leave(at, visitor, stay),
            What::Expire { visitor, stay, seen } => self.expire(at, visitor, stay, seen),
            What::Say { visitor } => self.say(at, visitor),
            What::HostSays => self.host_says(at),
            What::Count(thrown) => self.count(at, &thrown),
            What::Tip { tip } => self.tip(at, tip),
            What::Settle { tip } => self.settle(at, tip),
        }
    }

    /// Decides a command. What the product would refuse does not happen.
    fn decide(&mut self, command: &Command) -> usize {
        let Ok(events) = self.show.handle(command, &self.rules) else { return 0 };
        let count = events.len();
        for event in events {
            if let ShowEvent::Chat(ChatEvent::Posted(posted)) = &event.event {
                if self.recent.len() == REPLY_REACH {
                    self.recent.pop_front();
                }
                self.recent.push_back(posted.message_id);
            }
            self.decided.push_back(Happening { event, before: None, after: None });
        }
        count
    }

    fn command(&mut self, at: Timestamp, caller: Caller, action: Action) -> Command {
        let id = CommandId(self.dice.uuid());
        self.command_of(id, at, caller, action)
    }

    fn command_of(&mut self, id: CommandId, at: Timestamp, caller: Caller, action: Action) -> Command {
        let is_person = caller.person().is_some();
        Command {
            id,
            // the only attempt: an interrupted run makes the same events again
            attempt: AttemptId::only(id),
            body_hash: if is_person { BodyHash(self.dice.bytes()) } else { BodyHash::default() },
            at,
            caller,
            correlation: is_person.then(|| CORRELATION.to_owned()),
            traceparent: None,
            action,
        }
    }

    fn as_host(&mut self, at: Timestamp, action: Action) {
        let command = self.command(at, self.host_caller(), action);
        self.decide(&command);
    }

    fn host_caller(&self) -> Caller {
        Caller::Person { person: self.host, role: PlatformRole::Creator }
    }

    fn caller(&self, visitor: usize) -> Caller {
        let visitor = &self.visitors[visitor];
        let role = if visitor.person.is_moderator { PlatformRole::Moderator } else { PlatformRole::Viewer };
        Caller::Person { person: visitor.id, role }
    }

    fn create(&mut self, at: Timestamp) {
        let creator = self.history.creator_of(&self.plan).clone();
        let (category, _) = CATEGORIES[creator.category];
        let id = self.plan.create_command;
        let create = CreateShow {
            show_id: self.plan.id,
            identity: plain_identity(&creator.sub, &creator.name),
            details: ShowDetails {
                title: texts::title(creator.category, self.plan.number, &mut self.dice),
                description: format!("{} with {}, live", category, creator.name),
                category: Some(category.to_owned()),
                tags: vec![category.to_owned(), creator.language.to_owned()],
                language: Some(creator.language.to_owned()),
                thumbnail_url: None,
            },
            subscriber_only: false,
            ticket_price: None,
            currency: creator.currency,
            settings: StreamSettings::default(),
            scheduled_start: Some(self.plan.scheduled),
            channel: self.plan.id.to_string(),
        };
        let command = self.command_of(id, at, self.host_caller(), Action::Create(Box::new(create)));
        self.decide(&command);
    }

    fn revise(&mut self, at: Timestamp) {
        let category = self.history.creator_of(&self.plan).category;
        let title = texts::title(category, self.plan.number, &mut self.dice);
        let change = ReviseShow { title: Some(format!("{title}, with a guest")), ..ReviseShow::default() };
        self.as_host(at, Action::Revise(Box::new(change)));
    }

    fn join(&mut self, at: Timestamp, visitor: usize, stay: usize) {
        let who = &self.visitors[visitor];
        let device = &who.person.devices[who.stays[stay].device.min(who.person.devices.len() - 1)];
        let join = JoinShow {
            identity: plain_identity(&who.person.sub, &who.person.name),
            device: device.id.as_deref().map(|id| self.edge.device(who.id, id)),
            device_type: device.kind,
            location: who.person.location.clone(),
            entitlements: domain::command::Entitlements::default(),
        };
        let command = self.command(at, self.caller(visitor), Action::Join(Box::new(join)));
        if self.decide(&command) > 0 {
            self.joins[visitor][stay] = Some(command.id);
        }
    }

    /// The session that a stay began; `None` where it continued another one.
    fn session(&self, visitor: usize, stay: usize) -> Option<SessionId> {
        self.joins[visitor][stay].map(|command| SessionId(command.creates("session")))
    }

    fn leave(&mut self, at: Timestamp, visitor: usize, stay: usize) {
        let Some(session) = self.session(visitor, stay) else { return };
        let leave = LeaveShow { session_id: Some(session) };
        let command = self.command(at, self.caller(visitor), Action::Leave(leave));
        self.decide(&command);
    }

    fn expire(&mut self, at: Timestamp, visitor: usize, stay: usize, last_seen: Timestamp) {
        let Some(session_id) = self.session(visitor, stay) else { return };
        let person = self.visitors[visitor].id;
        let expire = Action::Expire(ExpireSession { session_id, person, last_seen });
        let command = self.command(at, Caller::System, expire);
        self.decide(&command);
    }

    fn say(&mut self, at: Timestamp, visitor: usize) {
        let creator = &self.history.creator_of(&self.plan).name;
        let (who, place) = (&self.visitors[visitor].person, self.visitors[visitor].person.place());
        let text = texts::message(who.language, &Setting { creator, place }, &mut self.dice);
        let identity = plain_identity(&who.sub, &who.name);
        let reply_to = if !self.recent.is_empty() && self.dice.chance(REPLY_SHARE) {
            Some(self.recent[self.dice.index(self.recent.len())])
        } else {
            None
        };
        let post = PostMessage { reply_to, ..self.post(self.visitors[visitor].id, identity, &text) };
        let command = self.command(at, self.caller(visitor), Action::Post(Box::new(post)));
        self.decide(&command);
    }

    fn host_says(&mut self, at: Timestamp) {
        let creator = self.history.creator_of(&self.plan);
        let setting = Setting { creator: &creator.name, place: "here" };
        let text = texts::host_line(&setting, &mut self.dice);
        let post = self.post(self.host, plain_identity(&creator.sub, &creator.name), &text);
        self.as_host(at, Action::Post(Box::new(post)));
    }

    fn post(&self, author: PersonId, identity: schemas::Sealed, text: &str) -> PostMessage {
        PostMessage {
            identity,
            text: plain(text.as_bytes().to_vec()),
            digest: self.edge.digest(self.plan.id, author, text),
            features: self.edge.features(text),
            reply_to: None,
            client_message_id: None,
        }
    }

    fn count(&mut self, at: Timestamp, thrown: &[Thrown]) {
        let reactions = thrown.iter().map(|one| Reaction {
            command_id: CommandId(self.dice.uuid()),
            body_hash: BodyHash(self.dice.bytes()),
            person: self.visitors[one.visitor].id,
            role: PlatformRole::Viewer,
            kind: domain::rules::REACTIONS[one.kind].to_owned(),
            count: one.count,
        });
        let react = Action::React(CountReactions { reactions: reactions.collect() });
        let command = self.command(at, Caller::System, react);
        self.decide(&command);
    }

    fn tip(&mut self, at: Timestamp, tip: usize) {
        let MeantTip { visitor, amount, ending } = self.tips[tip];
        let creator = &self.history.creator_of(&self.plan).name;
        let setting = Setting { creator, place: "here" };
        let words = texts::tip_words(&setting, &mut self.dice);
        let who = &self.visitors[visitor].person;
        let identity = plain_identity(&who.sub, &who.name);
        let root = CommandId(self.dice.uuid());
        let request = RequestTip {
            tip_id: TipId(root.creates("tip")),
            payment_id: PaymentId(root.creates("payment")),
            identity,
            amount,
            message: words.clone().map(|words| plain(words.into_bytes())),
        };
        let command = self.command_of(root, at, self.caller(visitor), Action::RequestTip(Box::new(request)));
        if self.decide(&command) == 0 {
            return;
        }
        let Some(happening) = self.decided.back_mut() else { return };
        let Some(requested) = tip_requested(&happening.event) else { return };
        let payment = Payment::of(self.plan.id, self.host, &requested);
        let settles_at = at.plus_millis(ending.after_ms);
        let events = payment.begin(ending.declined, settles_at);
        happening.before = Some(PaymentStep { payment: payment.id, events });
        self.payments[tip] = Some((payment, words));
    }

    fn settle(&mut self, at: Timestamp, tip: usize) {
        let Some((payment, words)) = self.payments[tip].take() else { return };
        let MeantTip { ending, visitor, .. } = self.tips[tip];
        let outcome = match ending.declined {
            Some(reason) => TipOutcome::Declined(reason),
            None => {
                let who = &self.visitors[visitor].person;
                // sealed anew for this event, as the saga does it
                let message = words.map(|words| plain(words.into_bytes()));
                TipOutcome::Captured { identity: Some(plain_identity(&who.sub, &who.name)), message }
            }
        };
        let action = Action::SettleTip(Box::new(SettleTip { tip_id: payment.tip_id, outcome }));
        let command = self.command_of(payment.settle_id(), at, Caller::System, action);
        if self.decide(&command) == 0 {
            return;
        }
        if let Some(happening) = self.decided.back_mut() {
            let applied = payment.applied(happening.event.meta.occurred_at);
            happening.after = Some(PaymentStep { payment: payment.id, events: vec![applied] });
        }
    }
}

fn tip_requested(envelope: &Envelope<ShowEvent>) -> Option<Envelope<TipRequested>> {
    match &envelope.event {
        ShowEvent::Ledger(LedgerEvent::TipRequested(requested)) => {
            Some(envelope.clone().map(|_| requested.clone()))
        }
        ShowEvent::Ledger(LedgerEvent::TipCaptured(_) | LedgerEvent::TipDeclined(_))
        | ShowEvent::Lifecycle(_)
        | ShowEvent::Settings(_)
        | ShowEvent::Audience(_)
        | ShowEvent::Chat(_)
        | ShowEvent::Interaction(_) => None,
    }
}
