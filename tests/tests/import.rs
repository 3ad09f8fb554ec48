//! Chats of real shows, played again over the public API of a real server.
#![allow(clippy::unwrap_used)]

use platform::http::auth::Role;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tally_tests::server::{binary, data_dir, settings};
use tally_tests::{Api, Server, Settings};
use tokio::process::Command;

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/chat_exports").join(name)
}

/// A server, and what its own command line works with.
struct Stage {
    server: Server,
    settings: Settings,
    viewer: Api,
    _data: tempfile::TempDir,
}

impl Stage {
    async fn up() -> Self {
        let data = data_dir();
        let mut settings = settings(data.path());
        // a text may come again after two seconds, so that no test waits for half a minute
        settings.insert("TALLY_LIMITS__CHAT_WINDOW_SECONDS".to_owned(), "2".to_owned());
        let server = Server::start("up", &settings).await.unwrap();
        server.ready().await.unwrap();
        let viewer = server.client("somebody", &[Role::Viewer]);
        Self { server, settings, viewer, _data: data }
    }

    fn import(&self, file: &str, more: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("import").arg(vector(file)).args(["--url", &self.server.url]).args(more);
        command.envs(&self.settings).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn told(&self, file: &str, more: &[&str]) -> String {
        let output = self.import(file, more).output().await.unwrap();
        let (told, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{told}\n{error}");
        told.into_owned()
    }

    /// The items of a list, as soon as there are so many.
    async fn items(&self, path: &str, least: usize) -> Vec<Value> {
        loop {
            let answer = self.viewer.get(path).await.unwrap().expect(200);
            let items = answer.body["items"].as_array().unwrap().clone();
            if items.len() >= least {
                return items;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn show_of(told: &str) -> String {
    let line = told.lines().find_map(|line| line.strip_prefix("show ")).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

fn texts(items: &[Value]) -> Vec<&str> {
    let mut items: Vec<&Value> = items.iter().collect();
    items.sort_by_key(|item| item["sequence"].as_u64());
    items.iter().map(|item| item["message"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twitch_chat_becomes_a_show_once() {
    let stage = Stage::up().await;
    let told = stage.told("twitch_downloader.json", &["--speed", "max"]).await;
    for line in [
        "Lighthouse speedruns, blind (twitch), 0:01:30",
        "people             9",
        "messages          11  of which 2 answer another one",
        "tips               2  2.55 USD",
        "1  texts cut at 500 characters",
        "1  the same text of the same person within 30 seconds",
        "1  notice: sub",
        "1  the same entry again",
        "the server says: 11 messages, 2.55 USD in tips (0 under way), at most 9 viewers",
    ] {
        assert!(told.contains(line), "no \"{line}\" in\n{told}");
    }
    let show = show_of(&told);
    let document = stage.viewer.get(&format!("/streams/{show}")).await.unwrap().expect(200).body;
    assert_eq!(
        (&document["status"], &document["title"]),
        (&"ENDED".into(), &"Lighthouse speedruns, blind".into())
    );
    assert_eq!((&document["category"], &document["creatorId"]), (&"Tidewater".into(), &"twitch-4100".into()));
    let chat = stage.items(&format!("/streams/{show}/chat?limit=200"), 11).await;
    let chat: Vec<Value> = chat.into_iter().filter(|item| item["type"] == "MESSAGE").collect();
    let texts = texts(&chat);
    assert_eq!(texts[..3], ["Welcome in, everyone!", "hi from the coast", "wooo"]);
    assert_eq!(texts.iter().filter(|text| **text == "nice").count(), 2);
    let by_text = |text: &str| chat.iter().find(|item| item["message"] == text).unwrap();
    assert_eq!(by_text("@Quillfeather which coast?")["replyTo"], by_text("hi from the coast")["messageId"]);
    assert_eq!(by_text("hi from the coast")["username"], "Quillfeather");

    let again = stage.told("twitch_downloader.json", &["--speed", "max"]).await;
    assert!(again.contains(&format!("show {show}")) && again.contains("was imported before"), "{again}");
    let other =
        stage.told("twitch_downloader.json", &["--speed", "max", "--label", "2", "--title", "Again"]).await;
    assert_ne!(show_of(&other), show);
    stage.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_youtube_chat_keeps_its_payments_to_the_cent() {
    let stage = Stage::up().await;
    let told = stage.told("youtube.live_chat.json", &["--speed", "1000"]).await;
    for line in [
        "youtube (youtube), 0:00:15",
        "people            10",
        "messages           9  of which 1 answer another one",
        "tips               3  17.50 EUR",
        "not sent           1  payments of 1000 JPY: the show takes EUR; their words are messages",
        "1  gifted memberships",
        "17.50 EUR in tips",
    ] {
        assert!(told.contains(line), "no \"{line}\" in\n{told}");
    }
    let show = show_of(&told);
    let tips = stage.items(&format!("/streams/{show}/tips"), 3).await;
    let fox = tips.iter().find(|tip| tip["message"] == "A fox waving").unwrap();
    assert_eq!((fox["userId"].as_str(), fox["amount"].as_f64()), (Some("youtube-UCfay"), Some(5.0)));
    stage.server.stop().await.unwrap();
}

/// The same keys again: what was done is not done twice, and the rest follows. Whoever was there is there again, though their
/// sessions ended meanwhile, as they do when an import rests for longer than a session lasts.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on() {
    let stage = Stage::up().await;
    let mut first =
        stage.import("twitch_downloader.json", &["--speed", "10"]).stdout(Stdio::null()).spawn().unwrap();
    let live = stage.items("/streams?status=LIVE", 1).await;
    let show = live[0]["streamId"].as_str().unwrap();
    stage.items(&format!("/streams/{show}/chat"), 3).await;
    first.kill().await.unwrap();
    for person in ["twitch-501", "twitch-502", "twitch-503", "twitch-504"] {
        let person = stage.server.client(person, &[Role::Viewer]);
        person.post(&format!("/streams/{show}/leave"), json!({})).await.unwrap().expect(200);
    }
    let told = stage.told("twitch_downloader.json", &["--speed", "max"]).await;
    assert_eq!(show_of(&told), show);
    assert!(told.contains("the server says: 11 messages, 2.55 USD in tips"), "{told}");
    assert!(told.contains("at most 9 viewers"), "{told}");
    stage.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_dry_run_needs_no_server_and_a_foreign_file_is_refused() {
    let run = |file: PathBuf| {
        Command::new(binary()).arg("import").arg(file).arg("--dry-run").stdin(Stdio::null()).output()
    };
    let output = run(vector("youtube.live_chat.json")).await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("3 payments, 17.50 EUR"), "{told}");
    assert!(told.contains("1 payments, 1000 JPY"), "{told}");
    let output = run(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/user_agents.json")).await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is neither"), "{output:?}");
}
