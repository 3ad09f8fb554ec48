//! Reading settings: each from the environment, else the file, else its default, with every fault noted.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::ops::RangeInclusive;

use super::OTHER_VARIABLES;
use super::value::SettingValue;

/// What the names of all our variables begin with.
const PREFIX: &str = "TALLY_";

/// A suggestion differs from the unknown name in at most this many characters: further off it is noise.
const SUGGESTION_DISTANCE_MAX: usize = 4;

/// Where a setting's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is compiled in.
    Default,
    /// The configuration file.
    File,
    /// The environment variable of this name.
    Environment(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("file"),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// A setting, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingDescription {
    /// `section.key`, as in the file.
    pub name: String,
    /// Its environment variable.
    pub variable: String,
    /// The compiled-in default.
    pub default: String,
    /// The value in force; masked where it is a secret.
    pub value: String,
    /// Where that comes from.
    pub source: Source,
    /// What it does.
    pub meaning: String,
}

/// A setting's declaration.
pub(super) struct Declared {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) default: &'static str,
    pub(super) range: Option<RangeInclusive<u64>>,
    pub(super) meaning: &'static [&'static str],
}

pub(super) struct Reader {
    file: BTreeMap<String, toml::Value>,
    environment: BTreeMap<String, OsString>,
    settings: Vec<SettingDescription>,
    problems: Vec<String>,
}

impl Reader {
    pub(super) fn new(file: &str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let environment = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(PREFIX) && !OTHER_VARIABLES.contains(&name.as_str()))
            .collect();
        let mut problems = Vec::new();
        let file = match file.parse::<toml::Table>() {
            Ok(table) => flatten(table),
            Err(error) => {
                let place = error.to_string();
                problems.push(format!("the configuration file is no TOML; correct this: {}", place.trim()));
                BTreeMap::new()
            }
        };
        Self { file, environment, settings: Vec::new(), problems }
    }

    /// Reads one setting. With a fault, which is noted, the default stands in so that reading can go on.
    pub(super) fn setting<T: SettingValue>(&mut self, declared: &Declared) -> T {
        let name = join(declared.section, declared.key, ".");
        let variable = format!("{PREFIX}{}", join(declared.section, declared.key, "__").to_ascii_uppercase());
        let (given, source) = self.given(&name, &variable);
        let (value, source) = match given {
            Some(text) => (self.checked(declared, &name, &source, &text), source),
            None => (None, source),
        };
        let default = || T::parse(declared.default);
        let Some(value) = value.or_else(default) else {
            // a default that is no value is a slip in `sections`, which a test finds
            unreachable!("the default of {name} is not {}", T::EXPECTED);
        };
        self.settings.push(SettingDescription {
            name,
            variable,
            default: declared.default.to_owned(),
            value: value.show(),
            source,
            meaning: declared.meaning.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "),
        });
        value
    }

    fn given(&mut self, name: &str, variable: &str) -> (Option<String>, Source) {
        let in_file = self.file.remove(name);
        if let Some(value) = self.environment.remove(variable) {
            let source = Source::Environment(variable.to_owned());
            let text = value.into_string().ok();
            if text.is_none() {
                self.problems.push(format!("{variable} is not UTF-8; write it again"));
            }
            return (text, source);
        }
        match in_file.map(as_text) {
            None => (None, Source::Default),
            Some(Some(text)) => (Some(text), Source::File),
            Some(None) => {
                self.problems.push(format!("{name} in the file is a table or a time; write a plain value"));
                (None, Source::File)
            }
        }
    }

    fn checked<T: SettingValue>(
        &mut self,
        declared: &Declared,
        name: &str,
        source: &Source,
        text: &str,
    ) -> Option<T> {
        let shown = if T::IS_SECRET { "the value (not shown)".to_owned() } else { format!("`{text}`") };
        let Some(value) = T::parse(text) else {
            self.problems.push(format!("{name} ({source}): {shown} is not {}", T::EXPECTED));
            return None;
        };
        let number = value.number();
        match (&declared.range, number) {
            (Some(range), Some(number)) if !range.contains(&number) => {
                let (least, most) = (range.start(), range.end());
                self.problems.push(format!("{name} ({source}): {number} is not from {least} to {most}"));
                None
            }
            _ => Some(value),
        }
    }

    /// Whatever is left in file and environment is no setting.
    pub(super) fn refuse_unknown(&mut self) {
        let names: BTreeSet<&str> = self.settings.iter().map(|setting| setting.name.as_str()).collect();
        let variables: BTreeSet<&str> =
            self.settings.iter().map(|setting| setting.variable.as_str()).collect();
        for name in self.file.keys() {
            self.problems.push(format!("`{name}` in the file is no setting{}", suggestion(name, &names)));
        }
        for variable in self.environment.keys() {
            let hint = suggestion(variable, &variables);
            self.problems.push(format!("the environment variable {variable} is no setting{hint}"));
        }
    }

    pub(super) fn finish(self) -> (Vec<SettingDescription>, Vec<String>) {
        (self.settings, self.problems)
    }
}

fn join(section: &str, key: &str, separator: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}{separator}{key}") }
}

/// `section.key` to value; deeper tables stay values and are refused as such.
fn flatten(table: toml::Table) -> BTreeMap<String, toml::Value> {
    let mut flat = BTreeMap::new();
    for (name, value) in table {
        if let toml::Value::Table(section) = value {
            flat.extend(section.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        } else {
            flat.insert(name, value);
        }
    }
    flat
}

fn as_text(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            items.into_iter().map(as_text).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

fn suggestion(unknown: &str, known: &BTreeSet<&str>) -> String {
    let nearest = known.iter().map(|name| (distance(unknown, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= SUGGESTION_DISTANCE_MAX.min(unknown.len() / 3) => {
            format!("; did you mean {name}?")
        }
        _ => String::from("; remove it (`tally config` lists the settings)"),
    }
}

/// Edit distance, ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_ascii_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.to_ascii_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// All defaults as a TOML file, commented out.
pub(super) fn as_file(settings: &[SettingDescription]) -> String {
    use fmt::Write;
    let mut file = String::from("# Every setting with its default. Uncomment what you change.\n");
    let mut section = "";
    for setting in settings {
        let (its_section, key) = setting.name.split_once('.').unwrap_or(("", &setting.name));
        if its_section != section {
            section = its_section;
            let _ = write!(file, "\n[{section}]\n");
        }
        let is_bare = setting.default.parse::<u64>().is_ok() || setting.default.parse::<bool>().is_ok();
        let value = if is_bare { setting.default.clone() } else { format!("{:?}", setting.default) };
        // writing to a string cannot fail
        let _ = write!(file, "\n# {}\n# {key} = {value}\n", setting.meaning);
    }
    file
}
