//! Answers as JSON or as files. There is one way to a file: rows become cells, and the warehouse writes the format.

use std::collections::BTreeMap;

use ::analytics::figures::AsOf;
use ::analytics::figures::export::{Column, Format};
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::http::json::json;
use platform::http::position::Position;
use platform::http::problem::Problem;
use platform::http::query::Query;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::IntoParams;

use super::minutes::FromMinute;
use super::warehouse::Warehouse;

const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
const PARQUET: HeaderValue = HeaderValue::from_static("application/vnd.apache.parquet");

/// In which format an answer is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// As JSON.
    Json,
    /// As a file.
    File(Format),
}

/// For the documentation.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FormatQuery {
    /// `json`, `csv` or `parquet`; by default what `Accept` prefers.
    #[param(example = "csv")]
    format: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Query(query) = Query::<FormatQuery>::of(&parts.uri)?;
        match query.format.as_deref() {
            None | Some("") => Ok(Self::accepted(&parts.headers)),
            Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::File(Format::Csv)),
            Some("parquet") => Ok(Self::File(Format::Parquet)),
            Some(_) => Err(Problem::invalid_field("format", "format is one of json, csv, parquet")),
        }
    }
}

impl Wanted {
    /// What of all minutes is wanted: a file is whole.
    pub(super) fn part<T>(self, from: FromMinute, minutes: Vec<T>) -> (Vec<T>, Option<u32>) {
        match self {
            Self::Json => from.part(minutes),
            Self::File(_) => (minutes, None),
        }
    }

    /// The format that `Accept` prefers; JSON for whoever does not ask for a file more than for anything else.
    fn accepted(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let mut best = (0, Self::Json);
        for range in lines.flat_map(|line| line.split(',')) {
            let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
            let wanted = match kind.trim().to_ascii_lowercase().as_str() {
                "text/csv" => Self::File(Format::Csv),
                "application/vnd.apache.parquet" => Self::File(Format::Parquet),
                "application/json" | "application/*" | "*/*" => Self::Json,
                _ => continue,
            };
            let weight = thousandths(parameters);
            if weight > best.0 {
                best = (weight, wanted);
            }
        }
        best.1
    }
}

/// A weight as `q=0.5` says it, in thousandths; 1,000 where nothing is said.
fn thousandths(parameters: &str) -> u32 {
    let mut weights = parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("q="));
    let Some(weight) = weights.next() else { return 1_000 };
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    format!("{whole}{digits}").parse().unwrap_or(0).min(1_000)
}

/// A row of a file.
pub(super) trait Tabular: Serialize {
    /// The columns, by the names of the members.
    const COLUMNS: &'static [Column];
}

/// A column of a [`Tabular`].
pub(super) const fn column(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind }
}

/// Amounts by currency.
pub(super) const AMOUNTS: &str = "Map(String, Decimal(38, 4))";

/// An amount.
pub(super) const AMOUNT: &str = "Decimal(38, 4)";

/// The cells of a row, as text: numbers stay exactly what JSON says.
fn cells<R: Tabular>(row: &R) -> Result<Vec<Option<String>>, serde_json::Error> {
    let text = serde_json::to_string(row)?;
    let members: BTreeMap<&str, &RawValue> = serde_json::from_str(&text)?;
    R::COLUMNS.iter().map(|column| members.get(column.name).map_or(Ok(None), |raw| cell(raw.get()))).collect()
}

fn cell(raw: &str) -> Result<Option<String>, serde_json::Error> {
    match raw.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => serde_json::from_str(raw).map(Some),
        Some(b'{') => Ok(Some(raw.trim_matches(['{', '}']).to_owned())),
        _ => Ok(Some(raw.to_owned())),
    }
}

impl Warehouse {
    /// The answer in the format that is wanted: the document, or the rows of it as a file of this name.
    pub(super) async fn answer<R: Tabular>(
        &self,
        wanted: Wanted,
        as_of: AsOf,
        document: &impl Serialize,
        name: &str,
        rows: &[R],
    ) -> Result<Response, Problem> {
        let Wanted::File(format) = wanted else { return Ok(answer(as_of, document)) };
        let cells: Result<Vec<_>, _> = rows.iter().map(cells).collect();
        let cells = cells.map_err(|error| Problem::internal(&error))?;
        let cells = &cells;
        let body = self.export(move |figures| figures.export_table(R::COLUMNS, cells, format)).await?;
        file(as_of, format, name, body)
    }
}

/// The answer as JSON.
pub(super) fn answer(as_of: AsOf, document: &impl Serialize) -> Response {
    let headers = [(header::VARY, HeaderValue::from_static("accept"))];
    (Position(as_of.position.0), headers, json(StatusCode::OK, document)).into_response()
}

/// A file of this name, without the ending.
pub(super) fn file(as_of: AsOf, format: Format, name: &str, body: Body) -> Result<Response, Problem> {
    let (kind, ending) = match format {
        Format::Csv => (CSV, "csv"),
        Format::Parquet => (PARQUET, "parquet"),
    };
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}.{ending}\""));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, disposition.map_err(|error| Problem::internal(&error))?),
        (header::VARY, HeaderValue::from_static("accept")),
    ];
    Ok((Position(as_of.position.0), headers, body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &'static str) -> Wanted {
        Wanted::accepted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
    }

    #[test]
    fn the_preferred_format_is_taken() {
        let (csv, parquet) = (Wanted::File(Format::Csv), Wanted::File(Format::Parquet));
        assert_eq!(Wanted::accepted(&HeaderMap::new()), Wanted::Json);
        for (accept, expected) in [
            ("*/*", Wanted::Json),
            ("text/csv", csv),
            ("Text/CSV; q=0.9, application/json;q=0.1", csv),
            ("application/json, text/csv", Wanted::Json),
            ("text/csv, application/json", csv),
            ("text/csv;q=0.2, application/vnd.apache.parquet;q=0.25", parquet),
            ("text/csv;q=0", Wanted::Json),
            ("text/html, */*;q=0.8", Wanted::Json),
            ("text/csv;q=x", Wanted::Json),
        ] {
            assert_eq!(wanted(accept), expected, "{accept}");
        }
    }

    #[derive(Serialize)]
    struct Row {
        text: &'static str,
        amount: Box<RawValue>,
        amounts: BTreeMap<&'static str, u8>,
        missing: Option<u8>,
    }

    impl Tabular for Row {
        const COLUMNS: &'static [Column] = &[
            column("missing", "Nullable(UInt8)"),
            column("amount", AMOUNT),
            column("amounts", AMOUNTS),
            column("text", "String"),
        ];
    }

    #[test]
    fn cells_are_what_json_says() {
        let amount = RawValue::from_string("12.50".to_owned()).unwrap();
        let row = Row { text: "a \"quoted\"\n'text'\\", amount, amounts: [("USD", 1)].into(), missing: None };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            cells(&row).unwrap(),
            vec![None, text("12.50"), text("\"USD\":1"), text("a \"quoted\"\n'text'\\")]
        );
    }
}
