//! The codes of problems against the tables of `docs/api.md`.

use std::collections::BTreeSet;
use tally_tests::repository::{root, sources};

#[test]
fn every_code_stands_in_the_document() {
    let sources: Vec<String> =
        ["platform", "command-api", "query-api"].into_iter().flat_map(|dir| sources(dir).unwrap()).collect();
    let said: BTreeSet<&str> = sources.iter().flat_map(|source| codes_in(source)).collect();
    let document = std::fs::read_to_string(root().join("docs/api.md")).unwrap();
    let chapter = document.split("## Codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let told: BTreeSet<&str> = chapter.lines().flat_map(codes_of_row).collect();
    assert!(said.len() > 60 && told.len() > 60, "{} {}", said.len(), told.len());
    let untold: Vec<_> = said.difference(&told).collect();
    assert!(untold.is_empty(), "the document does not tell {untold:?}");
    let is_said = |code: &str| sources.iter().any(|source| source.contains(&format!("\"{code}\"")));
    let unsaid: Vec<_> = told.iter().filter(|code| !is_said(code)).collect();
    assert!(unsaid.is_empty(), "no code says {unsaid:?}");
}

/// Texts of lower-case words with an underscore that stand before what tells more of them. Codes of one word are not found.
fn codes_in(source: &str) -> Vec<&str> {
    let quoted: Vec<&str> = source.split('"').collect();
    let is_code = |text: &str| text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let is_before_detail = |between: &str, next: &str| {
        between.strip_prefix(',').map(str::trim_start).is_some_and(|rest| {
            rest.starts_with("detail")
                || rest.starts_with("format!(")
                || rest.is_empty() && next.contains(' ')
        })
    };
    let codes = quoted.windows(3).filter(|part| is_code(part[0]) && is_before_detail(part[1], part[2]));
    codes.map(|part| part[0]).collect()
}

/// What stands in a table's column of codes, the last but one.
fn codes_of_row(line: &str) -> impl Iterator<Item = &str> {
    let column = line.strip_prefix('|').and_then(|row| row.rsplit('|').nth(2)).unwrap_or_default();
    column.split('`').skip(1).step_by(2)
}
