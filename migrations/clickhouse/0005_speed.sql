-- What makes figures of one show quick, however many others there are.
--
-- The primary key tells where in a part a show would stand, and not whether it does: shows have random ids, so every part of every month has a granule
-- into which any show could fall. These filters, some bytes for each granule, leave the parts of the show's own months. They are of the key's
-- first column: all repeats of a row pass or fail together, so FINAL finds what it would find without.

ALTER TABLE fact_events {{on_cluster}} ADD INDEX IF NOT EXISTS its_stream stream TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE fact_events {{on_cluster}} MATERIALIZE INDEX its_stream;

ALTER TABLE fact_show_changes {{on_cluster}} ADD INDEX IF NOT EXISTS its_show show_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE fact_show_changes {{on_cluster}} MATERIALIZE INDEX its_show;

ALTER TABLE fact_audience_changes {{on_cluster}} ADD INDEX IF NOT EXISTS its_show show_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE fact_audience_changes {{on_cluster}} MATERIALIZE INDEX its_show;

ALTER TABLE fact_messages {{on_cluster}} ADD INDEX IF NOT EXISTS its_show show_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE fact_messages {{on_cluster}} MATERIALIZE INDEX its_show;

ALTER TABLE fact_reactions {{on_cluster}} ADD INDEX IF NOT EXISTS its_show show_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE fact_reactions {{on_cluster}} MATERIALIZE INDEX its_show;

ALTER TABLE fact_reactors {{on_cluster}} ADD INDEX IF NOT EXISTS its_show show_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE fact_reactors {{on_cluster}} MATERIALIZE INDEX its_show;

ALTER TABLE fact_tip_changes {{on_cluster}} ADD INDEX IF NOT EXISTS its_show show_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE fact_tip_changes {{on_cluster}} MATERIALIZE INDEX its_show;

-- A roll-up that was made of exactly the events that are asked for is the answer. A row of before has no last position, so it is never taken for one.

ALTER TABLE rollup_shows {{on_cluster}} ADD COLUMN IF NOT EXISTS closing_viewer_count UInt64 COMMENT 'Persons with a session open now, or just before the end' AFTER viewer_count;

ALTER TABLE rollup_shows {{on_cluster}} ADD COLUMN IF NOT EXISTS last_position UInt64 COMMENT 'Place in the log of the last event that was known when this was computed' AFTER pending_tips;
