//! What all queries share: the read models, how far they are, and who may read what.

use platform::clock::Clock;
use platform::http::auth::{Caller, Role};
use platform::http::problem::Problem;
use platform::pseudonym::Pseudonyms;
use platform::vault::{Vault, VaultError};
use rust_decimal::Decimal;
use schemas::{Currency, PersonId, ShowId};
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;

use crate::positions::Positions;

/// When to try again where a store cannot be asked.
const RETRY_SECONDS: u64 = 2;

/// The views of the read side, as their positions are called.
pub(crate) mod view {
    /// Shows.
    pub(crate) const STREAMS: &str = "streams";
    /// Sessions and persons.
    pub(crate) const VIEWERS: &str = "viewers";
    /// The chat.
    pub(crate) const MESSAGES: &str = "messages";
    /// Tips and their totals.
    pub(crate) const TIPS: &str = "tips";
}

/// What queries need.
pub(crate) struct ReadModel {
    pub(crate) pool: PgPool,
    pub(crate) vault: Vault,
    pub(crate) pseudonyms: Arc<Pseudonyms>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) clock: Clock,
    /// The video provider's public id of this platform.
    pub(crate) agora_app_id: String,
    /// Where recordings are played.
    pub(crate) recordings_base: String,
}

/// What decides who may read of a show.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct ShowFacts {
    pub(crate) creator: Uuid,
    pub(crate) status: String,
    pub(crate) is_subscriber_only: bool,
    pub(crate) ticket_price: Option<Decimal>,
    pub(crate) currency: String,
}

impl ShowFacts {
    pub(crate) fn is_protected(&self) -> bool {
        self.is_subscriber_only || self.ticket_price.is_some()
    }

    /// Digits after the point of this show's amounts.
    pub(crate) fn minor_digits(&self) -> u32 {
        minor_digits(&self.currency)
    }
}

/// Digits after the point; two for a currency that this version does not know.
pub(crate) fn minor_digits(currency: &str) -> u32 {
    currency.parse::<Currency>().map_or(2, Currency::minor_digits)
}

impl ReadModel {
    /// A show's facts.
    pub(crate) async fn facts(&self, show: ShowId) -> Result<ShowFacts, Problem> {
        let sql = "SELECT creator, status, is_subscriber_only, ticket_price, currency
                   FROM read.streams WHERE show_id = $1";
        let facts = sqlx::query_as(sql).bind(show.0).fetch_optional(&self.pool).await;
        facts.map_err(|error| store_failed(&error))?.ok_or_else(unknown_show)
    }

    pub(crate) fn person(&self, caller: &Caller) -> PersonId {
        self.pseudonyms.person(&caller.sub)
    }

    /// Whether the caller is the show's creator, a moderator or an administrator.
    pub(crate) fn is_staff(&self, facts: &ShowFacts, caller: &Caller) -> bool {
        caller.has(Role::Moderator) || caller.has(Role::Admin) || self.person(caller).0 == facts.creator
    }

    /// Whether a person has entered a show, by the rows there are now.
    pub(crate) async fn has_entered(&self, show: ShowId, person: PersonId) -> Result<bool, sqlx::Error> {
        let sql = "SELECT EXISTS (SELECT FROM read.persons
                   WHERE show_id = $1 AND person = $2 AND sessions > 0)";
        sqlx::query_scalar(sql).bind(show.0).bind(person.0).fetch_one(&self.pool).await
    }

    /// Lets those read who may be in the show.
    pub(crate) async fn check_audience(&self, show: ShowId, caller: &Caller) -> Result<ShowFacts, Problem> {
        let facts = self.facts(show).await?;
        if !facts.is_protected() || self.is_staff(&facts, caller) {
            return Ok(facts);
        }
        let entered = self.has_entered(show, self.person(caller)).await;
        if entered.map_err(|error| store_failed(&error))? { Ok(facts) } else { Err(not_entered()) }
    }
}

/// A show's id as it stands in a path: anything else is no show.
pub(crate) fn show_id(stream_id: &str) -> Result<ShowId, Problem> {
    stream_id.parse().map_err(|_| unknown_show())
}

/// 404.
pub(crate) fn unknown_show() -> Problem {
    Problem::not_found("stream_not_found", "there is no stream with this id")
}

/// 403.
pub(crate) fn not_entered() -> Problem {
    let detail = "this stream is for those who may enter: join it first";
    Problem::forbidden("not_entered", detail).with("accessGranted", false)
}

/// What Postgres says of a table that is not there. At the very first start a view is asked for before it is made.
const UNDEFINED_TABLE: &str = "42P01";

/// A query that failed: 503 where the database is away or a view was not made yet, 500 where the query is wrong.
pub(crate) fn store_failed(error: &sqlx::Error) -> Problem {
    let is_away = matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    );
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let is_unmade = code.is_some_and(|code| code == UNDEFINED_TABLE);
    if !is_away && !is_unmade {
        return Problem::internal(error);
    }
    tracing::warn!(%error, "read model is away, or not made yet");
    Problem::unavailable("read_model_unavailable", "this cannot be read now; try again", RETRY_SECONDS)
}

/// Fields that cannot be opened now.
pub(crate) fn vault_failed(error: &VaultError) -> Problem {
    tracing::warn!(%error, "vault cannot be asked");
    Problem::unavailable("vault_unavailable", "this cannot be read now; try again", RETRY_SECONDS)
}
