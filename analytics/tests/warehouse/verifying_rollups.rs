//! Whatever is changed in a roll-up is found: each column that figures are made of.

use super::audience::{Audience, SHOW};
use super::engine::Engine;
use super::verifying::{Scene, of};
use analytics::figures::rollup;

const SHOWS: &str = "rollup_shows";
const VIEWERS: &str = "rollup_show_viewers";
const QUARTERS: &str = "rollup_show_quarters";
const EACH: &str = "each one's figures";
const EACH_QUARTER: &str = "each quarter's figures";

/// A table, what is set in the rows of a show, and which figures that is.
const CHANGES: [(&str, &str, &[&str]); 24] = [
    (VIEWERS, "country = 'ZZ'", &["each one's country"]),
    (VIEWERS, "city = 'Nowhere'", &["each one's city"]),
    (VIEWERS, "device_type = 'ABACUS'", &["each one's device"]),
    (VIEWERS, "messages = messages * 2", &["messages", EACH]),
    (VIEWERS, "tips = tips * 2", &["tips", EACH]),
    (VIEWERS, "tips_count = tips_count * 2", &["tips captured", EACH]),
    (VIEWERS, "watch_ms = watch_ms + 1", &["watched in ms", EACH]),
    (VIEWERS, "sessions = sessions + 1", &["views", EACH]),
    (VIEWERS, "first_joined_at = addSeconds(first_joined_at, 1)", &["sum of first joins", EACH]),
    (VIEWERS, "first_position = first_position + 1", &["sum of first positions", EACH]),
    (VIEWERS, "started_at = addSeconds(started_at, 1)", &[EACH]),
    // as if two viewers, or two quarters of an hour, were taken for each other
    (VIEWERS, "watch_ms = watch_ms + if(person = {first}, 1, if(person = {last}, -1, 0))", &[EACH]),
    (
        QUARTERS,
        "watch_ms = watch_ms + if(quarter = {first}, 1, if(quarter = {last}, -1, 0))",
        &[EACH_QUARTER],
    ),
    (QUARTERS, "tips = tips + 1", &["tips", EACH_QUARTER]),
    (QUARTERS, "on_air_ms = on_air_ms + 1", &["duration in ms", EACH_QUARTER]),
    (SHOWS, "closing_viewer_count = closing_viewer_count + 1", &["closing viewers"]),
    (SHOWS, "last_position = last_position + 1", &["last position"]),
    (SHOWS, "title = 'another'", &["title"]),
    (SHOWS, "category = 'another'", &["category"]),
    (SHOWS, "as_of = addSeconds(as_of, 1)", &["counted until"]),
    (SHOWS, "creator = generateUUIDv4()", &["creator"]),
    (SHOWS, "currency = 'XXX'", &["currency"]),
    (SHOWS, "reactions = reactions + 1", &["reactions"]),
    (SHOWS, "engaged = engaged + 1", &["engaged"]),
];

#[tokio::test]
async fn every_column_of_a_roll_up_that_is_changed_is_found_and_named() {
    let engine = Engine::start().await;
    let scene = Scene::new(&engine, &Audience::new().shows).await;
    assert_eq!(scene.differences().await, of(&[]));
    for (table, set, figures) in CHANGES {
        let key = if table == VIEWERS { "person" } else { "quarter" };
        let edge = |end: &str| format!("(SELECT {end}({key}) FROM {table} WHERE show_id = '{SHOW}')");
        let set = set.replace("{first}", &edge("min")).replace("{last}", &edge("max"));
        scene.database.run(&format!("ALTER TABLE {table} UPDATE {set} WHERE show_id = '{SHOW}'")).await;
        let found: Vec<_> = figures.iter().map(|figure| (table, *figure)).collect();
        assert_eq!(scene.differences().await, of(&found), "{table}: {set}");
        rollup::refresh(&scene.database.client, &[SHOW]).await.unwrap();
    }
    assert_eq!(scene.differences().await, of(&[]), "all of it was made anew");
    scene.database.drop().await;
}

/// Rows of before the migration 0005 serve no answer that needs what they do not know.
#[tokio::test]
async fn a_roll_up_of_before_does_not_know_its_last_position_and_is_not_blamed() {
    let engine = Engine::start().await;
    let scene = Scene::new(&engine, &Audience::new().shows).await;
    let before = "ALTER TABLE rollup_shows UPDATE last_position = 0, closing_viewer_count = 0 WHERE 1";
    scene.database.run(before).await;
    assert_eq!(scene.differences().await, of(&[]));
    scene.database.drop().await;
}
