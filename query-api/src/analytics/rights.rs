//! Whose figures are for whom.

use ::analytics::figures::{AsOf, Latest, Period, Scope, ShowFigures, Standing};
use platform::http::auth::{Caller, Role};
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use schemas::ShowId;

use super::Insight;
use super::moment::Moment;
use super::period::{Asked, Span};
use super::warehouse::Source;
use crate::read_model::{ShowFacts, show_id, store_failed, view};

/// A show that is asked about.
pub(super) struct AboutShow {
    pub(super) show: ShowId,
    pub(super) facts: ShowFacts,
    /// As of when it is answered.
    pub(super) as_of: AsOf,
    /// As of when it was asked for.
    at: Moment,
}

/// How far roll-ups may be behind the facts, in milliseconds, before a show is computed of these: freshness allows five seconds.
const ROLLUPS_BEHIND_MAX_MS: i64 = 3_000;

/// Many shows that are asked about.
#[derive(Clone, Copy)]
pub(super) struct AboutMany {
    pub(super) scope: Scope,
    pub(super) span: Span,
    pub(super) period: Period,
    pub(super) as_of: AsOf,
}

impl Insight {
    /// Lets those ask about a show who may, when the warehouse has what they ask for.
    pub(super) async fn about_show(
        &self,
        stream_id: &str,
        caller: &Caller,
        at: Moment,
    ) -> Result<AboutShow, Problem> {
        if at.asked.is_some_and(|asked| asked.time > self.read_model.clock.now()) {
            return Err(Problem::invalid_field("asOfTime", "asOfTime is still to come"));
        }
        self.read_model.positions.reach(&[view::STREAMS], at.min).await?;
        let (show, facts) = self.show(stream_id, caller).await?;
        let reached = self.warehouse.reach(Source::Facts, at.min).await?;
        Ok(AboutShow { show, facts, as_of: at.asked.unwrap_or(reached), at })
    }

    /// Where a show stands. What the warehouse has not heard of is about to begin.
    pub(super) async fn standing(&self, about: AboutShow) -> Result<(AboutShow, Standing), Problem> {
        if let Some(Latest { standing, as_of, .. }) = self.latest(&about).await? {
            return Ok((AboutShow { as_of, ..about }, standing));
        }
        let standing = self.computed_standing(&about).await?;
        Ok((about.counted_until(&standing), standing))
    }

    /// The same with what it amounts to; `None` where the warehouse has not heard of it.
    pub(super) async fn sums(
        &self,
        about: AboutShow,
    ) -> Result<(AboutShow, Standing, Option<ShowFigures>), Problem> {
        if let Some(Latest { figures, standing, as_of }) = self.latest(&about).await? {
            return Ok((AboutShow { as_of, ..about }, standing, Some(figures)));
        }
        let figures = self.warehouse.figures()?.show(about.show, about.as_of);
        let (figures, standing) =
            futures::try_join!(self.warehouse.ask(figures), self.computed_standing(&about))?;
        Ok((about.counted_until(&standing), standing, figures))
    }

    async fn computed_standing(&self, about: &AboutShow) -> Result<Standing, Problem> {
        let standing = self.warehouse.figures()?.standing(about.show, about.as_of);
        match self.warehouse.ask(standing).await? {
            Some(standing) => Ok(standing),
            None if about.at.asked.is_some() => Err(Problem::invalid_field(
                "asOf",
                "as of then there are no figures of this stream: it was created later, or its events are no longer kept",
            )),
            None => Ok(Standing::unheard_of(about.facts.currency.clone())),
        }
    }

    /// A show by its roll-up, while roll-ups are not much behind the facts, and as far as is asked. Nor ahead, as they are for a moment where the
    /// facts were exchanged: minutes and curves are made of these.
    async fn latest(&self, about: &AboutShow) -> Result<Option<Latest>, Problem> {
        if about.at.asked.is_some() {
            return Ok(None);
        }
        let Some(rolled_up) = self.warehouse.rolled_up().await? else { return Ok(None) };
        let behind_ms = about.as_of.time.millis_since(rolled_up.time);
        let is_within =
            about.at.min.0.unwrap_or(0) <= rolled_up.position.0 && rolled_up.position <= about.as_of.position;
        if behind_ms > ROLLUPS_BEHIND_MAX_MS || !is_within {
            return Ok(None);
        }
        self.warehouse.ask(self.warehouse.figures()?.latest(about.show, rolled_up)).await
    }

    /// Lets those ask about a creator's shows who may.
    pub(super) async fn about_creator(
        &self,
        creator_id: &str,
        caller: &Caller,
        asked: &Asked,
        min: MinPosition,
    ) -> Result<AboutMany, Problem> {
        let span = asked.span(self.read_model.clock.now())?;
        self.read_model.positions.reach(&[view::STREAMS], min).await?;
        let scope = self.creator(creator_id, caller).await?;
        let as_of = self.warehouse.reach(Source::Rollups, min).await?;
        Ok(AboutMany { scope, span, period: span.period, as_of })
    }

    /// The same about all shows.
    pub(super) async fn about_platform(
        &self,
        caller: &Caller,
        asked: &Asked,
        min: MinPosition,
    ) -> Result<AboutMany, Problem> {
        let scope = platform(caller)?;
        let span = asked.span(self.read_model.clock.now())?;
        let as_of = self.warehouse.reach(Source::Rollups, min).await?;
        Ok(AboutMany { scope, span, period: span.period, as_of })
    }

    /// A show whose figures the caller may see: its creator and administrators. The role of a moderator is one of the platform's; revenue of
    /// strangers is no part of it.
    async fn show(&self, stream_id: &str, caller: &Caller) -> Result<(ShowId, ShowFacts), Problem> {
        let show = show_id(stream_id)?;
        let facts = self.read_model.facts(show).await?;
        if caller.has(Role::Admin) || self.read_model.person(caller).0 == facts.creator {
            return Ok((show, facts));
        }
        let detail = "a stream's figures are for its creator and administrators";
        Err(Problem::forbidden("not_the_creator", detail))
    }

    /// A creator whose figures the caller may see: themselves and administrators. Whoever asks for their own gets zeros before their first
    /// show; another creator must have one, so that a mistyped name is told.
    async fn creator(&self, creator_id: &str, caller: &Caller) -> Result<Scope, Problem> {
        let creator = self.read_model.pseudonyms.person(creator_id);
        if *caller.sub == *creator_id {
            return Ok(Scope::Creator(creator));
        }
        if !caller.has(Role::Admin) {
            let detail = "a creator's figures are for themselves and administrators";
            return Err(Problem::forbidden("not_the_creator", detail));
        }
        let sql = "SELECT EXISTS (SELECT FROM read.streams WHERE creator = $1)";
        let known = sqlx::query_scalar(sql).bind(creator.0).fetch_one(&self.read_model.pool).await;
        if known.map_err(|error| store_failed(&error))? {
            return Ok(Scope::Creator(creator));
        }
        Err(Problem::not_found("creator_not_found", "nobody with this id has made a stream"))
    }
}

/// The platform's figures: for administrators.
fn platform(caller: &Caller) -> Result<Scope, Problem> {
    if caller.has(Role::Admin) {
        return Ok(Scope::Platform);
    }
    Err(Problem::forbidden("role_required", "this needs the role ADMIN"))
}

impl AboutMany {
    /// What a file about it is called, without the ending: no name of a person.
    pub(super) fn file_name(&self, table: &str) -> String {
        let whose = match self.scope {
            Scope::Creator(_) => "creator",
            Scope::Platform => "platform",
        };
        let day = |at: schemas::Timestamp| {
            at.to_chrono().with_timezone(&self.span.zone).format("%Y-%m-%d").to_string()
        };
        format!("tally-{whose}-{table}-{}-{}", day(self.period.from), day(self.period.to))
    }
}

impl AboutShow {
    /// As of the time that was counted up to, where only a position was asked for.
    fn counted_until(mut self, standing: &Standing) -> Self {
        self.as_of.time = self.as_of.time.max(standing.last_event_at().unwrap_or_default());
        self
    }

    /// What a file about it is called, without the ending.
    pub(super) fn file_name(&self, table: &str) -> String {
        format!("tally-stream-{}-{table}", self.show)
    }
}
