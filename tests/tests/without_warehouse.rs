//! A machine without Kafka and ClickHouse: everything but the figures goes on; once they are installed, figures are there of all that happened meanwhile.
#![allow(clippy::unwrap_used, reason = "a stage that cannot be set fails the test")]

use embedded::fetched;
use platform::http::auth::Role;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use tally_tests::Server;
use tally_tests::server::{data_dir, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_show_goes_on_and_its_figures_follow() -> anyhow::Result<()> {
    let (data, nothing) = (data_dir(), tempfile::tempdir()?);
    let mut settings = settings(data.path());
    settings.insert("TALLY_DATA__WAREHOUSE".into(), "true".into());
    settings.insert("TALLY_CACHE".into(), nothing.path().to_str().unwrap().to_owned());
    settings.insert("TALLY_TELEMETRY__LOG".into(), "off".into());
    let server = Server::start("up", &settings).await?;
    server.ready().await?;

    let creator = server.client("creator", &[Role::Creator]);
    let viewer = server.client("viewer", &[Role::Viewer]);
    let created = creator.post("/streams", json!({ "title": "No figures today" })).await?.expect(201);
    let show = format!("/streams/{}", created.text_of("streamId"));
    creator.post(&format!("{show}/start"), Value::Null).await?.expect(200);
    viewer.post(&format!("{show}/join"), Value::Null).await?.expect(200);
    let said = viewer.post(&format!("{show}/chat"), json!({ "message": "Hello" })).await?.expect(201);
    creator.get_reached(&show, &said).await?.expect(200);
    creator.get(&format!("{show}/analytics")).await?.problem(503, "warehouse_unavailable");

    for entry in fetched("").read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        if ["kafka-", "chdb-"].iter().any(|server| name.to_string_lossy().starts_with(server)) {
            symlink(entry.path(), nothing.path().join(name))?;
        }
    }
    let figures = creator.get_figures(&format!("{show}/analytics"), &said).await?.expect(200);
    assert_eq!((&figures.body["messagesCount"], &figures.body["uniqueViewers"]), (&json!(1), &json!(1)));
    server.stop().await
}
