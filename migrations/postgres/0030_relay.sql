-- The relay: up to where the log is in the topic. One row for each topic.
CREATE SCHEMA IF NOT EXISTS relay;

CREATE TABLE IF NOT EXISTS relay.checkpoints (
    topic       text        PRIMARY KEY,
    -- grows with each instance that takes the lead: the fence against one that thinks it still leads
    epoch       bigint      NOT NULL DEFAULT 0,
    -- commit position in the log up to which every event is acknowledged by Kafka; NULL: nothing yet
    position    bigint,
    -- for each partition, the position of its last acknowledged record; NULL: it has none yet
    previous    bigint[]    NOT NULL DEFAULT '{}',
    -- HALTED: it stands still, and detail says why; names events and positions, never a person
    status      text        NOT NULL DEFAULT 'RUNNING' CHECK (status IN ('RUNNING', 'HALTED')),
    detail      text,
    updated_at  timestamptz NOT NULL DEFAULT now()
);
