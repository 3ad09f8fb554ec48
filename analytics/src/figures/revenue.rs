//! Money: tips captured. Refunds, tickets, gifts and subscriptions join here when their events exist.

use clickhouse::Row;
use clickhouse::query::Query;
use rust_decimal::Decimal;
use schemas::{Currency, Money};
use serde::Deserialize;

use super::definition::known;
use super::{FigureError, Figures, Period, Scope, Standing};

/// What was taken in one currency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revenue {
    /// Tips captured.
    pub tips: Money,
    /// Number of tips captured.
    pub tips_count: u64,
    /// Persons who tipped.
    pub tippers: u64,
}

/// What was taken on one day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevenueByDay {
    /// The day in the asked time zone, as `2025-06-27`.
    pub day: String,
    /// Tips captured, in one currency.
    pub tips: Money,
}

/// What was taken in a minute of a show, counted from its start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaidMinute {
    /// Which: 0 is the first.
    pub minute: u32,
    /// Tips captured.
    pub tips: Money,
}

/// An amount and its currency, which the warehouse gives as text.
pub(super) fn money(amount: &str, currency: &str) -> Result<Money, FigureError> {
    let amount: Decimal = amount.parse().map_err(|_| FigureError::Money)?;
    let currency: Currency = currency.parse().map_err(|_| FigureError::Money)?;
    Money::new(amount, currency).map_err(|_| FigureError::Money)
}

/// The same of some, by currency.
pub(super) fn amounts(tips: &[(String, String)]) -> Result<Vec<Money>, FigureError> {
    tips.iter().map(|(currency, amount)| money(amount, currency)).collect()
}

/// Money counts when it was captured, whenever the show was.
macro_rules! captured {
    () => {
        "
FROM tip_changes
WHERE kind = 'CAPTURED'
    AND occurred_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
    AND occurred_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
    AND ({everybody:UInt8} OR show_id IN (SELECT show_id FROM shows WHERE creator = {creator:UUID}))"
    };
}

const BY_CURRENCY: &str = concat!(
    "
SELECT currency, '' AS day, toString(sum(amount)) AS tips, count() AS tips_count, uniqExact(person) AS tippers",
    captured!(),
    "
GROUP BY currency
ORDER BY currency"
);

const BY_DAY: &str = concat!(
    "
SELECT
    currency,
    toString(toDate(occurred_at, {time_zone:String})) AS day,
    toString(sum(amount)) AS tips,
    count() AS tips_count,
    uniqExact(person) AS tippers",
    captured!(),
    "
GROUP BY day, currency
ORDER BY day, currency"
);

const BY_MINUTE: &str = concat!(
    "
SELECT
    toUInt32(intDiv(toUnixTimestamp64Milli(occurred_at) - {start_ms:Int64}, 60000)) AS minute,
    toString(sum(amount)) AS tips
",
    known!(told, "fact_tip_changes"),
    "
    AND kind = 'CAPTURED' AND toUnixTimestamp64Milli(occurred_at) < {until_ms:Int64}
GROUP BY minute
ORDER BY minute"
);

#[derive(Row, Deserialize)]
struct OfMinute {
    minute: u32,
    tips: String,
}

#[derive(Row, Deserialize)]
struct Answer {
    currency: String,
    day: String,
    tips: String,
    tips_count: u64,
    tippers: u64,
}

impl Answer {
    fn money(&self) -> Result<Money, FigureError> {
        money(&self.tips, &self.currency)
    }
}

/// Looks for repeats within each partition alone, where they are: a repeat stands in the month of its first copy. So months that are not asked for
/// are not read.
fn by_month(query: Query) -> Query {
    query.with_setting("do_not_merge_across_partitions_select_final", "1")
}

impl Figures {
    /// What was captured in each minute of a show, as in its time line. Minutes without are left out; `None` after its facts expired.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn paid_by_minute(&self, standing: &Standing) -> Result<Option<Vec<PaidMinute>>, FigureError> {
        let Some(query) = self.of_clock(BY_MINUTE, standing) else { return Ok(None) };
        let paid: Vec<OfMinute> = query.fetch_all().await?;
        let minute =
            |OfMinute { minute, tips }| Ok(PaidMinute { minute, tips: money(&tips, &standing.currency)? });
        paid.into_iter().map(minute).collect::<Result<_, _>>().map(Some)
    }

    /// What was captured in a period, by currency.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn revenue(&self, scope: Scope, period: Period) -> Result<Vec<Revenue>, FigureError> {
        let query = by_month(self.of_scope(BY_CURRENCY, scope, period));
        let answers: Vec<Answer> = query.fetch_all().await?;
        answers
            .into_iter()
            .map(|answer| {
                Ok(Revenue { tips: answer.money()?, tips_count: answer.tips_count, tippers: answer.tippers })
            })
            .collect()
    }

    /// What was captured on each day of a period, by currency. Days without revenue are left out.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn revenue_by_day(
        &self,
        scope: Scope,
        period: Period,
        time_zone: &str,
    ) -> Result<Vec<RevenueByDay>, FigureError> {
        let query = by_month(self.of_scope(BY_DAY, scope, period)).param("time_zone", time_zone);
        let answers: Vec<Answer> = query.fetch_all().await?;
        answers
            .into_iter()
            .map(|answer| Ok(RevenueByDay { tips: answer.money()?, day: answer.day }))
            .collect()
    }
}
