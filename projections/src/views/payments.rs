//! `read.payments`: one row a payment, as its own stream tells it. No sealed columns: a payment names pseudonyms only.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | payment_id | uuid, key | |
//! | purpose | text | TIP |
//! | show_id, tip_id | uuid? | what it is for |
//! | payer, payee | uuid | |
//! | amount, currency | numeric, text | requested |
//! | status | text | REQUESTED, CAPTURED, DECLINED |
//! | is_applied | boolean | what it was for knows how it ended |
//! | provider, provider_ref | text? | from the capture on |
//! | captured_amount | numeric? | in `currency` |
//! | decline_reason | text? | DECLINED, EXPIRED, CANCELLED |
//! | requested_at | timestamptz | (requested_at, payment_id) is the keyset |
//! | captured_at, declined_at, applied_at | timestamptz? | |
//! | sequence | bigint | revision of the payment's last event |

/// The tables of one generation.
const DDL: &str = "
CREATE TABLE payments (
    payment_id      uuid        PRIMARY KEY,
    purpose         text        NOT NULL CHECK (purpose IN ('TIP')),
    show_id         uuid,
    tip_id          uuid,
    payer           uuid        NOT NULL,
    payee           uuid        NOT NULL,
    amount          numeric     NOT NULL,
    currency        text        NOT NULL,
    status          text        NOT NULL CHECK (status IN ('REQUESTED', 'CAPTURED', 'DECLINED')),
    is_applied      boolean     NOT NULL,
    provider        text,
    provider_ref    text,
    captured_amount numeric,
    decline_reason  text        CHECK (decline_reason IN ('DECLINED', 'EXPIRED', 'CANCELLED')),
    requested_at    timestamptz NOT NULL,
    captured_at     timestamptz,
    declined_at     timestamptz,
    applied_at      timestamptz,
    sequence        bigint      NOT NULL
);
CREATE INDEX payments_by_payee ON payments (payee, requested_at, payment_id);
CREATE INDEX payments_by_payer ON payments (payer, requested_at, payment_id);
CREATE INDEX payments_of_show ON payments (show_id, requested_at, payment_id);
CREATE INDEX payments_unfinished ON payments (requested_at) WHERE NOT is_applied;
";
