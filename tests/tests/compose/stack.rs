//! The compose file, as compose understands it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use tally_tests::repository::root;
use yaml_rust2::{Yaml, YamlLoader, yaml::Hash};

/// Where our services listen.
pub const PORT: u16 = 8085;

pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What somebody put into `.env` who set what must be set.
pub fn answers() -> BTreeMap<String, String> {
    let key = |first: char| format!("{first}BCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopo=");
    let hex = "0123456789abcdef0123456789abcdef".to_owned();
    [
        ("TALLY_SECRETS__MASTER_KEY", key('A')),
        ("TALLY_SECRETS__PSEUDONYM_KEY", key('Q')),
        ("TALLY_POSTGRES_PASSWORD", hex.clone()),
        ("TALLY_CLICKHOUSE_WRITER_PASSWORD", hex.clone()),
        ("TALLY_CLICKHOUSE_ANALYST_PASSWORD", hex.clone()),
        ("TALLY_CLICKHOUSE_GRAFANA_PASSWORD", hex.clone()),
        ("TALLY_GRAFANA_ADMIN_PASSWORD", hex.clone()),
        ("TALLY_AGORA__APP_ID", hex.clone()),
        ("TALLY_AGORA__APP_CERTIFICATE", hex),
        ("TALLY_PAYMENTS__ALLOW_SANDBOX_PAYMENTS", "true".to_owned()),
        ("TALLY_PUBLIC__RTMP_INGEST_BASE", "rtmp://ingest.example.com/live".to_owned()),
        ("TALLY_PUBLIC__RECORDINGS_BASE", "https://api.example.com/api/v1/recordings".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// A `${NAME…}` of the file.
pub struct Variable {
    pub name: String,
    rest: String,
}

impl Variable {
    /// Whether compose refuses to go on without it.
    pub fn is_required(&self) -> bool {
        self.rest.starts_with(":?")
    }

    fn value(&self) -> String {
        let answer = answers().remove(&self.name);
        let default = self.rest.strip_prefix(":-").or_else(|| self.rest.strip_prefix('-'));
        // somebody who has an issuer
        let issuer = (self.name == "TALLY_AUTH__JWKS_URL").then(|| "https://id.example.com/keys".to_owned());
        issuer
            .or(answer)
            .or_else(|| default.map(str::to_owned))
            .unwrap_or_else(|| panic!("{} is not set", self.name))
    }
}

fn variables_of(text: &str) -> Vec<Variable> {
    text.split("${")
        .skip(1)
        .map(|part| {
            let inside = part.split('}').next().unwrap();
            let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
            Variable { name: inside[..end].to_owned(), rest: inside[end..].to_owned() }
        })
        .collect()
}

fn interpolated(text: &str) -> String {
    let mut out = text.to_owned();
    for variable in variables_of(text) {
        out = out.replace(&format!("${{{}{}}}", variable.name, variable.rest), &variable.value());
    }
    out
}

pub struct Service {
    pub name: String,
    yaml: Yaml,
}

impl Service {
    pub fn is_ours(&self) -> bool {
        self.text("image").is_some_and(|image| image.starts_with("tally:"))
    }

    pub fn has(&self, key: &str) -> bool {
        !self.yaml[key].is_badvalue()
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.yaml[key].as_str()
    }

    /// A list of texts by its path, none where there is no such list.
    pub fn texts(&self, path: &str) -> Vec<String> {
        let place = path.split('/').skip(1).fold(&self.yaml, |yaml, key| &yaml[key]);
        place.as_vec().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    pub fn seconds(&self, key: &str) -> u32 {
        self.text(key).unwrap().strip_suffix('s').unwrap().parse().unwrap()
    }

    pub fn environment(&self) -> BTreeMap<String, String> {
        let Some(environment) = self.yaml["environment"].as_hash() else { return BTreeMap::new() };
        let text = |yaml: &Yaml| {
            yaml.as_str().unwrap_or_else(|| panic!("{}: {yaml:?} is no text", self.name)).to_owned()
        };
        environment.iter().map(|(name, value)| (text(name), interpolated(&text(value)))).collect()
    }

    /// The services that must be up or done before this one, and which of the two.
    pub fn waits_for(&self) -> Vec<(String, String)> {
        let others = self.yaml["depends_on"].as_hash().into_iter().flatten();
        others
            .map(|(name, how)| {
                (name.as_str().unwrap().to_owned(), how["condition"].as_str().unwrap().to_owned())
            })
            .collect()
    }
}

pub struct Stack {
    text: String,
    pub services: Vec<Service>,
    pub volumes: BTreeSet<String>,
}

impl Stack {
    pub fn load() -> Self {
        let text = read("docker-compose.yml");
        let whole = merged(&YamlLoader::load_from_str(&text).unwrap()[0]);
        let services = whole["services"]
            .as_hash()
            .unwrap()
            .iter()
            .map(|(name, yaml)| Service { name: name.as_str().unwrap().to_owned(), yaml: yaml.clone() });
        let volumes =
            whole["volumes"].as_hash().unwrap().keys().map(|name| name.as_str().unwrap().to_owned());
        Self { services: services.collect(), volumes: volumes.collect(), text }
    }

    pub fn ours(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.is_ours())
    }

    pub fn service(&self, name: &str) -> &Service {
        self.services
            .iter()
            .find(|service| service.name == name)
            .unwrap_or_else(|| panic!("no service {name}"))
    }

    pub fn variables(&self, wanted: impl Fn(&Variable) -> bool) -> BTreeSet<String> {
        variables_of(&self.text).into_iter().filter(wanted).map(|variable| variable.name).collect()
    }

    /// Each `service:port` in a text.
    pub fn addresses_in(&self, text: &str) -> Vec<(String, u16)> {
        let mut found = Vec::new();
        for service in &self.services {
            for (at, _) in text.match_indices(&format!("{}:", service.name)) {
                let before = text[..at].chars().next_back();
                let is_whole = before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '-');
                let port: String =
                    text[at + service.name.len() + 1..].chars().take_while(char::is_ascii_digit).collect();
                if is_whole && !port.is_empty() {
                    found.push((service.name.clone(), port.parse().unwrap()));
                }
            }
        }
        found
    }
}

/// With the merge keys (`<<`) carried out, which this reader of YAML leaves alone. What stands in a map wins over what is merged into it.
fn merged(yaml: &Yaml) -> Yaml {
    if let Some(items) = yaml.as_vec() {
        return Yaml::Array(items.iter().map(merged).collect());
    }
    let Some(hash) = yaml.as_hash() else { return yaml.clone() };
    let key = Yaml::String("<<".to_owned());
    let one_or_many = hash.get(&key).map(|source| source.as_vec().cloned().unwrap_or(vec![source.clone()]));
    let mut out = Hash::new();
    for source in one_or_many.unwrap_or_default() {
        for (name, value) in merged(&source).into_hash().unwrap() {
            out.entry(name).or_insert(value);
        }
    }
    for (name, value) in hash.iter().filter(|(name, _)| **name != key) {
        out.insert(name.clone(), merged(value));
    }
    Yaml::Hash(out)
}

/// Compose, new or old, over our file and without anybody's `.env`.
pub fn compose() -> Command {
    let candidates: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let works = |words: &&&[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let words = candidates.iter().find(works);
    let words = words.unwrap_or_else(|| panic!("compose is not here: scripts/setup installs it"));
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg("--file").arg(root().join("docker-compose.yml"));
    // the example sets nothing
    command.arg("--env-file").arg(root().join("tests/tests/compose/empty.env"));
    command
}
