//! A show minute by minute: the time line.

use clickhouse::Row;
use schemas::{Currency, Money};
use serde::Deserialize;

use super::definition::known;
use super::{FigureError, Figures, Presence, Standing};

/// A minute of a show, and what was done within it. What is paid after the end of the show is in none.
#[derive(Clone, PartialEq, Debug)]
pub struct Minute {
    /// Which, and who is here.
    pub presence: Presence,
    /// Messages shown within it.
    pub messages: u64,
    /// Reactions within it.
    pub reactions: u64,
    /// Tips captured within it.
    pub tips: Money,
}

/// The minutes in which somebody wrote or reacted.
const DEEDS: &str = concat!(
    "
SELECT
    toUInt32(intDiv(at_ms - {start_ms:Int64}, 60000)) AS minute,
    toUInt64(sum(d.messages)) AS messages,
    toUInt64(sum(d.reactions)) AS reactions
FROM (
    SELECT toUnixTimestamp64Milli(occurred_at) AS at_ms, 1 AS messages, 0 AS reactions
    ",
    known!(told, "fact_messages"),
    "
    UNION ALL
    SELECT toUnixTimestamp64Milli(occurred_at), 0, count
    ",
    known!(told, "fact_reactions"),
    "
) AS d
WHERE at_ms < {until_ms:Int64}
GROUP BY minute
ORDER BY minute"
);

#[derive(Row, Deserialize)]
struct Deeds {
    minute: u32,
    messages: u64,
    reactions: u64,
}

impl Figures {
    /// The minutes of a show, without a gap; none before it starts, nor after its facts expired. What it is made of is asked at a time: as one question it
    /// takes as long as one after the other.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn timeline(&self, standing: &Standing) -> Result<Vec<Minute>, FigureError> {
        let (presence, deeds, paid) =
            futures::try_join!(self.presence(standing), self.deeds(standing), self.paid_by_minute(standing))?;
        let currency: Currency = standing.currency.parse().map_err(|_| FigureError::Money)?;
        let mut deeds = deeds.into_iter().peekable();
        let mut paid = paid.unwrap_or_default().into_iter().peekable();
        let minutes = presence.into_iter().map(|presence| {
            let deeds = deeds.next_if(|deeds| deeds.minute == presence.minute);
            let paid = paid.next_if(|paid| paid.minute == presence.minute);
            Minute {
                messages: deeds.as_ref().map_or(0, |deeds| deeds.messages),
                reactions: deeds.as_ref().map_or(0, |deeds| deeds.reactions),
                tips: paid.map_or(Money::zero(currency), |paid| paid.tips),
                presence,
            }
        });
        Ok(minutes.collect())
    }

    async fn deeds(&self, standing: &Standing) -> Result<Vec<Deeds>, FigureError> {
        let Some(query) = self.of_clock(DEEDS, standing) else { return Ok(Vec::new()) };
        Ok(query.fetch_all().await?)
    }
}
