//! `read.viewers`: the Stream Viewers collection, one row a session; `read.persons`: what the sessions of a
//! person in a show add up to.
//!
//! `read.viewers`
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | session_id | uuid, key | |
//! | show_id, person | uuid | |
//! | identity | jsonb | `Sealed`, field `viewer` of event `event_id` |
//! | event_id | uuid | the ViewerJoined |
//! | device | uuid? | pseudonym; NULL is a device too |
//! | device_type | text? | MOBILE, DESKTOP, TABLET |
//! | country, city | text? | |
//! | rtc_uid | bigint | in the video channel |
//! | basis | text | PUBLIC, ENTITLED, STAFF |
//! | join_time | timestamptz | |
//! | leave_time | timestamptz? | NULL: open |
//! | leave_reason | text? | LEFT, UNSEEN, SHOW_ENDED |
//! | sequence | bigint | revision of the join: (show_id, sequence) is the keyset |
//!
//! `read.persons`: everybody who watched, wrote, reacted or tipped; viewers are those with `sessions > 0`.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | show_id, person | uuid, key | |
//! | identity | jsonb? | the last `Sealed` identity seen: field `identity_field` of event `event_id` |
//! | identity_field | text? | viewer, author, tipper |
//! | event_id | uuid? | |
//! | sessions | bigint | begun |
//! | first_joined_at | timestamptz? | of the first session |
//! | last_left_at | timestamptz? | the latest `leave_time` so far |
//! | device_type, country, city | text? | as in the first session |
//! | watched_ms | bigint | see below |
//! | open_since | timestamptz? | the earliest join among the open sessions; NULL: none is open |
//! | messages_count | bigint | of type MESSAGE, shown |
//! | tips_count | bigint | captured |
//! | total_tipped | numeric | captured, in the show's currency |
//! | reacted | boolean | |
//! | sequence | bigint | revision of the first event that names the person in this show: (show_id, sequence, person) is the keyset |
//!
//! Watch time counts a moment once however many devices watch: from `open_since` on every moment is covered, before
//! it the closed sessions cover `watched_ms`. So at any time T not before the last event, exactly,
//! `watched_ms + (T - open_since)`, without the second term where nothing is open.

/// The tables of one generation.
const DDL: &str = "
CREATE TABLE viewers (
    session_id   uuid        PRIMARY KEY,
    show_id      uuid        NOT NULL,
    person       uuid        NOT NULL,
    identity     jsonb       NOT NULL,
    event_id     uuid        NOT NULL,
    device       uuid,
    device_type  text        CHECK (device_type IN ('MOBILE', 'DESKTOP', 'TABLET')),
    country      text,
    city         text,
    rtc_uid      bigint      NOT NULL,
    basis        text        NOT NULL CHECK (basis IN ('PUBLIC', 'ENTITLED', 'STAFF')),
    join_time    timestamptz NOT NULL,
    leave_time   timestamptz,
    leave_reason text        CHECK (leave_reason IN ('LEFT', 'UNSEEN', 'SHOW_ENDED')),
    sequence     bigint      NOT NULL,
    CHECK (leave_time >= join_time),
    CHECK ((leave_time IS NULL) = (leave_reason IS NULL))
);
CREATE UNIQUE INDEX viewers_of_show ON viewers (show_id, sequence);
CREATE INDEX viewers_of_person ON viewers (person, show_id);
CREATE INDEX viewers_open ON viewers (show_id) WHERE leave_time IS NULL;

CREATE TABLE persons (
    show_id         uuid        NOT NULL,
    person          uuid        NOT NULL,
    identity        jsonb,
    identity_field  text        CHECK (identity_field IN ('viewer', 'author', 'tipper')),
    event_id        uuid,
    sessions        bigint      NOT NULL,
    first_joined_at timestamptz,
    last_left_at    timestamptz,
    device_type     text,
    country         text,
    city            text,
    watched_ms      bigint      NOT NULL,
    open_since      timestamptz,
    messages_count  bigint      NOT NULL,
    tips_count      bigint      NOT NULL,
    total_tipped    numeric     NOT NULL,
    reacted         boolean     NOT NULL,
    sequence        bigint      NOT NULL,
    PRIMARY KEY (show_id, person)
) WITH (fillfactor = 80);
CREATE INDEX persons_of_show ON persons (show_id, sequence, person);
CREATE INDEX persons_by_person ON persons (person);
";

mod persons;
mod sessions;

use std::sync::Arc;

use async_trait::async_trait;
use platform::event_log::Prefixes;

use self::sessions::Sessions;
use super::{SHOWS, plain_option};
use crate::framework::rows::Bulk;
use crate::framework::{Change, Failure, Read, View, ViewTable, Work, of_shows, signed};

/// The view `viewers`.
pub(super) struct Viewers;

impl View for Viewers {
    fn name(&self) -> &'static str {
        "viewers"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wanted(&self) -> Prefixes {
        SHOWS
    }

    fn tables(&self) -> &'static [ViewTable] {
        &[
            ViewTable { name: "viewers", key: "session_id" },
            ViewTable { name: "persons", key: "show_id, person" },
        ]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    fn prepare(&self, batch: Vec<Arc<Read>>) -> Result<Box<dyn Change>, Failure> {
        Ok(Box::new(Both { sessions: Sessions::of(&batch)?, persons: persons::added(&batch)? }))
    }
}

/// What a batch does to sessions, and to persons.
struct Both {
    sessions: Sessions,
    persons: Bulk,
}

#[async_trait]
impl Change for Both {
    async fn apply(self: Box<Self>, work: &mut Work<'_>) -> Result<(), Failure> {
        let changed = self.sessions.apply(work).await?;
        self.persons.run(work).await?;
        persons::measure(work, changed).await
    }
}
