//! The read models: what each holds of every show, as of its own checkpoint.

use std::collections::BTreeMap;

use schemas::Position;
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use super::report::{Sheet, Sheets, from_json, plain, sheet};
use super::told::Show;
use crate::figures::{Demographics, Group};
use crate::fold::Summary;

/// A question to a read model, and what the fold answers.
pub(super) struct Question {
    pub(super) store: &'static str,
    pub(super) view: &'static str,
    /// Gives `show_id` and figures by name.
    sql: &'static str,
    /// As of the show's last event.
    pub(super) expected: fn(&Show, &Summary) -> Sheet,
}

/// The view of payments: the only one that follows their streams.
pub(super) const PAYMENTS: &str = "payments";

/// The views that hold figures.
pub(super) const VIEWS: [&str; 5] = ["streams", "viewers", "messages", "tips", PAYMENTS];

/// Everything that Postgres holds and that is a figure.
pub(super) const QUESTIONS: [Question; 8] = [
    Question {
        store: "read.streams",
        view: "streams",
        sql: r#"SELECT show_id, creator, status, currency, viewer_count AS "viewers", peak_viewers AS "peak viewers",
                unique_viewers AS "unique viewers", total_views AS "views", messages_count AS "messages",
                trim_scale(total_tips)::text AS "tips", duration_seconds AS "duration in s", sequence AS "last revision",
                (EXTRACT(EPOCH FROM started_at) * 1000)::bigint AS "started at",
                (EXTRACT(EPOCH FROM ended_at) * 1000)::bigint AS "ended at"
            FROM read.streams"#,
        expected: streams,
    },
    Question {
        store: "read.viewers",
        view: "viewers",
        sql: r#"SELECT show_id, count(*) AS "views", count(DISTINCT person) AS "unique viewers",
                count(*) FILTER (WHERE leave_time IS NULL) AS "open sessions",
                count(DISTINCT person) FILTER (WHERE leave_time IS NULL) AS "viewers"
            FROM read.viewers GROUP BY show_id"#,
        expected: sessions,
    },
    Question {
        store: "read.persons",
        view: "viewers",
        sql: r#"SELECT show_id, sum(sessions) AS "views", count(*) FILTER (WHERE sessions > 0) AS "unique viewers",
                sum(watched_ms) AS "watched up to open sessions in ms", count(open_since) AS "viewers",
                sum((EXTRACT(EPOCH FROM open_since) * 1000)::bigint) AS "open since",
                sum((EXTRACT(EPOCH FROM first_joined_at) * 1000)::bigint) AS "first joined",
                sum(messages_count) AS "messages", trim_scale(sum(total_tipped))::text AS "tips",
                sum(tips_count) AS "tips captured",
                count(*) FILTER (WHERE sessions > 0 AND tips_count > 0) AS "tippers",
                count(*) FILTER (WHERE sessions > 0 AND (messages_count > 0 OR reacted OR tips_count > 0)) AS "engaged"
            FROM read.persons GROUP BY show_id"#,
        expected: persons,
    },
    Question {
        store: "read.persons by group",
        view: "viewers",
        sql: r#"SELECT show_id, jsonb_object_agg("group", persons) AS "all" FROM (
                SELECT show_id, "group", count(*) AS persons
                FROM read.persons,
                    LATERAL (SELECT COALESCE(NULLIF(country, ''), 'unknown') AS of_country) AS c,
                    LATERAL (VALUES
                        ('country ' || of_country),
                        ('city ' || COALESCE(NULLIF(city, '') || ', ' || of_country, 'unknown')),
                        ('device ' || COALESCE(device_type, 'unknown'))
                    ) AS g ("group")
                WHERE sessions > 0
                GROUP BY show_id, "group"
            ) AS counted GROUP BY show_id"#,
        expected: |_, summary| groups(&summary.demographics),
    },
    Question {
        store: "read.messages",
        view: "messages",
        sql: r#"SELECT show_id, count(*) FILTER (WHERE type = 'MESSAGE') AS "messages",
                count(*) FILTER (WHERE type = 'TIP') AS "tips captured", trim_scale(sum(tip_amount))::text AS "tips",
                sum((SELECT sum(value::bigint) FROM jsonb_each_text(reactions))) AS "reactions"
            FROM read.messages GROUP BY show_id"#,
        expected: messages,
    },
    Question {
        store: "read.tips",
        view: "tips",
        sql: r#"SELECT show_id, count(*) FILTER (WHERE status = 'CAPTURED') AS "tips captured",
                trim_scale(sum(amount) FILTER (WHERE status = 'CAPTURED'))::text AS "tips",
                count(*) FILTER (WHERE status = 'PENDING') AS "tips pending",
                count(*) FILTER (WHERE status = 'DECLINED') AS "tips declined"
            FROM read.tips GROUP BY show_id"#,
        expected: tips,
    },
    Question {
        store: "read.tip_totals",
        view: "tips",
        sql: r#"SELECT show_id, count(*) AS "persons", sum(tips_count) AS "tips captured",
                trim_scale(sum(total))::text AS "tips"
            FROM read.tip_totals GROUP BY show_id"#,
        expected: tip_totals,
    },
    Question {
        store: "read.payments",
        view: PAYMENTS,
        sql: r#"SELECT show_id, count(*) AS "payments", trim_scale(sum(amount))::text AS "payments requested",
                count(*) FILTER (WHERE status = 'CAPTURED') AS "payments captured",
                trim_scale(sum(captured_amount))::text AS "captured",
                count(*) FILTER (WHERE status = 'DECLINED') AS "payments declined",
                count(*) FILTER (WHERE is_applied) AS "payments applied"
            FROM read.payments GROUP BY show_id"#,
        expected: |show, _| show.payments.sheet(),
    },
];

fn streams(show: &Show, summary: &Summary) -> Sheet {
    let figures = &summary.figures;
    let mut sheet = sheet([
        ("status", figures.status.clone()),
        ("currency", figures.total_tips.currency().to_string()),
        ("viewers", figures.viewer_count.to_string()),
        ("peak viewers", figures.peak_viewers.to_string()),
        ("unique viewers", figures.unique_viewers.to_string()),
        ("views", figures.total_views.to_string()),
        ("messages", figures.messages.to_string()),
        ("tips", plain(figures.total_tips.amount())),
        ("last revision", show.lines.count.saturating_sub(1).to_string()),
    ]);
    let mut also = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            sheet.insert(name.to_owned(), value);
        }
    };
    also("creator", show.creator.map(|creator| creator.to_string()));
    also("started at", figures.started_at.map(|at| at.millis().to_string()));
    also("ended at", figures.ended_at.map(|at| at.millis().to_string()));
    also("duration in s", figures.ended_at.map(|_| (figures.duration_ms / 1_000).to_string()));
    sheet
}

fn sessions(_: &Show, summary: &Summary) -> Sheet {
    sheet([
        ("views", summary.figures.total_views.to_string()),
        ("unique viewers", summary.figures.unique_viewers.to_string()),
        ("open sessions", summary.open_sessions.to_string()),
        ("viewers", summary.figures.viewer_count.to_string()),
    ])
}

/// Watch time stands there up to the first open session of each person, with when that began: the rest follows from the time of asking.
fn persons(show: &Show, summary: &Summary) -> Sheet {
    let figures = &summary.figures;
    let until = figures.ended_at.unwrap_or(show.last_at).millis();
    let times = |persons: u64| i64::try_from(persons).unwrap_or(i64::MAX).saturating_mul(until);
    let open_ms = times(figures.viewer_count) - summary.open_since_ms;
    sheet([
        ("views", figures.total_views.to_string()),
        ("unique viewers", figures.unique_viewers.to_string()),
        ("watched up to open sessions in ms", (figures.watch_ms - open_ms).to_string()),
        ("viewers", figures.viewer_count.to_string()),
        ("open since", summary.open_since_ms.to_string()),
        ("first joined", (times(figures.unique_viewers) - figures.possible_watch_ms).to_string()),
        ("messages", figures.messages.to_string()),
        ("tips", plain(figures.total_tips.amount())),
        ("tips captured", figures.tips_count.to_string()),
        ("tippers", figures.tippers.to_string()),
        ("engaged", figures.engaged.to_string()),
    ])
}

/// Persons by country, city and device, as one sheet.
pub(super) fn groups(demographics: &Demographics) -> Sheet {
    let Demographics { by_country, by_city, by_device } = demographics;
    let named = |dimension: &'static str, groups: &[Group]| {
        let entry = |group: &Group| (format!("{dimension} {}", group.name), group.persons.to_string());
        groups.iter().map(entry).collect::<Vec<_>>()
    };
    [named("country", by_country), named("city", by_city), named("device", by_device)]
        .into_iter()
        .flatten()
        .collect()
}

fn messages(_: &Show, summary: &Summary) -> Sheet {
    sheet([
        ("messages", summary.figures.messages.to_string()),
        ("tips captured", summary.figures.tips_count.to_string()),
        ("tips", plain(summary.figures.total_tips.amount())),
        ("reactions", summary.figures.reactions.to_string()),
    ])
}

fn tips(_: &Show, summary: &Summary) -> Sheet {
    sheet([
        ("tips captured", summary.figures.tips_count.to_string()),
        ("tips", plain(summary.figures.total_tips.amount())),
        ("tips pending", summary.figures.pending_tips.to_string()),
        ("tips declined", summary.declined_tips.to_string()),
    ])
}

fn tip_totals(_: &Show, summary: &Summary) -> Sheet {
    sheet([
        ("persons", summary.tipping.to_string()),
        ("tips captured", summary.figures.tips_count.to_string()),
        ("tips", plain(summary.figures.total_tips.amount())),
    ])
}

/// How far each view is that is served.
pub(super) type Positions = BTreeMap<String, Option<Position>>;

const POSITIONS: &str = "SELECT view, position FROM read.positions";

/// How far the views are now.
pub(super) async fn positions(pool: &PgPool) -> Result<Positions, sqlx::Error> {
    Ok(named(sqlx::query_as(POSITIONS).fetch_all(pool).await?))
}

fn named(rows: Vec<(String, Option<i64>)>) -> Positions {
    let position = |position: i64| Position(position.unsigned_abs());
    rows.into_iter().map(|(view, reached)| (view, reached.map(position))).collect()
}

/// All read models at one moment.
pub(super) struct Snapshot {
    pub(super) positions: Positions,
    /// What each of [`QUESTIONS`] is answered, until it is taken.
    pub(super) answers: [Option<Sheets>; QUESTIONS.len()],
}

impl Snapshot {
    /// Rows and checkpoints of one moment.
    pub(super) async fn take(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let mut moment = pool.begin().await?;
        // reads whole tables, and takes as long as that takes
        sqlx::raw_sql(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = 0",
        )
        .execute(&mut *moment)
        .await?;
        let positions = named(sqlx::query_as(POSITIONS).fetch_all(&mut *moment).await?);
        let mut answers = [const { None }; QUESTIONS.len()];
        for (answer, question) in answers.iter_mut().zip(&QUESTIONS) {
            if positions.contains_key(question.view) {
                *answer = Some(ask(&mut moment, question.sql).await?);
            }
        }
        moment.rollback().await?;
        Ok(Self { positions, answers })
    }
}

/// What a question is about, and its answer.
type Answer = (Option<String>, Json<Map<String, Value>>);

async fn ask(moment: &mut Transaction<'static, Postgres>, sql: &str) -> Result<Sheets, sqlx::Error> {
    let sql = format!("SELECT 'show-' || show_id, to_jsonb(f) - 'show_id' FROM ({sql}) AS f");
    let rows: Vec<Answer> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut **moment).await?;
    let mut sheets = Sheets::with_capacity(rows.len());
    for (subject, Json(mut figures)) in rows {
        // groups come as one object, as their names are not known before
        if let Some(Value::Object(all)) = figures.remove("all") {
            figures = all;
        }
        sheets.insert(subject.unwrap_or_default(), from_json(figures));
    }
    Ok(sheets)
}
