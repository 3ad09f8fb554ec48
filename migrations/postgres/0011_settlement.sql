-- The settler of payments: up to where in the log every tip that was promised is settled. A hint: without it the
-- settler reads the log from its start, and finds the same.

CREATE SCHEMA IF NOT EXISTS settlement;

CREATE TABLE IF NOT EXISTS settlement.progress (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint  NOT NULL
);
