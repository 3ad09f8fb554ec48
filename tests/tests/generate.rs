//! A generated history as the product serves it: read models fill, chats can be read, and figures are the events' own.
#![allow(clippy::unwrap_used)]

use platform::http::auth::Role;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use tally_tests::server::{binary, data_dir, settings};
use tally_tests::{Answer, Api, Server};

const OPTIONS: [&str; 8] = ["--events", "6000", "--months", "1", "--until", "2025-07-01", "--creators", "3"];

fn generate(data: &Path, more: &[&str]) -> Output {
    Command::new(binary()).arg("generate").args(OPTIONS).args(more).envs(settings(data)).output().unwrap()
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn after(api: &Api, path: &str, written: &Answer) -> Value {
    api.get_reached(path, written).await.unwrap().expect(200).body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_history_is_served_like_any_other() -> anyhow::Result<()> {
    let data = data_dir();
    let first = told(&generate(data.path(), &[]));
    assert!(first.contains(" events written, 0 were there"), "{first}");
    let again = told(&generate(data.path(), &[]));
    assert!(again.contains("\n0 events written, "), "{again}");
    let other = generate(data.path(), &["--seed", "2"]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("--into-existing"), "{other:?}");

    let server = Server::start("up", &settings(data.path())).await?;
    server.ready().await?;
    let beside = generate(data.path(), &[]);
    assert!(String::from_utf8_lossy(&beside.stderr).contains("stop it first"), "{beside:?}");
    let viewer = server.client("somebody", &[Role::Viewer]);
    let creator = server.client("a creator", &[Role::Creator]);
    let written = creator.post("/streams", json!({ "title": "now" })).await?.expect(201);
    let ended = after(&viewer, "/streams?status=ENDED&limit=200", &written).await;
    let ended = ended["items"].as_array().unwrap();
    let messages = |show: &&Value| show["streamStats"]["messagesCount"].as_u64().unwrap();
    let largest = ended.iter().max_by_key(messages).unwrap();
    let show = largest["streamId"].as_str().unwrap();
    assert!(messages(&largest) > 20, "{largest}");
    assert!(largest["creatorId"].as_str().unwrap().starts_with("gen-1-creator-"));

    let chat = after(&viewer, &format!("/streams/{show}/chat?limit=200"), &written).await;
    let items = chat["items"].as_array().unwrap().iter();
    let said: Vec<&Value> = items.filter(|item| item["type"] == "MESSAGE").collect();
    assert!(said.len() > 20, "{chat}");
    for item in &said {
        assert!(item["message"].as_str().is_some_and(|text| !text.is_empty()), "{item}");
        assert!(item["userId"].as_str().is_some_and(|sub| sub.starts_with("gen-1-")), "{item}");
    }
    let authors: BTreeSet<_> = said.iter().map(|item| item["username"].to_string()).collect();
    assert!(authors.len() > 3, "{authors:?}");
    // who was there can sign in, and is the same person
    let sub = said
        .iter()
        .map(|item| item["userId"].as_str().unwrap())
        .find(|sub| !sub.contains("creator"))
        .unwrap();
    let one_of_them = server.client(sub, &[Role::Viewer]);
    one_of_them.get(&format!("/streams/{show}")).await?.expect(200);
    let announced = after(&viewer, "/streams?status=SCHEDULED&limit=200", &written).await;
    assert!(announced["items"].as_array().unwrap().len() > 1, "some shows are still to come");
    server.stop().await
}

#[test]
fn a_dry_run_tells_what_there_would_be_and_writes_nothing() {
    let data = data_dir();
    let told = told(&generate(data.path(), &["--dry-run"]));
    for name in ["MessagePosted", "ViewerJoined", "PaymentApplied", "digest "] {
        assert!(told.contains(name), "{told}");
    }
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
}
