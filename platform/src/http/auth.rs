//! Who calls: bearer tokens verified once at the edge, and extractors of what was found.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};

use super::problem::Problem;

mod claims;
mod dev;
mod error;
mod jwks;
mod key_source;
mod token;
mod verifier;

pub use dev::{DevToken, MintError, mint_dev_token};
pub use error::{AuthConfigError, TokenError};
pub use token::find_token;
pub use verifier::{Now, Verifier, VerifierSettings, install_crypto, system_now};

/// What a person may do, by the token's `roles`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Watches, chats, pays.
    Viewer,
    /// Makes shows.
    Creator,
    /// Moderates any show.
    Moderator,
    /// Runs the platform.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Creator, Self::Moderator, Self::Admin];

    /// The role's name in tokens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "VIEWER",
            Self::Creator => "CREATOR",
            Self::Moderator => "MODERATOR",
            Self::Admin => "ADMIN",
        }
    }

    /// The role of a name in upper or lower case; `None` for roles of other systems.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name().eq_ignore_ascii_case(name))
    }

    fn bit(self) -> u8 {
        match self {
            Self::Viewer => 1,
            Self::Creator => 2,
            Self::Moderator => 4,
            Self::Admin => 8,
        }
    }
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// Whether the set has `role`.
    #[must_use]
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// The roles in the set.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A verified token as it was sent, to call another service in its bearer's name. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(Arc<str>);

impl BearerToken {
    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for BearerToken {
    fn from(token: &str) -> Self {
        Self(Arc::from(token))
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

/// Whoever bears a valid token.
#[derive(Clone)]
pub struct Caller {
    /// The subject: who it is, for good.
    pub sub: Arc<str>,
    /// The name to show, where the token has one.
    pub name: Option<Arc<str>>,
    /// What the person may do.
    pub roles: Roles,
    /// When the token ends (without leeway). A socket ends with it.
    pub expires_at: DateTime<Utc>,
    /// The token.
    pub token: BearerToken,
}

impl Caller {
    /// Whether the caller has `role`.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.has(role)
    }

    /// Refuses a caller without `role`; admins have every role.
    ///
    /// # Errors
    /// 403 `role_required`.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.has(role) || self.has(Role::Admin) {
            return Ok(());
        }
        let detail = format!("this needs the role {}", role.name());
        Err(Problem::forbidden("role_required", detail).with("requiredRole", role.name()))
    }
}

impl fmt::Debug for Caller {
    /// Without subject and name, which are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("roles", &self.roles)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What the edge found of a request's token; an extension of the request.
#[derive(Debug, Clone)]
pub struct AuthOutcome(pub Result<Arc<Caller>, TokenError>);

impl AuthOutcome {
    fn of(parts: &Parts) -> Result<Arc<Caller>, TokenError> {
        parts.extensions.get::<Self>().map_or(Err(TokenError::Missing), |outcome| outcome.0.clone())
    }
}

/// Extractor of the caller, required.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Arc<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self(AuthOutcome::of(parts)?))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        match AuthOutcome::of(parts) {
            Ok(caller) => Ok(Some(Self(caller))),
            Err(TokenError::Missing) => Ok(None),
            // a token that is sent and is no good is said to be, not overlooked
            Err(error) => Err(error.into()),
        }
    }
}

/// Extractor of the caller where none is needed; a bad token is still refused.
#[derive(Debug, Clone)]
pub struct MaybeAuthenticated(pub Option<Arc<Caller>>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeAuthenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = <Authenticated as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(Self(caller.map(|Authenticated(caller)| caller)))
    }
}
