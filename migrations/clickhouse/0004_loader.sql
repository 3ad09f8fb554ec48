-- What the loader needs besides: to know its own repeats, and to tell how far the roll-ups are.
--
-- A batch that is sent again after a lost answer has the token of its first copy. On one server tables remember tokens only where they are told
-- to (replicated tables do it by themselves); a hundred of them outlast every repeat. Figures do not rest on it.

ALTER TABLE fact_events {{on_cluster}} MODIFY SETTING non_replicated_deduplication_window = 100;

ALTER TABLE fact_show_changes {{on_cluster}} MODIFY SETTING non_replicated_deduplication_window = 100;

ALTER TABLE fact_audience_changes {{on_cluster}} MODIFY SETTING non_replicated_deduplication_window = 100;

ALTER TABLE fact_messages {{on_cluster}} MODIFY SETTING non_replicated_deduplication_window = 100;

ALTER TABLE fact_reactions {{on_cluster}} MODIFY SETTING non_replicated_deduplication_window = 100;

ALTER TABLE fact_reactors {{on_cluster}} MODIFY SETTING non_replicated_deduplication_window = 100;

ALTER TABLE fact_tip_changes {{on_cluster}} MODIFY SETTING non_replicated_deduplication_window = 100;

ALTER TABLE fact_payment_changes {{on_cluster}} MODIFY SETTING non_replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS rollup_progress {{on_cluster}} (
    topic LowCardinality(String) COMMENT 'The topic',
    partition Int32 COMMENT 'Its partition',
    position UInt64 COMMENT 'Place in the log up to which the roll-ups of the shows of the partition count',
    time DateTime64(3, 'UTC') COMMENT 'Time up to which the roll-ups of the shows of the partition count',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the loader wrote this'
)
ENGINE = {{replicated}}ReplacingMergeTree(position)
ORDER BY (topic, partition)
COMMENT 'How far the roll-ups are, by partition: written after the roll-ups of all shows up to there. Read the view rolling_up';

CREATE OR REPLACE VIEW rolling_up {{on_cluster}} (
    topic LowCardinality(String) COMMENT 'The topic',
    partition Int32 COMMENT 'Its partition',
    position UInt64 COMMENT 'Place in the log up to which the roll-ups of the shows of the partition count',
    time DateTime64(3, 'UTC') COMMENT 'Time up to which the roll-ups of the shows of the partition count',
    updated_at DateTime64(3, 'UTC') COMMENT 'When the loader wrote this'
) AS
SELECT topic, partition, position, time, updated_at
FROM rollup_progress FINAL
COMMENT 'How far the roll-ups are, by partition of the topic';
