//! `read.streams`: the Live Streams collection, one row a show.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | show_id | uuid, key | the `streamId` |
//! | creator | uuid | pseudonym |
//! | creator_identity | jsonb | `Sealed`, field `creator` of event `event_id` |
//! | event_id | uuid | the event that `creator_identity` was sealed for |
//! | title, description | text | |
//! | category, language, thumbnail_url | text? | |
//! | tags | text[] | |
//! | status | text | SCHEDULED, LIVE, ENDED, CANCELLED |
//! | discovery_rank | smallint | LIVE 3, SCHEDULED 2, ENDED 1, CANCELLED 0: discovery orders by (discovery_rank, viewer_count, created_at, show_id) descending, and this row value is the keyset |
//! | is_subscriber_only | boolean | |
//! | ticket_price | numeric? | in `currency` |
//! | currency | text | ISO 4217, also of `total_tips` |
//! | settings | jsonb | `StreamSettings` as in the events: the API's `streamSettings` |
//! | viewer_count, peak_viewers, unique_viewers | bigint | `viewer_count` is 0 after the end |
//! | total_views, messages_count | bigint | |
//! | total_tips | numeric | captured |
//! | channel | text | of the video |
//! | host_uid | bigint | in the channel |
//! | scheduled_start, started_at, ended_at | timestamptz? | `ended_at` is of the end only, not of a cancellation |
//! | duration_seconds | bigint? | from the end on; before it, compute from `started_at` |
//! | recording_status | text? | PROCESSING from the end on where recording was on; NULL: none |
//! | created_at, updated_at | timestamptz | |
//! | sequence | bigint | revision of the show's last event |
//! | version | bigint | the `ETag`: revision of the last ShowCreated, ShowRevised or StreamSettingsChanged |
//! | search | tsvector | configuration `simple`: title (A), tags (B), description (C); ask with `search @@ websearch_to_tsquery('simple', q)` |

/// The tables of one generation.
const DDL: &str = "
CREATE TABLE streams (
    show_id            uuid        PRIMARY KEY,
    creator            uuid        NOT NULL,
    creator_identity   jsonb       NOT NULL,
    event_id           uuid        NOT NULL,
    title              text        NOT NULL,
    description        text        NOT NULL,
    category           text,
    tags               text[]      NOT NULL,
    language           text,
    thumbnail_url      text,
    status             text        NOT NULL CHECK (status IN ('SCHEDULED', 'LIVE', 'ENDED', 'CANCELLED')),
    discovery_rank     smallint    NOT NULL GENERATED ALWAYS AS (
        CASE status WHEN 'LIVE' THEN 3 WHEN 'SCHEDULED' THEN 2 WHEN 'ENDED' THEN 1 ELSE 0 END
    ) STORED,
    is_subscriber_only boolean     NOT NULL,
    ticket_price       numeric,
    currency           text        NOT NULL,
    settings           jsonb       NOT NULL,
    viewer_count       bigint      NOT NULL,
    peak_viewers       bigint      NOT NULL,
    total_views        bigint      NOT NULL,
    unique_viewers     bigint      NOT NULL,
    messages_count     bigint      NOT NULL,
    total_tips         numeric     NOT NULL,
    channel            text        NOT NULL,
    host_uid           bigint      NOT NULL,
    scheduled_start    timestamptz,
    started_at         timestamptz,
    ended_at           timestamptz,
    duration_seconds   bigint,
    recording_status   text        CHECK (recording_status IN ('PROCESSING', 'READY', 'FAILED')),
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    sequence           bigint      NOT NULL,
    version            bigint      NOT NULL,
    search             tsvector    NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX streams_discovery ON streams (discovery_rank, viewer_count, created_at, show_id);
CREATE INDEX streams_status ON streams (status, viewer_count, created_at, show_id);
CREATE INDEX streams_category ON streams (category, discovery_rank, viewer_count, created_at, show_id);
CREATE INDEX streams_creator ON streams (creator, discovery_rank, viewer_count, created_at, show_id);
CREATE INDEX streams_search ON streams USING gin (search);
";
