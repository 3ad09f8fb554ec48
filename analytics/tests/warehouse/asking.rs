//! Asks the warehouse what a dashboard asks.

use super::audience::{LATER_MS, SHOW};
use super::grafana::{Chosen, WAREHOUSE, list, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// The columns of an answer with their types, and its rows.
pub struct Answer {
    pub columns: Vec<(String, String)>,
    pub rows: Vec<Vec<Value>>,
}

impl Answer {
    fn column(&self, name: &str) -> impl Iterator<Item = &Value> {
        let at = self.columns.iter().position(|(column, _)| column == name);
        let at = at.unwrap_or_else(|| panic!("no column {name} in {:?}", self.columns));
        self.rows.iter().map(move |row| &row[at])
    }

    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.column(name).map(number).collect()
    }

    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.column(name).map(|value| value.as_str().unwrap()).collect()
    }

    pub fn is_number(&self, column: usize) -> bool {
        let kind = self.columns[column].1.trim_start_matches("Nullable(");
        ["UInt", "Int", "Float", "Decimal"].iter().any(|prefix| kind.starts_with(prefix))
    }

    pub fn has_number(&self) -> bool {
        (0..self.columns.len()).any(|column| self.is_number(column))
    }
}

pub async fn ask(client: &clickhouse::Client, sql: &str) -> Answer {
    let mut cursor = client.query_raw(sql).fetch_bytes("JSONCompact").unwrap();
    let bytes = cursor.collect().await.unwrap_or_else(|error| {
        panic!(
            "{error}
{sql}"
        )
    });
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    let columns = list(&json, "/meta")
        .iter()
        .map(|column| (text(column, "/name").to_owned(), text(column, "/type").to_owned()))
        .collect();
    Answer { columns, rows: list(&json, "/data").iter().map(|row| row.as_array().unwrap().clone()).collect() }
}

/// What somebody sees who opens a dashboard on the day of the shows: variables by their own queries, the first of each answer.
pub async fn choose(client: &clickhouse::Client, board: &Value) -> Chosen {
    let mut chosen = Chosen {
        from_ms: LATER_MS,
        to_ms: LATER_MS + 86_400_000,
        interval_s: 60,
        variables: BTreeMap::new(),
    };
    for variable in list(board, "/templating/list") {
        let (name, query) = (text(variable, "/name"), text(variable, "/query"));
        let value = match text(variable, "/type") {
            "textbox" => query.to_owned(),
            "query" => {
                assert_eq!(text(variable, "/datasource/uid"), WAREHOUSE);
                let offered = ask(client, &chosen.expand(query)).await.rows;
                let offered: Vec<&str> = offered.iter().map(|row| row[0].as_str().unwrap()).collect();
                assert!(!offered.is_empty(), "nothing to choose from: {query}");
                let wanted = SHOW.to_string();
                offered.iter().find(|value| **value == wanted).unwrap_or(&offered[0]).to_string()
            }
            other => panic!("a variable of type {other}"),
        };
        chosen.variables.insert(name.to_owned(), value);
    }
    chosen
}

/// A number, which for 64 bits the server may give as text.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}
