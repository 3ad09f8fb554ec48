//! What a client wants, one after the other: commands, resumes, signs of life.

use bytes::Bytes;
use futures::future::BoxFuture;
use platform::http::problem::Chain;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

use super::answer::{self, JoinAnswer};
use super::outlet::Standing;
use super::{End, Socket, unwritable};
use crate::realtime::commands::{self, CommandAnswer, CommandCall, CommandError};
use crate::realtime::frame::ErrorData;
use crate::realtime::history::retried;
use crate::realtime::inbound::{self, CommandKind, Said, Wish, refusal};
use crate::realtime::life_signs::Session;
use crate::realtime::wire::CloseCode;

/// A wish that waits for its turn.
pub(super) struct Work(Said);

/// A command's end.
pub(super) struct Done {
    kind: CommandKind,
    request_id: Option<Arc<str>>,
    result: Result<CommandAnswer, NoAnswer>,
}

enum NoAnswer {
    Failed(CommandError),
    TimedOut,
}

/// When to repeat a command whose outcome is unknown.
const REPEAT_AFTER_SECONDS: u64 = 1;

impl Socket {
    pub(super) fn understand(&self, text: &str) -> Work {
        let person = self.client.caller.as_ref().map(|caller| &*caller.sub);
        Work(inbound::understand(text, self.show, person))
    }

    pub(super) async fn begin(&mut self, work: Work) -> Result<(), End> {
        let Said { request_id, wish } = work.0;
        let is_first = self.is_fresh();
        let says_where = matches!(wish, Ok(Wish::Resume(_) | Wish::Command { kind: CommandKind::Join, .. }));
        if is_first && !says_where {
            self.go_live().await?;
        }
        match wish {
            Ok(Wish::Command { kind, body }) => {
                // the snapshot comes with the answer, unless that takes long
                self.run_command(kind, body, request_id);
                Ok(())
            }
            Ok(Wish::Resume(sequence)) => self.resume(sequence, request_id).await,
            Ok(Wish::Heartbeat) => self.acknowledge_if_asked(request_id.as_deref()),
            Err(mut error) => {
                error.request_id = request_id;
                self.refuse(&error)
            }
        }
    }

    fn run_command(&mut self, kind: CommandKind, body: Vec<u8>, request_id: Option<Arc<str>>) {
        let Some(caller) = &self.client.caller else { return };
        let call = CommandCall {
            path: format!("/api/v1/streams/{}/{}", self.show, kind.path()),
            token: caller.token.clone(),
            idempotency_key: request_id.as_deref().map(commands::key_of),
            body,
            client: self.client.address,
            user_agent: self.client.user_agent.clone(),
        };
        let (client, timeout) = (self.core.commands.clone(), self.core.settings.command_timeout);
        self.running = Some(Box::pin(async move {
            let result = match tokio::time::timeout(timeout, client.send(call)).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(NoAnswer::Failed(error)),
                Err(_) => Err(NoAnswer::TimedOut),
            };
            Done { kind, request_id, result }
        }));
    }

    pub(super) async fn finish(&mut self, done: Done) -> Result<(), End> {
        let request_id = done.request_id.as_deref();
        let is_done = match done.result {
            Ok(answer) if answer.status.is_success() => {
                self.note_session(done.kind, &answer.body);
                self.acknowledge(request_id, &answer.body)?;
                true
            }
            Ok(answer) => {
                self.refuse(&answer::problem(request_id, &answer))?;
                false
            }
            Err(no_answer) => {
                if let NoAnswer::Failed(error) = no_answer {
                    tracing::warn!(show.id = %self.show, error.chain = %Chain(&error), "command has no answer");
                }
                self.refuse(&unknown_outcome(done.request_id.clone()))?;
                false
            }
        };
        if done.kind == CommandKind::Join && (is_done || self.is_fresh()) {
            self.go_live().await?;
        }
        Ok(())
    }

    fn note_session(&self, kind: CommandKind, answer: &Bytes) {
        match kind {
            CommandKind::Join => {
                let session_id: Option<Box<RawValue>> =
                    serde_json::from_slice(answer).ok().and_then(|answer: JoinAnswer| answer.session_id);
                let (Some(session_id), Some(caller)) = (session_id, &self.client.caller) else { return };
                let session = Session {
                    show: self.show,
                    token: caller.token.clone(),
                    client: self.client.address,
                    user_agent: self.client.user_agent.clone(),
                    session_id,
                };
                self.core.life_signs.begin(self.number, session, &self.heard);
            }
            CommandKind::Leave => self.core.life_signs.end(self.number),
            CommandKind::Message | CommandKind::Tip | CommandKind::React => {}
        }
    }

    /// Tells the client that its wish was carried out. The frame's sequence is what it has, not what it made:
    /// that comes as a frame of its own.
    pub(super) fn acknowledge(&mut self, request_id: Option<&str>, answer: &[u8]) -> Result<(), End> {
        let encode = |delivered| answer::acknowledgement(delivered, request_id, answer);
        self.link.outlet.answer(encode).map_err(unwritable)
    }

    /// The same for what needs no answer: only who names a request waits for one.
    pub(super) fn acknowledge_if_asked(&mut self, request_id: Option<&str>) -> Result<(), End> {
        if request_id.is_some() { self.acknowledge(request_id, b"{}") } else { Ok(()) }
    }

    pub(super) fn refuse(&mut self, error: &ErrorData) -> Result<(), End> {
        self.link.outlet.answer(|delivered| answer::error(delivered, error)).map_err(unwritable)
    }

    /// Brings the client to how the show stands, and on from there. What it has not been sent yet goes before.
    pub(super) async fn go_live(&mut self) -> Result<(), End> {
        self.due.hello = None;
        if self.link.outlet.standing() == Standing::Apart {
            // only a resume gets back what it was told to be missing
            return Ok(());
        }
        // what it says while the snapshot is made comes behind it
        self.link.outlet.hold();
        let room = Arc::clone(self.held.occupant.room());
        let history = Arc::clone(&self.core.history);
        let snapshot = Box::pin(async move { retried(|| room.snapshot(&history)).await }).await;
        let snapshot = snapshot.map_err(|error| {
            tracing::error!(show.id = %self.show, error.chain = %Chain(&error), "no snapshot can be made");
            End::Close(CloseCode::Internal)
        })?;
        // what was said since it came is a frame to it, even where the snapshot tells of it too
        let pulled = self.link.outlet.enter(self.held.occupant.room(), snapshot);
        self.mind_gap(pulled)
    }

    fn is_fresh(&self) -> bool {
        matches!(self.link.outlet.standing(), Standing::Fresh(_))
    }
}

fn unknown_outcome(request_id: Option<Arc<str>>) -> Box<ErrorData> {
    let detail = "no answer in time; it may have been carried out: repeat it with the same requestId";
    let mut error = refusal("outcome_unknown", detail);
    error.request_id = request_id;
    error.retry_after = Some(Duration::from_secs(REPEAT_AFTER_SECONDS).as_secs());
    error
}

/// The end of the running command; while there is none, nothing.
pub(super) async fn run_or_wait(running: &mut Option<BoxFuture<'static, Done>>) -> Done {
    match running {
        Some(command) => command.await,
        None => std::future::pending().await,
    }
}
