//! The dashboards of `analytics/grafana`: every panel's query over the real engine as the user `grafana`, and every metric in the code.

use super::asking::{Answer, ask, choose, number};
use super::audience::Audience;
use super::engine::{Database, Engine};
use super::grafana::*;
use super::promql;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use yaml_rust2::{Yaml, YamlLoader};

/// What is asked of servers that are not ours, as they name it: Prometheus itself, and ClickHouse's own exporter.
const FOREIGN: [&str; 3] =
    ["up", "ClickHouseAsyncMetrics_DiskAvailable_default", "ClickHouseAsyncMetrics_DiskTotal_default"];

fn yaml(path: &str) -> Yaml {
    let text = std::fs::read_to_string(dir().join("provisioning").join(path)).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

#[test]
fn dashboards_fit_together() {
    let sources: BTreeSet<String> = yaml("datasources/tally.yaml")["datasources"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|source| source["uid"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sources, [WAREHOUSE, METRICS].map(str::to_owned).into());
    let boards = dashboards();
    assert_eq!(
        boards.keys().collect::<Vec<_>>(),
        ["audience", "creator", "operations", "platform", "quality", "revenue", "show"]
    );
    for (name, board) in &boards {
        assert_eq!(text(board, "/uid"), format!("tally-{name}"), "unique, and findable");
        let defined: BTreeSet<&str> =
            list(board, "/templating/list").iter().map(|variable| text(variable, "/name")).collect();
        let whole = board.to_string();
        assert_eq!(variables_in(&whole), defined, "{name}: variables that are used, and that are defined");
        let ids: BTreeSet<u64> =
            list(board, "/panels").iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), list(board, "/panels").len(), "{name}: ids are unique");
        for panel in list(board, "/panels") {
            let source = text(panel, "/datasource/uid");
            assert!(sources.contains(source) || source == OTHER_PANEL, "{name}: {source}");
            assert!(!text(panel, "/description").is_empty(), "{name}: a panel says what it shows");
            for target in list(panel, "/targets").iter().filter(|_| source == OTHER_PANEL) {
                assert!(ids.contains(&target["panelId"].as_u64().unwrap()), "{name}: {target}");
            }
        }
    }
}

/// Grafana lays panels on a grid of 24 columns.
#[test]
fn panels_do_not_lie_on_one_another() {
    for (name, board) in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in list(&board, "/panels") {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{name}: {} is too wide", panel["title"]);
            for place in
                (at("y")..at("y") + at("h")).flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y)))
            {
                assert!(taken.insert(place), "{name}: {} lies on another", panel["title"]);
            }
        }
    }
}

#[test]
fn prometheus_reads_every_expression_and_the_code_tells_every_metric() {
    let told = metrics_told();
    let (boards, rules) = (dashboards(), alert_rules());
    let mut expressions: Vec<(&str, &str)> = Vec::new();
    for (name, board) in &boards {
        for panel in list(board, "/panels").iter().filter(|panel| text(panel, "/datasource/uid") == METRICS) {
            expressions
                .extend(list(panel, "/targets").iter().map(|target| (name.as_str(), text(target, "/expr"))));
        }
    }
    for rule in &rules {
        assert_eq!(rule["data"][0]["datasourceUid"].as_str(), Some(METRICS));
        expressions.push(("alerts", expression_of(rule)));
    }
    let mut asked: BTreeMap<String, &str> = BTreeMap::new();
    let readings = promql::read(&expressions.iter().map(|(_, expression)| *expression).collect::<Vec<_>>());
    for (reading, (place, expression)) in readings.into_iter().zip(expressions) {
        assert_eq!(reading.fault, None, "{place}: {expression}");
        assert!(!reading.metrics.is_empty(), "{place}: {expression}");
        asked.extend(reading.metrics.into_iter().map(|metric| (metric, place)));
    }
    assert!(asked.len() > 30, "{asked:?}");
    let unknown: Vec<_> = asked
        .iter()
        .filter(|(metric, _)| {
            // durations alone are histograms, and others that are recorded are summaries (platform::telemetry)
            let buckets = metric.strip_suffix("_bucket").filter(|base| base.ends_with("_seconds"));
            let parts = ["_count", "_sum"].iter().find_map(|suffix| metric.strip_suffix(suffix));
            let name = buckets.or(parts).unwrap_or(metric);
            !told.contains(name) && !FOREIGN.contains(&metric.as_str())
        })
        .collect();
    assert!(unknown.is_empty(), "no code tells {unknown:?}");
}

#[test]
fn alerts_can_fire() {
    let mut uids = BTreeSet::new();
    for rule in alert_rules() {
        assert!(uids.insert(rule["uid"].as_str().unwrap().to_owned()));
        let (question, answer) = (&rule["data"][0], &rule["data"][1]);
        assert_eq!(answer["datasourceUid"].as_str(), Some("__expr__"));
        assert_eq!(answer["model"]["expression"].as_str(), question["refId"].as_str());
        assert_eq!(rule["condition"].as_str(), answer["refId"].as_str());
        assert!(
            answer["model"]["conditions"][0]["evaluator"]["params"][0].as_f64().is_some()
                || answer["model"]["conditions"][0]["evaluator"]["params"][0].as_i64().is_some()
        );
        // a dollar would be taken for a variable of the environment
        assert!(!rule["annotations"]["summary"].as_str().unwrap().contains('$'));
        // nobody tells the lag of what is down
        if expression_of(&rule).contains("_lag_seconds") {
            assert_eq!(rule["noDataState"].as_str(), Some("Alerting"), "{}", expression_of(&rule));
        }
    }
    assert!(uids.len() > 10);
}

/// Prometheus forgets whom it found by name when the name is gone, as it is under compose while no container of a service runs.
#[test]
fn a_process_that_nobody_finds_is_down() {
    let rules = alert_rules();
    let down = rules.iter().find(|rule| rule["uid"].as_str() == Some("tally-process-down")).unwrap();
    let missed: BTreeSet<String> = expression_of(down)
        .split("absent(up{job=\"")
        .skip(1)
        .map(|rest| rest.split_once("\"})").unwrap().0.to_owned())
        .collect();
    let scrape = include_str!("../../../docker/prometheus.yml");
    let jobs: BTreeSet<String> = YamlLoader::load_from_str(scrape).unwrap()[0]["scrape_configs"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|job| job["job_name"].as_str().unwrap().to_owned())
        .collect();
    assert!(jobs.len() > 5);
    assert_eq!(missed, jobs);
}

/// What a rule asks of Prometheus.
fn expression_of(rule: &Yaml) -> &str {
    rule["data"][0]["model"]["expr"].as_str().unwrap()
}

fn alert_rules() -> Vec<Yaml> {
    yaml("alerting/tally.yaml")["groups"][0]["rules"].as_vec().unwrap().clone()
}

/// The names of all metrics that stand in the sources.
fn metrics_told() -> BTreeSet<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut told = BTreeSet::new();
    let mut dirs: Vec<_> = std::fs::read_dir(workspace)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .filter(|dir| dir.is_dir())
        .collect();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                for call in ["counter!(", "gauge!(", "histogram!(", ".count("] {
                    let names = source.split(call).skip(1).filter_map(|rest| {
                        rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                    });
                    told.extend(names.map(str::to_owned));
                }
            }
        }
    }
    told
}

#[tokio::test]
async fn every_panel_shows_something() {
    let engine = Engine::start().await;
    let database = Database::of_readers(&engine).await;
    Audience::new().fill(&database).await;
    let client = engine.reader("grafana");
    let mut seen = 0;
    for (name, board) in dashboards() {
        let chosen = choose(&client, &board).await;
        for panel in list(&board, "/panels") {
            for query in queries(panel) {
                let answer = ask(&client, &chosen.expand(query)).await;
                check_shape(&format!("{name}: {}", text(panel, "/title")), text(panel, "/type"), &answer);
                check_shared(&board, panel, &answer);
                seen += 1;
            }
        }
    }
    assert!(seen > 45, "only {seen} queries were found");
}

/// Whether a visualisation can draw an answer.
fn check_shape(panel: &str, kind: &str, answer: &Answer) {
    let (columns, rows) = (&answer.columns, &answer.rows);
    assert!(!rows.is_empty(), "{panel} shows nothing");
    let ascends =
        |first: &dyn Fn(&Value) -> f64| rows.windows(2).all(|pair| first(&pair[0][0]) <= first(&pair[1][0]));
    match kind {
        "timeseries" => {
            assert_eq!(columns[0].0, "time", "{panel}");
            // Grafana's conversion to series takes no time that is null
            assert!(columns[0].1.starts_with("DateTime"), "{panel}: {columns:?}");
            let times: Vec<&str> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
            assert!(times.is_sorted(), "{panel}");
            assert!(answer.has_number(), "{panel}: {columns:?}");
        }
        "trend" => {
            assert!(answer.is_number(0) && answer.is_number(1), "{panel}: {columns:?}");
            assert!(ascends(&number), "{panel}");
        }
        "stat" => assert!((0..columns.len()).all(|column| answer.is_number(column)), "{panel}: {columns:?}"),
        "barchart" => {
            assert_eq!(columns[0].1.replace("LowCardinality(String)", "String"), "String", "{panel}");
            assert!(answer.is_number(1), "{panel}: {columns:?}");
        }
        "table" => {}
        other => panic!("{panel} is a {other}"),
    }
    let shows_something =
        |row: &Vec<Value>| row.iter().any(|value| !value.is_null() && *value != 0 && *value != "0");
    assert!(rows.iter().any(shows_something), "{panel} shows nothing but nothing");
}

/// The panels that show other columns of this one's answer find them.
fn check_shared(board: &Value, source: &Value, answer: &Answer) {
    let names: BTreeSet<&str> = answer.columns.iter().map(|(name, _)| name.as_str()).collect();
    for panel in list(board, "/panels").iter().filter(|panel| text(panel, "/datasource/uid") == OTHER_PANEL) {
        if list(panel, "/targets")[0]["panelId"] == source["id"] {
            for name in list(panel, "/transformations/0/options/include/names") {
                assert!(names.contains(name.as_str().unwrap()), "{}: {name}", panel["title"]);
            }
        }
    }
}
