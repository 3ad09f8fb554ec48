//! The frozen corpus: one stored sample of every event in every version. Files never change; new ones are added.
//!
//! `TALLY_WRITE_CORPUS=1 cargo test -p schemas` writes what is missing, never what is there, and the JSON Schemas.

#![allow(clippy::unwrap_used, reason = "a sample that cannot be made fails the test")]

#[path = "corpus/samples.rs"]
mod samples;

use schemas::Event;
use std::{env, fs, path::PathBuf};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn writing() -> bool {
    env::var_os("TALLY_WRITE_CORPUS").is_some()
}

#[test]
fn every_event_has_a_frozen_sample_of_its_current_version() {
    let samples = samples::all();
    for (name, version, _) in Event::all() {
        let sample = samples.iter().find(|event| event.stored().0 == name);
        let sample = sample.unwrap_or_else(|| panic!("tests/corpus/samples.rs has no {name}"));
        let file = folder("corpus").join(format!("{name}.v{version}.json"));
        let encoded: serde_json::Value = serde_json::from_slice(&sample.encode().unwrap()).unwrap();
        if writing() && !file.exists() {
            fs::write(&file, serde_json::to_string_pretty(&encoded).unwrap() + "\n").unwrap();
        }
        let frozen = fs::read(&file).unwrap_or_else(|_| panic!("no corpus file for {name} v{version}"));
        let frozen: serde_json::Value = serde_json::from_slice(&frozen).unwrap();
        assert_eq!(
            encoded, frozen,
            "{name}: the stored shape changed; it needs a new version and an upcaster"
        );
    }
}

#[test]
fn every_frozen_sample_still_decodes_and_stays_itself() {
    let mut seen = 0;
    for file in fs::read_dir(folder("corpus")).unwrap() {
        let path = file.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (name, version) = stem.split_once(".v").unwrap();
        let event = Event::decode(name, version.parse().unwrap(), &fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{stem}: {error}"));
        let (stored, current) = event.stored();
        let again = Event::decode(stored, current, &event.encode().unwrap()).unwrap();
        assert_eq!(event, again, "{stem}");
        seen += 1;
    }
    assert!(seen >= Event::all().len());
}

#[test]
fn the_json_schema_of_every_event_is_published() {
    for (name, version, schema) in Event::all() {
        let file = folder("json").join(format!("{name}.v{version}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if writing() {
            fs::write(&file, &text).unwrap();
        }
        let published = fs::read_to_string(&file).unwrap_or_default();
        assert!(published == text, "{}: run with TALLY_WRITE_CORPUS=1", file.display());
    }
}

#[test]
fn names_and_versions_that_nobody_knows_stop_a_reader() {
    let data = b"{}";
    let error = |name, version| Event::decode(name, version, data).unwrap_err().to_string();
    assert!(error("ShowExploded", 1).contains("unknown event type ShowExploded"));
    assert!(error("ShowStarted", 9).contains("unknown version 9"));
    assert!(error("ShowStarted", 0).contains("unknown version 0"));
    assert!(error("ShowStarted", 1).contains("cannot be read"));
}

#[test]
fn stored_names_are_unique() {
    let mut names: Vec<_> = Event::all().into_iter().map(|(name, _, _)| name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
