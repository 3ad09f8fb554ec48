//! What shows amount to, as text: continues the definition. Roll-ups are made of it too.

/// The shows that are asked about, a row each.
macro_rules! each_show {
    (told) => {
        "{show:UUID}"
    };
    ($many:ident) => {
        "arrayJoin({shows:Array(UUID)})"
    };
}

/// Continues [`of_shows`], with the mode first: `sums`, one row a show, of zeros where nothing happened. What persons did is put together by person
/// first; who did something without a session counts in no share of viewers.
macro_rules! sums_of_shows {
    ($mode:ident, $($more:expr),+ $(,)?) => {
        $crate::figures::definition::of_shows!(
            $mode,
            $crate::figures::definition::deeds!($mode),
            ",
persons AS (
    SELECT
        show_id,
        person,
        sum(p.sessions) AS sessions,
        sum(p.watch_ms) AS watch_ms,
        sum(p.possible_watch_ms) AS possible_watch_ms,
        sum(p.messages) AS messages,
        max(p.has_reacted) AS has_reacted,
        sum(p.tips) AS tips,
        sum(p.tips_count) AS tips_count,
        sum(p.pending_tips) AS pending_tips
    FROM (
        SELECT
            show_id, person, sessions, toInt64(watch_ms) AS watch_ms, until_ms - first_ms AS possible_watch_ms, 0 AS messages,
            0 AS has_reacted, toDecimal128(0, 4) AS tips, 0 AS tips_count, 0 AS pending_tips
        FROM viewers
        UNION ALL
        SELECT show_id, person, 0, 0, 0, messages, has_reacted, tips, tips_count, pending_tips
        FROM deeds
    ) AS p
    GROUP BY show_id, person
),
sums AS (
    SELECT
        show_id,
        toUInt64(sum(s.open_viewers)) AS open_viewers,
        toUInt64(sum(s.peak_viewers)) AS peak_viewers,
        toUInt64(sum(s.total_views)) AS total_views,
        toUInt64(sum(s.unique_viewers)) AS unique_viewers,
        toInt64(sum(s.watch_ms)) AS watch_ms,
        toInt64(sum(s.possible_watch_ms)) AS possible_watch_ms,
        toUInt64(sum(s.messages)) AS messages,
        toUInt64(sum(s.reactions)) AS reactions,
        toUInt64(sum(s.engaged)) AS engaged,
        toUInt64(sum(s.tippers)) AS tippers,
        sum(s.tips) AS tips,
        toUInt64(sum(s.tips_count)) AS tips_count,
        toUInt64(sum(s.pending_tips)) AS pending_tips
    FROM (
        SELECT
            show_id,
            0 AS open_viewers,
            0 AS peak_viewers,
            sum(q.sessions) AS total_views,
            countIf(q.sessions > 0) AS unique_viewers,
            sum(q.watch_ms) AS watch_ms,
            sum(q.possible_watch_ms) AS possible_watch_ms,
            sum(q.messages) AS messages,
            0 AS reactions,
            countIf(q.sessions > 0 AND (q.messages > 0 OR has_reacted OR q.tips_count > 0)) AS engaged,
            countIf(q.sessions > 0 AND q.tips_count > 0) AS tippers,
            sum(q.tips) AS tips,
            sum(q.tips_count) AS tips_count,
            sum(q.pending_tips) AS pending_tips
        FROM persons AS q
        GROUP BY show_id
        UNION ALL
        SELECT show_id, sum(delta), max(viewers_after), 0, 0, 0, 0, 0, 0, 0, 0, toDecimal128(0, 4), 0, 0
        FROM (
            SELECT
                show_id,
                delta,
                sum(delta) OVER (
                    PARTITION BY show_id ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                ) AS viewers_after
            FROM steps
        )
        GROUP BY show_id
        UNION ALL
        SELECT show_id, 0, 0, 0, 0, 0, 0, 0, count, 0, 0, toDecimal128(0, 4), 0, 0
        ",
            $crate::figures::definition::known!($mode, "fact_reactions"),
            "
        UNION ALL
        SELECT ",
            $crate::figures::sums::each_show!($mode),
            ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, toDecimal128(0, 4), 0, 0
    ) AS s
    GROUP BY show_id
)",
            $($more),+
        )
    };
}

/// Continues [`sums_of_shows`] of many: one row a show, `figures`. Also what the roll-up of shows is made of.
macro_rules! figures_of_shows {
    ($mode:ident, $($more:expr),+ $(,)?) => {
        $crate::figures::sums::sums_of_shows!(
            $mode,
            ",
figures AS (
    SELECT
        c.show_id AS show_id,
        creator,
        title,
        category,
        currency,
        multiIf(is_cancelled, 'CANCELLED', ended_at IS NOT NULL, 'ENDED', has_started, 'LIVE', 'SCHEDULED') AS status,
        started_at,
        ended_at,
        until_ms,
        if(has_started, until_ms - start_ms, 0) AS duration_ms,
        if(ended_at IS NULL, open_viewers, 0) AS viewer_count,
        open_viewers AS closing_viewer_count,
        s.* EXCEPT (show_id, open_viewers)
    FROM clock AS c
    INNER JOIN sums AS s ON s.show_id = c.show_id
)",
            $($more),+
        )
    };
}

pub(super) use {each_show, figures_of_shows, sums_of_shows};
