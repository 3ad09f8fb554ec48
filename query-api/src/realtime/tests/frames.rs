//! Events as frames: each event's, the chain of them, and what a resume gives of it.

use bytes::Bytes;
use platform::event_log::memory::MemoryLog;
use platform::vault::Vault;
use proptest::prelude::*;
use schemas::Revision;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::realtime::NoSeeds;
use crate::realtime::frame::FrameType;
use crate::realtime::history::History;
use crate::realtime::state::{Effect, effect};
use crate::realtime::wire;
use crate::testkit::{AT, Happening, Show, vault};

fn json_of(wire: Bytes) -> Value {
    let payload = wire::payloads(wire).next().unwrap();
    serde_json::from_slice(&payload).unwrap()
}

fn history(log: &MemoryLog, vault: &Vault) -> History {
    History { log: Arc::new(log.clone()), vault: vault.clone(), seeds: Arc::new(NoSeeds) }
}

/// What the frame of a happening says, without ids that tests do not choose; `None`: no frame.
fn expected(show: &Show, what: &Happening) -> Option<(FrameType, Value)> {
    let status = |status: &str| {
        let data = json!({ "streamId": show.id, "status": status, "timestamp": AT });
        Some((FrameType::StreamStatusUpdate, data))
    };
    match what {
        Happening::Created => status("SCHEDULED"),
        Happening::Started => status("LIVE"),
        Happening::Ended => status("ENDED"),
        Happening::Cancelled => status("CANCELLED"),
        Happening::Posted(sub, text) => {
            let data = json!({
                "userId": sub, "username": format!("{sub} the name"), "message": text, "timestamp": AT,
                "isSubscriber": true, "role": "VIEWER",
            });
            Some((FrameType::NewMessage, data))
        }
        Happening::Reactions(count) => {
            let data = json!({ "streamId": show.id, "counts": { "HEART": count }, "timestamp": AT });
            Some((FrameType::NewReactions, data))
        }
        Happening::TipCaptured(sub, _) => {
            let data = json!({
                "userId": sub, "username": format!("{sub} the name"), "amount": 5.0, "currency": "USD",
                "message": "Great content!", "timestamp": AT,
            });
            Some((FrameType::NewTip, data))
        }
        Happening::Revised { .. }
        | Happening::Settings { .. }
        | Happening::Joined(_)
        | Happening::Left(_)
        | Happening::TipRequested(..)
        | Happening::TipDeclined(_) => None,
    }
}

#[tokio::test]
async fn every_event_has_its_frame_or_none() {
    let (log, vault) = (MemoryLog::new(1), vault());
    let (show, history) = (Show::unborn(&log, &vault), history(&log, &vault));
    for what in Happening::each() {
        let expected = expected(&show, &what);
        let envelope = show.envelope(7, what.clone()).await;
        assert_eq!(effect(&envelope.event) == Effect::Frame, expected.is_some(), "{what:?}");
        let wire = history.frame(show.id, &envelope, Some(5)).await.unwrap();
        let Some((kind, data)) = expected else {
            assert_eq!(wire, None, "{what:?}");
            continue;
        };
        let wire = wire.unwrap();
        if kind == FrameType::NewTip {
            assert!(
                String::from_utf8_lossy(&wire).contains(r#""amount":5.00,"#),
                "amounts keep their digits"
            );
        }
        let mut frame = json_of(wire);
        for id in ["messageId", "tipId"] {
            frame["data"].as_object_mut().unwrap().remove(id);
        }
        assert_eq!(frame, json!({ "type": kind.name(), "sequence": 7, "previous": 5, "data": data }));
    }
}

#[tokio::test]
async fn who_was_erased_has_neither_words_nor_name() {
    let (log, vault) = (MemoryLog::new(1), vault());
    let show = Show::live(&log, &vault).await;
    show.message("alice", "secret").await;
    show.let_happen(Happening::TipCaptured("alice", 500)).await;
    show.message("ben", "open").await;
    vault.erase(crate::testkit::person("alice")).await.unwrap();
    let page = history(&log, &vault).missed(show.id, 1, Some(1)).await.unwrap();
    let frames: Vec<Value> = page.frames.into_iter().map(|(_, wire)| json_of(wire)).collect();
    for frame in &frames[..2] {
        for name in ["message", "userId", "username"] {
            assert_eq!(frame["data"][name], Value::Null, "{name} of {}", frame["type"]);
        }
    }
    assert_eq!(frames[1]["data"]["amount"], 5.0);
    assert_eq!(frames[2]["data"]["message"], "open");
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = (1..Happening::each().len()).prop_map(|index| Happening::each().remove(index));
    proptest::collection::vec(one, 0..40)
}

/// Everything after `sequence`, as a client that resumes gets it.
async fn resumed(history: &History, show: &Show, sequence: Revision) -> Vec<(Revision, Bytes)> {
    let mut previous = history.frame_at_or_before(show.id, sequence).await.unwrap();
    let (mut after, mut frames) = (sequence, Vec::new());
    loop {
        let page = history.missed(show.id, after, previous).await.unwrap();
        previous = page.previous;
        frames.extend(page.frames);
        after = page.read_to;
        if page.is_last {
            return frames;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Each frame names the one before it, none is left out, and a resume at any sequence gives exactly the rest.
    #[test]
    fn frames_are_a_chain_that_can_be_entered_anywhere(happenings in happenings()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (log, vault) = (MemoryLog::new(1), vault());
            let (show, history) = (Show::created(&log, &vault).await, history(&log, &vault));
            let mut making_frames = Vec::new();
            for what in happenings {
                let makes_frame = expected(&show, &what).is_some();
                let revision = show.let_happen(what).await;
                if makes_frame {
                    making_frames.push(revision);
                }
            }
            let all = resumed(&history, &show, 0).await;
            let sequences: Vec<Revision> = all.iter().map(|(sequence, _)| *sequence).collect();
            prop_assert_eq!(&sequences, &making_frames);
            let mut before = 0;
            for (sequence, wire) in &all {
                let frame = json_of(wire.clone());
                prop_assert_eq!(frame["sequence"].as_u64(), Some(*sequence));
                prop_assert_eq!(frame["previous"].as_u64(), Some(before));
                before = *sequence;
            }
            let last = history.last(show.id).await.unwrap();
            for sequence in 0..=last {
                let rest: Vec<_> = all.iter().filter(|(frame, _)| *frame > sequence).cloned().collect();
                prop_assert_eq!(resumed(&history, &show, sequence).await, rest);
            }
            let state = history.state(show.id).await.unwrap();
            prop_assert_eq!((state.revision, state.last_frame), (last, Some(before)));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_long_history_is_read_in_pages_without_gap_or_repeat() {
    let (log, vault) = (MemoryLog::new(1), vault());
    let (show, history) = (Show::live(&log, &vault).await, history(&log, &vault));
    for index in 0..700 {
        let what = if index % 3 == 0 { Happening::Reactions(1) } else { Happening::Joined("anna") };
        show.let_happen(what).await;
    }
    let all = resumed(&history, &show, 0).await;
    assert_eq!(all.len(), 1 + 234);
    assert_eq!(
        resumed(&history, &show, 350).await,
        all.iter().filter(|(at, _)| *at > 350).cloned().collect::<Vec<_>>()
    );
    assert_eq!(history.state(show.id).await.unwrap().audience.viewer_count, 466);
}
