//! `read.tips`: one row a tip; `read.tip_totals`: the leaderboard, one row for each person who tipped in a show.
//!
//! `read.tips`
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | tip_id | uuid, key | |
//! | payment_id, show_id, person | uuid | |
//! | identity | jsonb? | `Sealed`, field `tipper` of event `event_id`; NULL if erased before the capture |
//! | message | jsonb? | `Sealed`, field `message` of event `event_id` |
//! | event_id | uuid | TipRequested, from the capture on TipCaptured |
//! | amount, currency | numeric, text | |
//! | status | text | PENDING, CAPTURED, DECLINED |
//! | decline_reason | text? | DECLINED, EXPIRED, CANCELLED |
//! | requested_at | timestamptz | |
//! | captured_at, declined_at | timestamptz? | |
//! | sequence | bigint | revision of the tip's last event: (show_id, sequence) is the keyset |
//!
//! `read.tip_totals`: captured tips only.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | show_id, person | uuid, key | |
//! | identity | jsonb? | `Sealed`, field `tipper` of event `event_id`: that of the last captured tip |
//! | event_id | uuid | TipCaptured |
//! | total, currency | numeric, text | |
//! | tips_count | bigint | |
//! | last_tip_at | timestamptz | |
//! | sequence | bigint | revision of the capture that made the total: who reached a total first stands higher; order by total descending, sequence ascending |

/// The tables of one generation.
const DDL: &str = "
CREATE TABLE tips (
    tip_id         uuid        PRIMARY KEY,
    payment_id     uuid        NOT NULL,
    show_id        uuid        NOT NULL,
    person         uuid        NOT NULL,
    identity       jsonb,
    message        jsonb,
    event_id       uuid        NOT NULL,
    amount         numeric     NOT NULL,
    currency       text        NOT NULL,
    status         text        NOT NULL CHECK (status IN ('PENDING', 'CAPTURED', 'DECLINED')),
    decline_reason text        CHECK (decline_reason IN ('DECLINED', 'EXPIRED', 'CANCELLED')),
    requested_at   timestamptz NOT NULL,
    captured_at    timestamptz,
    declined_at    timestamptz,
    sequence       bigint      NOT NULL
);
CREATE UNIQUE INDEX tips_of_show ON tips (show_id, sequence);
CREATE INDEX tips_by_person ON tips (person, show_id);
CREATE INDEX tips_by_payment ON tips (payment_id);

CREATE TABLE tip_totals (
    show_id     uuid        NOT NULL,
    person      uuid        NOT NULL,
    identity    jsonb,
    event_id    uuid        NOT NULL,
    total       numeric     NOT NULL,
    currency    text        NOT NULL,
    tips_count  bigint      NOT NULL,
    last_tip_at timestamptz NOT NULL,
    sequence    bigint      NOT NULL,
    PRIMARY KEY (show_id, person)
) WITH (fillfactor = 80);
CREATE INDEX tip_totals_leaders ON tip_totals (show_id, total DESC, sequence);
";
