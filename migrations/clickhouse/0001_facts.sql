-- The facts: what the loader writes, one table for each kind.
--
-- Keyed by (stream, revision, row), where the id of a show or payment stands for its stream. A row is a pure function of its event,
-- so repeats are identical and ReplacingMergeTree drops them whenever it merges; the views of the next file drop the rest while
-- reading. The partition follows from the event too: a repeat always meets its first copy there.
-- Only views are for reading: a table may hold a row more than once.
--
-- `{{replicated}}` is empty, or `Replicated` on a cluster; `{{on_cluster}}` is empty, or the clause that names it.

CREATE TABLE IF NOT EXISTS fact_events {{on_cluster}} (
    stream String COMMENT 'The stream in the log: show- or payment- with an id',
    revision UInt64 COMMENT 'Number of the event within its stream',
    row UInt16 COMMENT 'Always 0: an event is one row here',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    event_id UUID COMMENT 'Id of the event',
    type LowCardinality(String) COMMENT 'Name of the event',
    version UInt16 COMMENT 'Version of the published shape',
    data String COMMENT 'The published fields as JSON' CODEC(ZSTD(3))
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (stream, revision, row)
COMMENT 'Every event, as published; the typed facts hold the same, in columns. Read the view events';

CREATE TABLE IF NOT EXISTS fact_show_changes {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    revision UInt64 COMMENT 'Number of the event within the stream of its show',
    row UInt16 COMMENT 'Number of the row among those of its event',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    kind LowCardinality(String) COMMENT 'CREATED, REVISED, SETTINGS, STARTED, ENDED or CANCELLED',
    creator UUID COMMENT 'The creator, as a pseudonym; of CREATED only',
    title String COMMENT 'Title; of CREATED and REVISED only',
    category LowCardinality(String) COMMENT 'Category, unknown where there is none; of CREATED and REVISED only',
    tags Array(String) COMMENT 'Tags; of CREATED and REVISED only',
    language LowCardinality(String) COMMENT 'Language (BCP 47), unknown where there is none; of CREATED and REVISED only',
    currency LowCardinality(String) COMMENT 'Currency (ISO 4217); of CREATED and REVISED only',
    subscriber_only Bool COMMENT 'Whether only subscribers may enter; of CREATED and REVISED only',
    ticket_price Nullable(Decimal(38, 4)) COMMENT 'Price of a ticket, NULL where there is none; of CREATED and REVISED only',
    scheduled_start Nullable(DateTime64(3, 'UTC')) COMMENT 'When it should start, NULL where that is not known; of CREATED and REVISED only',
    quality LowCardinality(String) COMMENT 'Video quality; of CREATED and SETTINGS only',
    recording_enabled Bool COMMENT 'Whether it is recorded; of CREATED and SETTINGS only',
    chat_enabled Bool COMMENT 'Whether viewers may chat; of CREATED and SETTINGS only',
    tips_enabled Bool COMMENT 'Whether viewers may tip; of CREATED and SETTINGS only',
    max_viewers Nullable(UInt32) COMMENT 'Most persons at one time, NULL for no cap; of CREATED and SETTINGS only'
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (show_id, revision, row)
COMMENT 'Life of shows: one row for each event that creates, revises, starts, ends or cancels one. Read the view show_changes';

CREATE TABLE IF NOT EXISTS fact_audience_changes {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    revision UInt64 COMMENT 'Number of the event within the stream of its show',
    row UInt16 COMMENT 'Number of the row among those of its event',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    kind LowCardinality(String) COMMENT 'JOINED or LEFT',
    session_id UUID COMMENT 'The session',
    person UUID COMMENT 'Whose, as a pseudonym',
    at DateTime64(3, 'UTC') COMMENT 'When they came or were really gone: a leave may be told late',
    device_type LowCardinality(String) COMMENT 'MOBILE, DESKTOP, TABLET or unknown; of JOINED only',
    country LowCardinality(String) COMMENT 'Country (ISO 3166-1) or unknown; of JOINED only',
    city String COMMENT 'City or unknown; of JOINED only',
    basis LowCardinality(String) COMMENT 'Why they may be here: PUBLIC, ENTITLED or STAFF; of JOINED only',
    reason LowCardinality(String) COMMENT 'Why it is over: LEFT or UNSEEN; of LEFT only'
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (show_id, revision, row)
COMMENT 'Joins and leaves: one row for each session that begins or ends; the end of a show ends its sessions without rows. Read the view audience_changes';

CREATE TABLE IF NOT EXISTS fact_messages {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    revision UInt64 COMMENT 'Number of the event within the stream of its show',
    row UInt16 COMMENT 'Number of the row among those of its event',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    message_id UUID COMMENT 'The message',
    author UUID COMMENT 'Who wrote it, as a pseudonym',
    role LowCardinality(String) COMMENT 'HOST, MODERATOR, ADMIN or VIEWER',
    is_subscriber Bool COMMENT 'Whether the author subscribed to the creator then',
    is_reply Bool COMMENT 'Whether it answers another message',
    characters UInt32 COMMENT 'Code points',
    words UInt32 COMMENT 'Words',
    emoji UInt32 COMMENT 'Emoji',
    links UInt32 COMMENT 'Web addresses',
    language LowCardinality(String) COMMENT 'Language (ISO 639-3), or unknown where the text is too short to tell'
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (show_id, revision, row)
COMMENT 'Messages that were shown: what is known of them without their text. Read the view messages';

CREATE TABLE IF NOT EXISTS fact_reactions {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    revision UInt64 COMMENT 'Number of the event within the stream of its show',
    row UInt16 COMMENT 'Number of the row among those of its event',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    reaction_type LowCardinality(String) COMMENT 'Type of the reaction',
    count UInt32 COMMENT 'How many'
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (show_id, revision, row)
COMMENT 'Reactions: how many of each type in about one second. Read the view reactions';

CREATE TABLE IF NOT EXISTS fact_reactors {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    revision UInt64 COMMENT 'Number of the event within the stream of its show',
    row UInt16 COMMENT 'Number of the row among those of its event',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    person UUID COMMENT 'Who, as a pseudonym'
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (show_id, revision, row)
COMMENT 'Persons at their first reaction in a show. Read the view reactors';

CREATE TABLE IF NOT EXISTS fact_tip_changes {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    revision UInt64 COMMENT 'Number of the event within the stream of its show',
    row UInt16 COMMENT 'Number of the row among those of its event',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    kind LowCardinality(String) COMMENT 'REQUESTED, CAPTURED or DECLINED',
    tip_id UUID COMMENT 'The tip',
    payment_id UUID COMMENT 'Its payment',
    person UUID COMMENT 'Who tips, as a pseudonym',
    amount Decimal(38, 4) COMMENT 'How much; 0 where declined',
    currency LowCardinality(String) COMMENT 'Currency (ISO 4217); empty where declined',
    reason LowCardinality(String) COMMENT 'Why declined: DECLINED, EXPIRED or CANCELLED; empty otherwise'
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (show_id, revision, row)
COMMENT 'Steps of tips: one row for each that is requested, captured or declined. Read the view tip_changes';

CREATE TABLE IF NOT EXISTS fact_payment_changes {{on_cluster}} (
    payment_id UUID COMMENT 'The payment',
    revision UInt64 COMMENT 'Number of the event within the stream of its payment',
    row UInt16 COMMENT 'Number of the row among those of its event',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    kind LowCardinality(String) COMMENT 'REQUESTED, CAPTURED, DECLINED or APPLIED',
    purpose LowCardinality(String) COMMENT 'What it is for: TIP; of REQUESTED only',
    show_id UUID COMMENT 'The show; of REQUESTED only',
    tip_id UUID COMMENT 'The tip; of REQUESTED only',
    payer UUID COMMENT 'Who pays, as a pseudonym; of REQUESTED only',
    payee UUID COMMENT 'Who is paid, as a pseudonym; of REQUESTED only',
    amount Decimal(38, 4) COMMENT 'How much; of REQUESTED and CAPTURED only',
    currency LowCardinality(String) COMMENT 'Currency (ISO 4217); of REQUESTED and CAPTURED only',
    provider LowCardinality(String) COMMENT 'Payment provider; of CAPTURED only',
    reason LowCardinality(String) COMMENT 'Why declined: DECLINED, EXPIRED or CANCELLED; of DECLINED only'
)
ENGINE = {{replicated}}ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (payment_id, revision, row)
COMMENT 'Steps of payments: one row for each that is requested, captured, declined or applied. Read the view payment_changes';

CREATE TABLE IF NOT EXISTS loader_progress {{on_cluster}} (
    topic LowCardinality(String) COMMENT 'The topic',
    partition Int32 COMMENT 'Its partition',
    position UInt64 COMMENT 'Place in the log up to which everything of the partition is here',
    time DateTime64(3, 'UTC') COMMENT 'Time up to which everything of the partition is here',
    offset Int64 COMMENT 'Offset of the next record that is to be read',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the loader wrote this'
)
ENGINE = {{replicated}}ReplacingMergeTree(position)
ORDER BY (topic, partition)
COMMENT 'How far the loader is, by partition: written after all facts up to there. Read the view loading';
