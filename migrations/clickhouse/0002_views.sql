-- The facts without repeats. Analysts, dashboards and the API read these views, never the tables.
--
-- FINAL keeps one row for each key. Where it matters, `do_not_merge_across_partitions_select_final = 1` may be set: a repeat stands in the
-- partition of its first copy.

CREATE OR REPLACE VIEW events {{on_cluster}} (
    stream String COMMENT 'The stream in the log: show- or payment- with an id',
    revision UInt64 COMMENT 'Number of the event within its stream',
    row UInt16 COMMENT 'Always 0: an event is one row here',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    event_id UUID COMMENT 'Id of the event',
    type LowCardinality(String) COMMENT 'Name of the event',
    version UInt16 COMMENT 'Version of the published shape',
    data String COMMENT 'The published fields as JSON'
) AS
SELECT stream, revision, row, position, occurred_at, event_id, type, version, data
FROM fact_events FINAL
COMMENT 'Every event, as published; the typed facts hold the same, in columns';

CREATE OR REPLACE VIEW show_changes {{on_cluster}} (
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
) AS
SELECT show_id, revision, row, position, occurred_at, kind, creator, title, category, tags, language, currency, subscriber_only, ticket_price, scheduled_start, quality, recording_enabled, chat_enabled, tips_enabled, max_viewers
FROM fact_show_changes FINAL
COMMENT 'Life of shows: one row for each event that creates, revises, starts, ends or cancels one';

CREATE OR REPLACE VIEW audience_changes {{on_cluster}} (
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
) AS
SELECT show_id, revision, row, position, occurred_at, kind, session_id, person, at, device_type, country, city, basis, reason
FROM fact_audience_changes FINAL
COMMENT 'Joins and leaves: one row for each session that begins or ends; the end of a show ends its sessions without rows';

CREATE OR REPLACE VIEW messages {{on_cluster}} (
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
) AS
SELECT show_id, revision, row, position, occurred_at, message_id, author, role, is_subscriber, is_reply, characters, words, emoji, links, language
FROM fact_messages FINAL
COMMENT 'Messages that were shown: what is known of them without their text';

CREATE OR REPLACE VIEW reactions {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    revision UInt64 COMMENT 'Number of the event within the stream of its show',
    row UInt16 COMMENT 'Number of the row among those of its event',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    reaction_type LowCardinality(String) COMMENT 'Type of the reaction',
    count UInt32 COMMENT 'How many'
) AS
SELECT show_id, revision, row, position, occurred_at, reaction_type, count
FROM fact_reactions FINAL
COMMENT 'Reactions: how many of each type in about one second';

CREATE OR REPLACE VIEW reactors {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    revision UInt64 COMMENT 'Number of the event within the stream of its show',
    row UInt16 COMMENT 'Number of the row among those of its event',
    position UInt64 COMMENT 'Place of the event in the log',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    person UUID COMMENT 'Who, as a pseudonym'
) AS
SELECT show_id, revision, row, position, occurred_at, person
FROM fact_reactors FINAL
COMMENT 'Persons at their first reaction in a show';

CREATE OR REPLACE VIEW tip_changes {{on_cluster}} (
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
) AS
SELECT show_id, revision, row, position, occurred_at, kind, tip_id, payment_id, person, amount, currency, reason
FROM fact_tip_changes FINAL
COMMENT 'Steps of tips: one row for each that is requested, captured or declined';

CREATE OR REPLACE VIEW payment_changes {{on_cluster}} (
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
) AS
SELECT payment_id, revision, row, position, occurred_at, kind, purpose, show_id, tip_id, payer, payee, amount, currency, provider, reason
FROM fact_payment_changes FINAL
COMMENT 'Steps of payments: one row for each that is requested, captured, declined or applied';

CREATE OR REPLACE VIEW loading {{on_cluster}} (
    topic LowCardinality(String) COMMENT 'The topic',
    partition Int32 COMMENT 'Its partition',
    position UInt64 COMMENT 'Place in the log up to which everything of the partition is here',
    time DateTime64(3, 'UTC') COMMENT 'Time up to which everything of the partition is here',
    offset Int64 COMMENT 'Offset of the next record that is to be read',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the loader wrote this'
) AS
SELECT topic, partition, position, time, offset, updated_at
FROM loader_progress FINAL
COMMENT 'How far the warehouse is, by partition of the topic';

CREATE OR REPLACE VIEW tips {{on_cluster}} (
    show_id UUID COMMENT 'The show',
    tip_id UUID COMMENT 'The tip',
    payment_id UUID COMMENT 'Its payment',
    person UUID COMMENT 'Who tips, as a pseudonym',
    amount Decimal(38, 4) COMMENT 'How much',
    currency LowCardinality(String) COMMENT 'Currency (ISO 4217)',
    status String COMMENT 'PENDING, CAPTURED or DECLINED',
    reason String COMMENT 'Why declined: DECLINED, EXPIRED or CANCELLED; empty otherwise',
    requested_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was promised',
    settled_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was captured or declined'
) AS
SELECT
    show_id,
    tip_id,
    any(payment_id) AS payment_id,
    any(person) AS person,
    max(amount) AS amount,
    max(currency) AS currency,
    multiIf(countIf(kind = 'CAPTURED') > 0, 'CAPTURED', countIf(kind = 'DECLINED') > 0, 'DECLINED', 'PENDING') AS status,
    max(reason) AS reason,
    minOrNullIf(occurred_at, kind = 'REQUESTED') AS requested_at,
    minOrNullIf(occurred_at, kind != 'REQUESTED') AS settled_at
FROM tip_changes
GROUP BY show_id, tip_id
COMMENT 'Tips, one row each';

CREATE OR REPLACE VIEW payments {{on_cluster}} (
    payment_id UUID COMMENT 'The payment',
    purpose String COMMENT 'What it is for: TIP',
    show_id UUID COMMENT 'The show',
    payer UUID COMMENT 'Who pays, as a pseudonym',
    payee UUID COMMENT 'Who is paid, as a pseudonym',
    requested Decimal(38, 4) COMMENT 'How much was asked for',
    captured Decimal(38, 4) COMMENT 'How much was captured',
    currency String COMMENT 'Currency (ISO 4217)',
    status String COMMENT 'REQUESTED, CAPTURED or DECLINED',
    is_applied Bool COMMENT 'Whether what it was for knows how it ended',
    provider String COMMENT 'Payment provider; empty before the capture',
    reason String COMMENT 'Why declined: DECLINED, EXPIRED or CANCELLED; empty otherwise',
    requested_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was decided'
) AS
SELECT
    payment_id,
    max(c.purpose) AS purpose,
    max(c.show_id) AS show_id,
    max(c.payer) AS payer,
    max(c.payee) AS payee,
    sumIf(amount, kind = 'REQUESTED') AS requested,
    sumIf(amount, kind = 'CAPTURED') AS captured,
    max(c.currency) AS currency,
    multiIf(countIf(kind = 'CAPTURED') > 0, 'CAPTURED', countIf(kind = 'DECLINED') > 0, 'DECLINED', 'REQUESTED') AS status,
    toBool(countIf(kind = 'APPLIED') > 0) AS is_applied,
    max(c.provider) AS provider,
    max(c.reason) AS reason,
    minOrNullIf(occurred_at, kind = 'REQUESTED') AS requested_at
FROM payment_changes AS c
GROUP BY payment_id
COMMENT 'Payments, one row each';
