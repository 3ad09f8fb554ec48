//! The dashboards as Grafana reads them: files, variables and macros.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each type of panel is given by its data source.
pub const WAREHOUSE: &str = "tally-clickhouse";
pub const METRICS: &str = "tally-prometheus";
/// Grafana's own source: the result of another panel of the dashboard.
pub const OTHER_PANEL: &str = "-- Dashboard --";

pub fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana")
}

/// All dashboards, by the name of their file.
pub fn dashboards() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(dir().join("dashboards")).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let json =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_stem().unwrap().to_string_lossy().into_owned(), json)
        })
        .collect()
}

/// The members of a list, none where there is no such list.
pub fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let found = value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value}"));
    found.as_str().unwrap_or_else(|| panic!("{pointer} is no text in {value}"))
}

/// The queries of a panel that the warehouse answers.
pub fn queries(panel: &Value) -> Vec<&str> {
    if text(panel, "/datasource/uid") != WAREHOUSE {
        return Vec::new();
    }
    list(panel, "/targets").iter().map(|target| text(target, "/rawSql")).collect()
}

/// What somebody chose: from when to when, the width of a point, and the variables.
pub struct Chosen {
    pub from_ms: i64,
    pub to_ms: i64,
    pub interval_s: i64,
    pub variables: BTreeMap<String, String>,
}

impl Chosen {
    /// A query as the server gets it.
    ///
    /// Grafana's page puts in the variables; of their formats the dashboards use `singlequote` alone. The plugin's backend then puts in the
    /// macros (`pkg/macros/macros.go` of the plugin): times in whole seconds, an interval of one second or more.
    pub fn expand(&self, query: &str) -> String {
        let mut sql = query.to_owned();
        for (name, value) in &self.variables {
            let quoted = format!("'{}'", value.replace('\'', "\\'"));
            sql = sql.replace(&format!("${{{name}:singlequote}}"), &quoted);
        }
        let (from, to) = (self.from_ms.div_euclid(1_000), self.to_ms.div_euclid(1_000));
        sql = call(&sql, "$__timeFilter", |column| {
            format!("{column} >= toDateTime({from}) AND {column} <= toDateTime({to})")
        });
        sql = call(&sql, "$__timeInterval", |column| {
            format!("toStartOfInterval(toDateTime({column}), INTERVAL {} second)", self.interval_s.max(1))
        });
        sql = sql.replace("$__fromTime", &format!("toDateTime({from})"));
        sql = sql.replace("$__toTime", &format!("toDateTime({to})"));
        assert!(!sql.contains('$'), "something was not put in: {sql}");
        sql
    }
}

/// Replaces `name(argument)`, with an argument of one word.
fn call(sql: &str, name: &str, by: impl Fn(&str) -> String) -> String {
    let begin = format!("{name}(");
    let mut parts = sql.split(&begin);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (argument, rest) = part.split_once(')').unwrap();
        assert!(argument.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.'), "{name}({argument})");
        out += &by(argument);
        out += rest;
    }
    out
}

/// The variables that a text names, whatever their format. Macros and built-in variables begin with two underscores.
pub fn variables_in(text: &str) -> BTreeSet<&str> {
    let word = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let names = text.split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        &rest[..word(rest)]
    });
    names.filter(|name| !name.starts_with("__")).collect()
}

#[test]
fn macros_become_what_the_plugin_makes_of_them() {
    let variables = BTreeMap::from([("show".to_owned(), "it's".to_owned())]);
    let chosen = Chosen { from_ms: 1_500, to_ms: 62_999, interval_s: 20, variables };
    assert_eq!(
        chosen.expand(
            "a = ${show:singlequote} AND $__timeFilter(b) OR $__timeInterval(b) > $__fromTime + $__toTime"
        ),
        "a = 'it\\'s' AND b >= toDateTime(1) AND b <= toDateTime(62) OR \
         toStartOfInterval(toDateTime(b), INTERVAL 20 second) > toDateTime(1) + toDateTime(62)"
    );
    assert_eq!(variables_in("$a ${b:singlequote} $__c ${d}"), BTreeSet::from(["a", "b", "d"]));
}
