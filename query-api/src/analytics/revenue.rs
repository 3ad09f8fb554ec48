//! `GET …/analytics/revenue` of a stream, a creator, the platform: money by the instant of its capture.

use std::sync::Arc;

use ::analytics::figures::export::Column;
use ::analytics::figures::{PaidMinute, Revenue, RevenueByDay};
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::amount::AmountNumber;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use rust_decimal::Decimal;
use schemas::Currency;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Insight;
use super::documents::{AsOfDocument, amount};
use super::export::{AMOUNT, FormatQuery, Tabular, Wanted, column};
use super::moment::{AsOfQuery, Moment};
use super::period::{Asked, PeriodDocument};
use super::refusals::{ForCreator, ForPlatform, ForShow};
use super::rights::AboutMany;

/// A stream's revenue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamRevenue {
    stream_id: Uuid,
    /// Of all amounts.
    #[schema(example = "USD")]
    currency: String,
    total_tips: AmountNumber,
    tips_count: u64,
    /// 0 where nobody tipped.
    average_tip: AmountNumber,
    /// Tips whose payment is under way.
    pending_tips: u64,
    /// Minutes of the stream in which tips were captured.
    by_minute: Vec<MinuteRevenue>,
    /// Captured after the end; null when that is not known any more, as what the stream's events say has expired.
    after_end: Option<AmountNumber>,
    as_of: AsOfDocument,
    #[serde(rename = "final")]
    is_final: bool,
}

/// What was captured in a minute of a stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MinuteRevenue {
    /// 0 is the first.
    minute: u32,
    tips: AmountNumber,
}

impl Tabular for MinuteRevenue {
    const COLUMNS: &'static [Column] = &[column("minute", "UInt32"), column("tips", AMOUNT)];
}

/// What was captured in a period, of a creator or of the platform.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeriodRevenue {
    /// Null: the whole platform.
    creator_id: Option<String>,
    by_currency: Vec<CurrencyRevenue>,
    /// Days with revenue, in the time zone of the period.
    by_day: Vec<DayRevenue>,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// What was captured in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CurrencyRevenue {
    #[schema(example = "USD")]
    currency: &'static str,
    tips: AmountNumber,
    tips_count: u64,
    /// Persons who tipped.
    tippers: u64,
}

/// What was captured on one day in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DayRevenue {
    #[schema(example = "2025-06-27")]
    day: String,
    #[schema(example = "USD")]
    currency: &'static str,
    tips: AmountNumber,
}

impl Tabular for DayRevenue {
    const COLUMNS: &'static [Column] =
        &[column("day", "Date32"), column("currency", "String"), column("tips", AMOUNT)];
}

impl From<PaidMinute> for MinuteRevenue {
    fn from(paid: PaidMinute) -> Self {
        Self { minute: paid.minute, tips: amount(paid.tips) }
    }
}

impl From<Revenue> for CurrencyRevenue {
    fn from(revenue: Revenue) -> Self {
        Self {
            currency: revenue.tips.currency().code(),
            tips: amount(revenue.tips),
            tips_count: revenue.tips_count,
            tippers: revenue.tippers,
        }
    }
}

impl From<RevenueByDay> for DayRevenue {
    fn from(revenue: RevenueByDay) -> Self {
        Self { day: revenue.day, currency: revenue.tips.currency().code(), tips: amount(revenue.tips) }
    }
}

/// A stream's revenue
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/analytics/revenue",
    tag = "Figures",
    operation_id = "getStreamRevenue",
    params(("id" = String, Path, description = "The stream"), AsOfQuery, FormatQuery),
    responses(
        (status = 200, description = "Totals, and by minute; the minutes as a file too", body = StreamRevenue),
        ForShow,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn of_stream(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    at: Moment,
    wanted: Wanted,
    Path(stream_id): Path<String>,
) -> Result<Response, Problem> {
    let about = insight.about_show(&stream_id, &caller, at).await?;
    let warehouse = &insight.warehouse;
    let (about, standing, figures) = insight.sums(about).await?;
    let minutes = warehouse.ask(warehouse.figures()?.paid_by_minute(&standing)).await?;
    let currency = figures.as_ref().map(|figures| figures.total_tips.currency());
    let currency = currency.or_else(|| about.facts.currency.parse().ok()).unwrap_or(Currency::USD);
    let number = |value: Decimal| AmountNumber::new(value, currency.minor_digits());
    let total = figures.as_ref().map_or(Decimal::ZERO, |figures| figures.total_tips.amount());
    let tips_count = figures.as_ref().map_or(0, |figures| figures.tips_count);
    let within = |minutes: &Vec<PaidMinute>| minutes.iter().map(|paid| paid.tips.amount()).sum::<Decimal>();
    let after_end = match &minutes {
        Some(minutes) => Some(number(total - within(minutes))),
        // of nothing no part came after the end, whatever else is known
        None => total.is_zero().then(|| number(total)),
    };
    let document = StreamRevenue {
        stream_id: about.show.0,
        currency: currency.code().to_owned(),
        total_tips: number(total),
        tips_count,
        average_tip: number(total / Decimal::from(tips_count.max(1))),
        pending_tips: figures.as_ref().map_or(0, |figures| figures.pending_tips),
        by_minute: minutes.unwrap_or_default().into_iter().map(Into::into).collect(),
        after_end,
        as_of: about.as_of.into(),
        is_final: figures.is_some_and(|figures| figures.is_final()),
    };
    let name = about.file_name("revenue");
    warehouse.answer(wanted, about.as_of, &document, &name, &document.by_minute).await
}

/// A creator's revenue
#[utoipa::path(
    get,
    path = "/api/v1/creators/{id}/analytics/revenue",
    tag = "Figures",
    operation_id = "getCreatorRevenue",
    params(("id" = String, Path, description = "The creator, by token subject"), Asked, FormatQuery),
    responses(
        (status = 200, description = "By currency, and by day; the days as a file too", body = PeriodRevenue),
        ForCreator,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn of_creator(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
    wanted: Wanted,
    Path(creator_id): Path<String>,
) -> Result<Response, Problem> {
    let about = insight.about_creator(&creator_id, &caller, &asked, min).await?;
    insight.revenue(wanted, about, Some(creator_id)).await
}

/// The platform's revenue
#[utoipa::path(
    get,
    path = "/api/v1/platform/analytics/revenue",
    tag = "Figures",
    operation_id = "getPlatformRevenue",
    params(Asked, FormatQuery),
    responses(
        (status = 200, description = "By currency, and by day; the days as a file too", body = PeriodRevenue),
        ForPlatform,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn of_platform(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let about = insight.about_platform(&caller, &asked, min).await?;
    insight.revenue(wanted, about, None).await
}

impl Insight {
    async fn revenue(
        &self,
        wanted: Wanted,
        about: AboutMany,
        creator_id: Option<String>,
    ) -> Result<Response, Problem> {
        let (warehouse, figures) = (&self.warehouse, self.warehouse.figures()?);
        let zone = about.span.zone.name();
        let (by_currency, by_day) = futures::try_join!(
            warehouse.ask(figures.revenue(about.scope, about.period)),
            warehouse.ask(figures.revenue_by_day(about.scope, about.period, zone)),
        )?;
        let document = PeriodRevenue {
            creator_id,
            by_currency: by_currency.into_iter().map(Into::into).collect(),
            by_day: by_day.into_iter().map(Into::into).collect(),
            period: about.span.document(),
            as_of: about.as_of.into(),
        };
        warehouse.answer(wanted, about.as_of, &document, &about.file_name("revenue"), &document.by_day).await
    }
}
