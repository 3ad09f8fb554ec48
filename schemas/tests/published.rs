//! The records of the topic: one frozen sample of every event in every published version, with its JSON Schema.
//!
//! `TALLY_WRITE_CORPUS=1 cargo test -p schemas` writes samples that are missing, never what is there, and the schemas.

#![allow(clippy::unwrap_used, reason = "a sample that cannot be made fails the test")]

#[path = "corpus/samples.rs"]
mod samples;

use schemas::published::{self, Published, PublishedEvent, Record, Watermark};
use schemas::{EventId, Position, Timestamp};
use serde_json::Value;
use std::{env, fs, path::PathBuf};
use uuid::Uuid;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("published").join(name)
}

fn writing() -> bool {
    env::var_os("TALLY_WRITE_CORPUS").is_some()
}

fn record(event: PublishedEvent) -> Record {
    let of_payment = event.stored().0.starts_with("Payment");
    let stream = if of_payment { "payment-00000000-0000-0000-0000-000000000029" } else { SHOW };
    Record::Event(Published {
        event_id: EventId(Uuid::from_u128(50)),
        stream: stream.to_owned(),
        revision: 7,
        position: Position(u64::MAX - 1),
        previous: Some(Position(9_007_199_254_740_993)),
        occurred_at: Timestamp::from_millis(1_751_054_400_500),
        event,
    })
}

const SHOW: &str = "show-00000000-0000-0000-0000-000000000001";

fn samples() -> Vec<(String, Record)> {
    let mut all: Vec<_> = samples::all()
        .iter()
        .map(PublishedEvent::of)
        .map(|event| {
            let (name, version) = event.stored();
            (format!("{name}.v{version}"), record(event))
        })
        .collect();
    let time = Timestamp::from_millis(1_751_054_400_500);
    let watermark = Watermark { partition: 3, position: Position(12), previous: None, time };
    all.push(("watermark.v1".to_owned(), Record::Watermark(watermark)));
    all
}

#[test]
fn every_record_has_a_frozen_sample() {
    let samples = samples();
    for (name, version, _) in PublishedEvent::catalogue() {
        assert!(samples.iter().any(|(stem, _)| *stem == format!("{name}.v{version}")), "no sample of {name}");
    }
    for (stem, sample) in samples {
        let file = folder("corpus").join(format!("{stem}.json"));
        let encoded: Value = serde_json::from_slice(&sample.encode().unwrap()).unwrap();
        if writing() && !file.exists() {
            fs::create_dir_all(folder("corpus")).unwrap();
            fs::write(&file, serde_json::to_string_pretty(&encoded).unwrap() + "\n").unwrap();
        }
        let frozen = fs::read(&file).unwrap_or_else(|_| panic!("no file for {stem}"));
        assert_eq!(encoded, serde_json::from_slice::<Value>(&frozen).unwrap(), "{stem}: needs a new version");
        assert_eq!(Record::decode(&frozen).unwrap(), sample, "{stem}");
    }
}

#[test]
fn nothing_sealed_and_no_text_of_a_person_leaves_the_log() {
    const NEVER: [&str; 9] = [
        "identity",
        "ciphertext",
        "keyId",
        "text",
        "message",
        "digest",
        "clientMessageId",
        "description",
        "providerRef",
    ];
    for (stem, sample) in samples() {
        let encoded: Value = serde_json::from_slice(&sample.encode().unwrap()).unwrap();
        let mut left = vec![&encoded];
        while let Some(value) = left.pop() {
            if let Value::Object(fields) = value {
                for (name, field) in fields {
                    assert!(!NEVER.contains(&name.as_str()), "{stem} gives away `{name}`");
                    left.push(field);
                }
            }
        }
    }
}

#[test]
fn json_schemas_are_published() {
    let mut schemas: Vec<_> = PublishedEvent::catalogue()
        .into_iter()
        .map(|(name, version, schema)| (format!("{name}.v{version}"), schema))
        .collect();
    schemas.push(("envelope".to_owned(), published::envelope_schema()));
    for (stem, schema) in schemas {
        let file = folder("json").join(format!("{stem}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if writing() {
            fs::create_dir_all(folder("json")).unwrap();
            fs::write(&file, &text).unwrap();
        }
        let known = fs::read_to_string(&file).unwrap_or_default();
        assert!(known == text, "{}: run with TALLY_WRITE_CORPUS=1", file.display());
    }
}

#[test]
fn what_no_version_can_read_is_told() {
    let sample = samples().remove(1).1;
    let good: Value = serde_json::from_slice(&sample.encode().unwrap()).unwrap();
    let told = |field: &str, value: Value| {
        let mut bad = good.clone();
        bad[field] = value;
        Record::decode(&serde_json::to_vec(&bad).unwrap()).unwrap_err().to_string()
    };
    assert!(told("type", "tally.ShowExploded.v1".into()).contains("unknown event type ShowExploded"));
    assert!(told("type", "tally.ShowStarted.v9".into()).contains("unknown version 9"));
    assert!(told("type", "else".into()).contains("`type`"));
    assert!(told("specversion", "0.3".into()).contains("`specversion`"));
    assert!(told("source", "urn:other".into()).contains("`source`"));
    assert!(told("id", "x".into()).contains("`id`"));
    assert!(told("data", Value::Null).contains("`data`"));
    assert!(told("data", serde_json::json!({})).contains("cannot be read"));
    assert!(told("position", 12.into()).contains("no record"));
    assert!(Record::decode(b"no json").is_err());
}

#[test]
fn the_place_of_a_damaged_record_is_told_where_it_came_from_the_log() {
    let (_, sample) = samples().swap_remove(0);
    let mut damaged: Value = serde_json::from_slice(&sample.encode().unwrap()).unwrap();
    damaged["data"] = Value::from(7);
    damaged["id"] = Value::from(false);
    let bytes = serde_json::to_vec(&damaged).unwrap();
    assert!(Record::decode(&bytes).is_err());
    assert_eq!(Record::place(&bytes), Some((sample.position(), sample.previous())));
    damaged.as_object_mut().unwrap().remove("previous");
    assert_eq!(
        Record::place(&serde_json::to_vec(&damaged).unwrap()),
        Some((sample.position(), None)),
        "the first of its partition"
    );
    damaged["source"] = Value::from("urn:somebody:else");
    assert_eq!(Record::place(&serde_json::to_vec(&damaged).unwrap()), None);
    assert_eq!(Record::place(b"no JSON"), None);
}
