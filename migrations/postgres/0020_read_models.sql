-- Book-keeping of the read models. Their rows live in a schema of their own per generation,
-- `<view>_v<version>_g<generation>`, which the projections create, fill and drop; nothing but this is a migration.
--
-- Readers use the plain SQL views of schema `read` (read.streams, read.viewers, ...), which the swap points to the
-- generation that is served, and `read.positions` for how far each of them is.
CREATE SCHEMA IF NOT EXISTS read;

-- One row for each generation: the checkpoint of its rows, committed with them.
CREATE TABLE IF NOT EXISTS read.views (
    view        text        NOT NULL,
    version     integer     NOT NULL,
    generation  integer     NOT NULL,
    -- commit position in the log up to which the rows are complete; NULL: nothing applied yet
    position    bigint,
    -- grows with each instance that takes the lead: the fence against one that thinks it still leads
    epoch       bigint      NOT NULL DEFAULT 0,
    status      text        NOT NULL
                CHECK (status IN ('NEW', 'RUNNING', 'REBUILDING', 'HALTED', 'RETIRED')),
    -- why it is HALTED; names events and positions, never a person
    detail      text,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (view, version, generation)
);

-- Which generation is served. The swap is one row here.
CREATE TABLE IF NOT EXISTS read.active (
    view        text        PRIMARY KEY,
    version     integer     NOT NULL,
    generation  integer     NOT NULL,
    swapped_at  timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (view, version, generation) REFERENCES read.views (view, version, generation)
);

-- How far the served generations are: what a query with `Tally-Min-Position` waits on.
CREATE OR REPLACE VIEW read.positions AS
SELECT a.view, a.version, a.generation, v.position, v.status, v.detail, v.updated_at
FROM read.active a
JOIN read.views v USING (view, version, generation);
