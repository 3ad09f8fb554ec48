//! `read.messages`: the Stream Messages collection, one row for each event that shows in the chat.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | show_id | uuid, key | |
//! | sequence | bigint, key | revision: (show_id, sequence) is the keyset |
//! | message_id | uuid, unique | MESSAGE: its id; TIP: the tip's id; REACTION and SYSTEM: the event's id |
//! | event_id | uuid | the event that the sealed columns were sealed for |
//! | type | text | MESSAGE, TIP, REACTION, SYSTEM |
//! | author | uuid? | pseudonym; MESSAGE and TIP |
//! | identity | jsonb? | `Sealed`: field `author` (MESSAGE) or `tipper` (TIP; NULL if erased before the capture) |
//! | text | jsonb? | `Sealed`: field `text` (MESSAGE) or `message` (TIP, where it has words) |
//! | tip_amount, tip_currency | numeric?, text? | TIP |
//! | reactions | jsonb? | REACTION: {type: count}, all that one node counted in about a second: one row for them all, as one event is one entry |
//! | reaction_type | text? | REACTION: the type, where `reactions` has only one |
//! | status | text? | SYSTEM: the status that the show went to: LIVE, ENDED, CANCELLED |
//! | sent_at | timestamptz | the `timestamp` |
//! | is_moderated, moderated_by | boolean, uuid? | |
//! | reply_to | uuid? | a message_id |
//! | client_message_id | text? | |
//! | role | text? | MESSAGE: HOST, MODERATOR, ADMIN, VIEWER |
//! | is_subscriber | boolean? | MESSAGE |

/// The tables of one generation.
const DDL: &str = "
CREATE TABLE messages (
    show_id           uuid        NOT NULL,
    sequence          bigint      NOT NULL,
    message_id        uuid        NOT NULL,
    event_id          uuid        NOT NULL,
    type              text        NOT NULL CHECK (type IN ('MESSAGE', 'TIP', 'REACTION', 'SYSTEM')),
    author            uuid,
    identity          jsonb,
    text              jsonb,
    tip_amount        numeric,
    tip_currency      text,
    reactions         jsonb,
    reaction_type     text,
    status            text        CHECK (status IN ('LIVE', 'ENDED', 'CANCELLED')),
    sent_at           timestamptz NOT NULL,
    is_moderated      boolean     NOT NULL DEFAULT false,
    moderated_by      uuid,
    reply_to          uuid,
    client_message_id text,
    role              text        CHECK (role IN ('HOST', 'MODERATOR', 'ADMIN', 'VIEWER')),
    is_subscriber     boolean,
    PRIMARY KEY (show_id, sequence)
);
CREATE UNIQUE INDEX messages_by_id ON messages (message_id);
CREATE INDEX messages_by_author ON messages (author, show_id, sequence) WHERE author IS NOT NULL;
";
