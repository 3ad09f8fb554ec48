-- Presence: the last signs of life of open sessions. No read model: what it knows is lost with it, and then every
-- open session gets one grace period. Its rows follow the log (joins, leaves, ends); heartbeats only touch them.

CREATE SCHEMA IF NOT EXISTS presence;

CREATE TABLE IF NOT EXISTS presence.sessions (
    session_id uuid PRIMARY KEY,
    show_id    uuid        NOT NULL,
    person     uuid        NOT NULL,
    last_seen  timestamptz NOT NULL
);

CREATE INDEX IF NOT EXISTS sessions_show_person ON presence.sessions (show_id, person);
CREATE INDEX IF NOT EXISTS sessions_last_seen ON presence.sessions (last_seen);

-- Up to where the log's joins and leaves are in the table above.
CREATE TABLE IF NOT EXISTS presence.progress (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint  NOT NULL
);
