//! What the figures of shows are made of: the common beginning of every query about shows.
//!
//! Each is made in one of three modes:
//!
//! - `known`: of many shows, whose clocks are looked up. Parameters: `shows`, the shows, and `streams`, the names of their streams (computed by
//!   the query they would not be looked up in the primary key); `positions`, up to where in the log each of them counts; `time_ms`, up to when a show
//!   that runs counts (never less than its last event).
//! - `known_but_last_times`: the same, but a parameter says when the last event of each was: `last_times`.
//! - `told`: of one show, whose clock was looked up before, by the parameters of `Figures::of_clock`.
//!
//! Times are milliseconds since 1970.
//!
//! Of the time for a show most is planning: the server repeats a common table expression wherever it is named, and each of its joins costs as
//! much as reading what it joins. So what is added up is gathered by `UNION ALL` rather than joined, and one show's clock is told and not joined.

/// The facts of each show up to its position, without repeats, as `f`. The views say the same, at a third more of the server's time to plan.
macro_rules! known {
    (told, $table:literal) => {
        concat!("FROM ", $table, " AS f FINAL WHERE show_id = {show:UUID} AND position <= {position:UInt64}")
    };
    ($many:ident, $table:literal) => {
        concat!(
            "FROM ",
            $table,
            " AS f FINAL
    WHERE show_id IN {shows:Array(UUID)}
        AND position <= transform(show_id, {shows:Array(UUID)}, {positions:Array(UInt64)}, toUInt64(0))"
        )
    };
}

pub(super) use known;

/// From when to when each show counts, as `clock`; nothing where that is told.
macro_rules! clock {
    (told) => {
        ""
    };
    (known) => {
        $crate::figures::definition::clock!(
            of "
    SELECT toUUID(substring(stream, 6)) AS show_id, toUnixTimestamp64Milli(max(occurred_at)) AS last_ms
    FROM fact_events FINAL
    WHERE stream IN {streams:Array(String)}
        AND position <= transform(stream, {streams:Array(String)}, {positions:Array(UInt64)}, toUInt64(0))
    GROUP BY stream"
        )
    };
    (known_but_last_times) => {
        $crate::figures::definition::clock!(
            of "
    SELECT told.1 AS show_id, told.2 AS last_ms
    FROM (SELECT arrayJoin(arrayZip({shows:Array(UUID)}, {last_times:Array(Int64)})) AS told)"
        )
    };
    (of $last_events:literal) => {
        concat!(
            "
lifecycle AS (
    SELECT
        show_id,
        anyIf(f.creator, kind = 'CREATED') AS creator,
        argMaxIf(f.title, revision, kind IN ('CREATED', 'REVISED')) AS title,
        argMaxIf(f.category, revision, kind IN ('CREATED', 'REVISED')) AS category,
        argMaxIf(f.currency, revision, kind IN ('CREATED', 'REVISED')) AS currency,
        minOrNullIf(occurred_at, kind = 'STARTED') AS started_at,
        minOrNullIf(occurred_at, kind = 'ENDED') AS ended_at,
        countIf(kind = 'CANCELLED') > 0 AS is_cancelled
    ",
            $crate::figures::definition::known!(known, "fact_show_changes"),
            "
    GROUP BY show_id
    HAVING countIf(kind = 'CREATED') > 0
),
last_events AS (",
            $last_events,
            "
),
clock AS (
    SELECT
        l.*,
        last_ms,
        started_at IS NOT NULL AS has_started,
        toUnixTimestamp64Milli(assumeNotNull(started_at)) AS start_ms,
        if(ended_at IS NULL, greatest(last_ms, {time_ms:Int64}), toUnixTimestamp64Milli(assumeNotNull(ended_at)))
            AS until_ms
    FROM lifecycle AS l
    INNER JOIN last_events AS e ON e.show_id = l.show_id
),"
        )
    };
}

pub(super) use clock;

/// Sessions with the clock of their show.
macro_rules! clocked_sessions {
    (told) => {
        "
        {creator:UUID} AS creator,
        if({has_started:Bool}, fromUnixTimestamp64Milli({start_ms:Int64}, 'UTC'), NULL) AS started_at,
        {has_ended:Bool} AS is_over,
        {until_ms:Int64} AS until_ms
    FROM sessions AS s"
    };
    ($many:ident) => {
        "
        creator,
        started_at,
        ended_at IS NOT NULL AS is_over,
        until_ms
    FROM sessions AS s
    INNER JOIN clock AS c ON c.show_id = s.show_id"
    };
}

pub(super) use clocked_sessions;

/// A literal of common table expressions, to be continued by those of the figure. Begins with the mode.
///
/// - `clock`: from when to when its figures count, and the time of its last event, unless that is told;
/// - `intervals`: the effective interval of each session;
/// - `viewers`: the persons with a session, with the time that they watched, each moment once;
/// - `steps`: joins and leaves in the order of revisions, with what each does to the viewer count and to the number of unique viewers.
macro_rules! of_shows {
    ($mode:ident, $($more:expr),+ $(,)?) => {
        concat!(
            "WITH",
            $crate::figures::definition::clock!($mode),
            "
sessions AS (
    SELECT
        show_id,
        session_id,
        any(f.person) AS person,
        minIf(f.position, kind = 'JOINED') AS joined_position,
        minIf(revision, kind = 'JOINED') AS joined_revision,
        toUnixTimestamp64Milli(minIf(at, kind = 'JOINED')) AS joined_ms,
        countIf(kind = 'LEFT') = 0 AS is_open,
        toUnixTimestamp64Milli(minIf(at, kind = 'LEFT')) AS left_ms,
        anyIf(f.device_type, kind = 'JOINED') AS device_type,
        anyIf(f.country, kind = 'JOINED') AS country,
        anyIf(f.city, kind = 'JOINED') AS city
    ",
            $crate::figures::definition::known!($mode, "fact_audience_changes"),
            "
    GROUP BY show_id, session_id
    HAVING countIf(kind = 'JOINED') > 0
),
intervals AS (
    SELECT
        s.*,
        greatest(joined_ms, if(is_open, until_ms, least(left_ms, until_ms))) AS gone_ms,",
            $crate::figures::definition::clocked_sessions!($mode),
            "
),
viewers AS (
    SELECT
        show_id,
        person,
        count() AS sessions,
        intervalLengthSum(joined_ms, gone_ms) AS watch_ms,
        min(joined_ms) AS first_ms,
        min(joined_position) AS first_position,
        max(gone_ms) AS last_ms,
        max(is_open) AS is_open,
        any(i.is_over) AS is_over,
        any(i.until_ms) AS until_ms,
        any(i.creator) AS creator,
        any(i.started_at) AS started_at,
        argMin(i.device_type, joined_revision) AS device_type,
        argMin(i.country, joined_revision) AS country,
        argMin(i.city, joined_revision) AS city
    FROM intervals AS i
    GROUP BY show_id, person
),
steps AS (
    SELECT
        show_id,
        revision,
        at_ms,
        step,
        multiIf(step = 1 AND open_after = 1, 1, step = -1 AND open_after = 0, -1, 0) AS delta,
        step = 1 AND joins_after = 1 AS is_new
    FROM (
        SELECT
            show_id,
            revision,
            toUnixTimestamp64Milli(occurred_at) AS at_ms,
            if(kind = 'JOINED', 1, -1) AS step,
            sum(if(kind = 'JOINED', 1, -1)) OVER earlier AS open_after,
            countIf(kind = 'JOINED') OVER earlier AS joins_after
        ",
            $crate::figures::definition::known!($mode, "fact_audience_changes"),
            "
        WINDOW earlier AS (
            PARTITION BY show_id, person ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )
    )
)",
            $($more),+
        )
    };
}

pub(super) use of_shows;

/// Continues [`of_shows`], with the mode first: `deeds`, what persons did, viewers or not.
macro_rules! deeds {
    ($mode:ident) => {
        concat!(
            ",
deeds AS (
    SELECT
        show_id,
        person,
        sum(d.messages) AS messages,
        max(d.has_reacted) AS has_reacted,
        sum(d.tips) AS tips,
        sum(d.tips_count) AS tips_count,
        sum(d.pending_tips) AS pending_tips
    FROM (
        SELECT
            show_id, author AS person, 1 AS messages, 0 AS has_reacted, toDecimal128(0, 4) AS tips, 0 AS tips_count,
            0 AS pending_tips
        ",
            $crate::figures::definition::known!($mode, "fact_messages"),
            "
        UNION ALL
        SELECT show_id, person, 0, 1, toDecimal128(0, 4), 0, 0
        ",
            $crate::figures::definition::known!($mode, "fact_reactors"),
            "
        UNION ALL
        SELECT
            show_id, person, 0, 0, if(kind = 'CAPTURED', amount, toDecimal128(0, 4)), kind = 'CAPTURED', if(kind = 'REQUESTED', 1, -1)
        ",
            $crate::figures::definition::known!($mode, "fact_tip_changes"),
            "
    ) AS d
    GROUP BY show_id, person
)"
        )
    };
}

pub(super) use deeds;

/// Continues [`of_shows`] of many: `acts`, the viewers with what they did.
macro_rules! acts {
    () => {
        concat!(
            $crate::figures::definition::deeds!(known),
            ",
acts AS (
    SELECT
        v.show_id AS show_id,
        v.person AS person,
        v.* EXCEPT (show_id, person),
        d.messages AS messages,
        d.has_reacted AS has_reacted,
        d.tips AS tips,
        d.tips_count AS tips_count
    FROM viewers AS v
    LEFT JOIN deeds AS d ON d.show_id = v.show_id AND d.person = v.person
)"
        )
    };
}

pub(super) use acts;
