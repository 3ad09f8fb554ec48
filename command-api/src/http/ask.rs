//! What every command has in common: who asks, of which stream, under which key.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use domain::{Action, Caller, Command, PlatformRole};
use platform::http::auth::{Authenticated, Caller as TokenCaller, Role};
use platform::http::context::RequestContext;
use platform::http::idempotency::{CommandKey, RequiredCommandKey};
use platform::http::json::BodyDigest;
use platform::http::problem::Problem;
use schemas::{AttemptId, BodyHash, CommandId, PersonId, ShowId, Timestamp};

use super::problems::no_such_stream;
use crate::state::AppState;

/// Who asks, and under which command id.
pub(super) struct Ask {
    pub(super) caller: Arc<TokenCaller>,
    pub(super) person: PersonId,
    pub(super) id: CommandId,
    pub(super) attempt: AttemptId,
    pub(super) at: Timestamp,
    context: RequestContext,
}

/// The same where money moves: a key must be sent.
pub(super) struct PayingAsk(pub(super) Ask);

/// The stream that is asked of.
pub(super) struct StreamPath(pub(super) ShowId);

impl Ask {
    /// The strongest of the caller's roles.
    pub(super) fn role(&self) -> PlatformRole {
        let role = |role| match role {
            Role::Viewer => PlatformRole::Viewer,
            Role::Creator => PlatformRole::Creator,
            Role::Moderator => PlatformRole::Moderator,
            Role::Admin => PlatformRole::Admin,
        };
        self.caller.roles.iter().map(role).max().unwrap_or(PlatformRole::Viewer)
    }

    /// The command.
    pub(super) fn command(&self, body: &BodyDigest, action: Action) -> Command {
        Command {
            id: self.id,
            attempt: self.attempt,
            body_hash: BodyHash(body.short()),
            at: self.at,
            caller: Caller::Person { person: self.person, role: self.role() },
            correlation: Some(self.context.request_id.to_string()),
            traceparent: Some(self.context.trace.to_string()),
            action,
        }
    }

    async fn of(parts: &mut Parts, state: &AppState, key: CommandKey) -> Result<Self, Problem> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        let person = state.sealing.pseudonyms.person(&caller.sub);
        let context = match RequestContext::from_request_parts(parts, state).await {
            Ok(context) => context,
            Err(never) => match never {},
        };
        Ok(Self {
            caller,
            person,
            id: CommandId(key.id),
            attempt: AttemptId::fresh(),
            at: state.clock.now(),
            context,
        })
    }
}

impl FromRequestParts<AppState> for Ask {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        // first who asks: a stranger learns nothing about keys
        Authenticated::from_request_parts(parts, state).await?;
        let key = CommandKey::from_request_parts(parts, state).await?;
        Self::of(parts, state, key).await
    }
}

impl FromRequestParts<AppState> for PayingAsk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        Authenticated::from_request_parts(parts, state).await?;
        let RequiredCommandKey(key) = RequiredCommandKey::from_request_parts(parts, state).await?;
        Ask::of(parts, state, key).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for StreamPath {
    type Rejection = Problem;

    /// What is no id is the id of nothing.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| no_such_stream())?;
        let id = params.iter().find(|(name, _)| *name == "id").map(|(_, id)| id);
        id.and_then(|id| id.parse().ok()).map(Self).ok_or_else(no_such_stream)
    }
}
