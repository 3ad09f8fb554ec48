-- Roll-ups: each show's figures, viewers and quarters of an hour, for the questions about many shows.
--
-- The loader computes them anew from the facts without repeats, for each show that a batch touched, by the one definition in
-- analytics/src/figures. They never add up what is inserted: a repeat computes the same again. `facts` is counted before the rest is
-- read, so whoever knew more wins, whichever came last. The rows of a show only ever get more, none has to go.

CREATE TABLE IF NOT EXISTS rollup_shows {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    creator UUID COMMENT 'The creator, as a pseudonym',
    title String COMMENT 'Title',
    category LowCardinality(String) COMMENT 'Category or unknown',
    currency LowCardinality(String) COMMENT 'Currency (ISO 4217)',
    status LowCardinality(String) COMMENT 'SCHEDULED, LIVE, ENDED or CANCELLED',
    started_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it started',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended',
    as_of DateTime64(3, 'UTC') COMMENT 'Up to when the figures count: the end, or the last event of a show that runs',
    duration_ms Int64 COMMENT 'From start to end, in milliseconds',
    viewer_count UInt64 COMMENT 'Persons with a session open',
    peak_viewers UInt64 COMMENT 'Largest viewer count at any event',
    total_views UInt64 COMMENT 'Sessions begun',
    unique_viewers UInt64 COMMENT 'Persons who began a session',
    watch_ms Int64 COMMENT 'Time watched, in milliseconds; a moment on two devices counts once',
    possible_watch_ms Int64 COMMENT 'From the first join of each viewer to the end, in milliseconds',
    messages UInt64 COMMENT 'Messages shown',
    reactions UInt64 COMMENT 'Reactions',
    engaged UInt64 COMMENT 'Viewers who wrote, reacted or tipped',
    tippers UInt64 COMMENT 'Viewers who tipped',
    tips Decimal(38, 4) COMMENT 'Tips captured, in the currency of the show',
    tips_count UInt64 COMMENT 'Number of tips captured',
    pending_tips UInt64 COMMENT 'Tips whose payment is under way',
    facts UInt64 COMMENT 'Number of events of the show that were known when this was computed: of two rows the better informed one counts'
)
ENGINE = {{replicated}}ReplacingMergeTree(facts)
ORDER BY (show_id)
COMMENT 'Shows with their figures as of their last event; definitions in docs/metrics.md. Read the view shows';

CREATE TABLE IF NOT EXISTS rollup_show_viewers {{on_cluster}} (
    creator UUID COMMENT 'The creator, as a pseudonym',
    show_id UUID COMMENT 'The show',
    person UUID COMMENT 'Who, as a pseudonym',
    started_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the show started',
    first_joined_at DateTime64(3, 'UTC') COMMENT 'When they came first',
    first_position UInt64 COMMENT 'Place in the log of their first join: of several shows the lowest is the first',
    sessions UInt64 COMMENT 'Sessions begun',
    watch_ms Int64 COMMENT 'Time watched, in milliseconds',
    device_type LowCardinality(String) COMMENT 'Device of the first session, or unknown',
    country LowCardinality(String) COMMENT 'Country of the first session, or unknown',
    city String COMMENT 'City of the first session, or unknown',
    messages UInt64 COMMENT 'Messages written',
    has_reacted Bool COMMENT 'Whether they reacted',
    tips Decimal(38, 4) COMMENT 'Tips captured, in the currency of the show',
    tips_count UInt64 COMMENT 'Number of tips captured',
    facts UInt64 COMMENT 'Number of events of the show that were known when this was computed: of two rows the better informed one counts'
)
ENGINE = {{replicated}}ReplacingMergeTree(facts)
ORDER BY (creator, show_id, person)
COMMENT 'Viewers of shows, one row for each person and show. Read the view show_viewers';

CREATE TABLE IF NOT EXISTS rollup_show_quarters {{on_cluster}} (
    creator UUID COMMENT 'The creator, as a pseudonym',
    show_id UUID COMMENT 'The show',
    quarter DateTime('UTC') COMMENT 'Begin of the quarter of an hour',
    on_air_ms Int64 COMMENT 'Time on air within it, in milliseconds',
    watch_ms Int64 COMMENT 'Time watched within it, in milliseconds',
    tips Decimal(38, 4) COMMENT 'Tips captured within it, in the currency of the show',
    facts UInt64 COMMENT 'Number of events of the show that were known when this was computed: of two rows the better informed one counts'
)
ENGINE = {{replicated}}ReplacingMergeTree(facts)
ORDER BY (creator, show_id, quarter)
COMMENT 'Shows by quarter of an hour: the grain from which the hours of every time zone can be made. Read the view show_quarters';

CREATE OR REPLACE VIEW shows {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    creator UUID COMMENT 'The creator, as a pseudonym',
    title String COMMENT 'Title',
    category LowCardinality(String) COMMENT 'Category or unknown',
    currency LowCardinality(String) COMMENT 'Currency (ISO 4217)',
    status LowCardinality(String) COMMENT 'SCHEDULED, LIVE, ENDED or CANCELLED',
    started_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it started',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended',
    as_of DateTime64(3, 'UTC') COMMENT 'Up to when the figures count: the end, or the last event of a show that runs',
    duration_ms Int64 COMMENT 'From start to end, in milliseconds',
    viewer_count UInt64 COMMENT 'Persons with a session open',
    peak_viewers UInt64 COMMENT 'Largest viewer count at any event',
    total_views UInt64 COMMENT 'Sessions begun',
    unique_viewers UInt64 COMMENT 'Persons who began a session',
    watch_ms Int64 COMMENT 'Time watched, in milliseconds; a moment on two devices counts once',
    possible_watch_ms Int64 COMMENT 'From the first join of each viewer to the end, in milliseconds',
    messages UInt64 COMMENT 'Messages shown',
    reactions UInt64 COMMENT 'Reactions',
    engaged UInt64 COMMENT 'Viewers who wrote, reacted or tipped',
    tippers UInt64 COMMENT 'Viewers who tipped',
    tips Decimal(38, 4) COMMENT 'Tips captured, in the currency of the show',
    tips_count UInt64 COMMENT 'Number of tips captured',
    pending_tips UInt64 COMMENT 'Tips whose payment is under way',
    facts UInt64 COMMENT 'Number of events of the show that were known when this was computed: of two rows the better informed one counts'
) AS
SELECT show_id, creator, title, category, currency, status, started_at, ended_at, as_of, duration_ms, viewer_count, peak_viewers, total_views, unique_viewers, watch_ms, possible_watch_ms, messages, reactions, engaged, tippers, tips, tips_count, pending_tips, facts
FROM rollup_shows FINAL
COMMENT 'Shows with their figures as of their last event; definitions in docs/metrics.md';

CREATE OR REPLACE VIEW show_viewers {{on_cluster}} (
    creator UUID COMMENT 'The creator, as a pseudonym',
    show_id UUID COMMENT 'The show',
    person UUID COMMENT 'Who, as a pseudonym',
    started_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the show started',
    first_joined_at DateTime64(3, 'UTC') COMMENT 'When they came first',
    first_position UInt64 COMMENT 'Place in the log of their first join: of several shows the lowest is the first',
    sessions UInt64 COMMENT 'Sessions begun',
    watch_ms Int64 COMMENT 'Time watched, in milliseconds',
    device_type LowCardinality(String) COMMENT 'Device of the first session, or unknown',
    country LowCardinality(String) COMMENT 'Country of the first session, or unknown',
    city String COMMENT 'City of the first session, or unknown',
    messages UInt64 COMMENT 'Messages written',
    has_reacted Bool COMMENT 'Whether they reacted',
    tips Decimal(38, 4) COMMENT 'Tips captured, in the currency of the show',
    tips_count UInt64 COMMENT 'Number of tips captured',
    facts UInt64 COMMENT 'Number of events of the show that were known when this was computed: of two rows the better informed one counts'
) AS
SELECT creator, show_id, person, started_at, first_joined_at, first_position, sessions, watch_ms, device_type, country, city, messages, has_reacted, tips, tips_count, facts
FROM rollup_show_viewers FINAL
COMMENT 'Viewers of shows, one row for each person and show';

CREATE OR REPLACE VIEW show_quarters {{on_cluster}} (
    creator UUID COMMENT 'The creator, as a pseudonym',
    show_id UUID COMMENT 'The show',
    quarter DateTime('UTC') COMMENT 'Begin of the quarter of an hour',
    on_air_ms Int64 COMMENT 'Time on air within it, in milliseconds',
    watch_ms Int64 COMMENT 'Time watched within it, in milliseconds',
    tips Decimal(38, 4) COMMENT 'Tips captured within it, in the currency of the show',
    facts UInt64 COMMENT 'Number of events of the show that were known when this was computed: of two rows the better informed one counts'
) AS
SELECT creator, show_id, quarter, on_air_ms, watch_ms, tips, facts
FROM rollup_show_quarters FINAL
COMMENT 'Shows by quarter of an hour: the grain from which the hours of every time zone can be made';
