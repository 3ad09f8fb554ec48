//! `docker-compose.yml` against the code: no engine runs it here, so every name in it is looked up where it is defined.
#![allow(clippy::unwrap_used, reason = "what is not as expected fails the test")]

#[path = "compose/stack.rs"]
mod stack;

use platform::config::Config;
use std::collections::BTreeSet;
use std::process::Command;

use stack::{Service, Stack, Variable, answers, read};
use tally_tests::repository::{root, sources};

#[test]
fn every_service_of_ours_is_configured_to_start_in_production() {
    let stack = Stack::load();
    let ours: Vec<&Service> = stack.ours().collect();
    assert_eq!(
        ours.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(),
        ["command-api", "query-api", "projections", "analytics"]
    );
    for service in ours {
        let environment = service.environment().into_iter().map(|(name, value)| (name.into(), value.into()));
        let config =
            Config::of("", environment).unwrap_or_else(|errors| panic!("{}: {errors}", service.name));
        assert_eq!(config.http.listen.port(), stack::PORT, "{}", service.name);
        assert!(
            config.event_log.url.get().is_some() && config.postgres.url.get().is_some(),
            "{}",
            service.name
        );
        let at_peace = u64::from(service.seconds("stop_grace_period"));
        assert!(at_peace > config.http.shutdown_drain_seconds, "{} is killed while it drains", service.name);
    }
}

#[test]
fn every_command_is_one_of_the_program() {
    let program = tally_tests::server::binary();
    let knows = |words: &[String]| {
        let output = Command::new(program).args(words).arg("--help").output().unwrap();
        output.status.success()
    };
    assert!(!knows(&["nonsense".to_owned()]));
    for service in Stack::load().ours() {
        let command = service.texts("/command");
        assert!(knows(&command), "tally {command:?}");
        assert_eq!(command, [service.name.as_str()], "a service is called after its command");
        let check = service.texts("/healthcheck/test");
        assert_eq!(check[..2], ["CMD", "tally"]);
        assert!(knows(&check[2..]), "{check:?}");
    }
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains(r#"HEALTHCHECK"#) && dockerfile.contains(r#"CMD ["tally", "healthcheck"]"#));
    assert!(dockerfile.contains(&format!("EXPOSE {}", stack::PORT)));
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.split('"').nth(1).unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{version}-")), "the image is built by another compiler");
}

/// What must be set stands in the example, and nothing else stands there but what may be set.
#[test]
fn the_example_of_the_environment_is_whole() {
    let stack = Stack::load();
    let example = read(".env.example");
    let names = |prefix: &str| -> BTreeSet<String> {
        let lines = example.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once('='));
        lines.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("TALLY_")).collect()
    };
    assert_eq!(names(""), stack.variables(Variable::is_required));
    let optional = stack.variables(|variable| !variable.is_required());
    let version = BTreeSet::from(["TALLY_VERSION".to_owned()]);
    assert_eq!(names("# "), &optional - &version);
    assert_eq!(
        answers().keys().cloned().collect::<BTreeSet<_>>(),
        names(""),
        "the test sets what must be set"
    );
}

#[test]
fn what_services_wait_for_can_come_about() {
    let stack = Stack::load();
    for service in &stack.services {
        for (name, condition) in service.waits_for() {
            let other = stack.service(&name);
            match condition.as_str() {
                "service_healthy" => assert!(other.has("healthcheck"), "{} waits for {name}", service.name),
                "service_completed_successfully" => assert!(!other.has("healthcheck"), "{name}"),
                condition => panic!("{}: {condition}", service.name),
            }
        }
        let is_once = service.text("restart") == Some("on-failure");
        assert!(is_once || service.has("healthcheck"), "{} has no health check", service.name);
        assert!(is_once || service.text("restart") == Some("unless-stopped"), "{}", service.name);
        assert!(is_once || service.has("deploy"), "{} has no limits", service.name);
    }
}

#[test]
fn images_are_pinned_and_mounts_exist() {
    let stack = Stack::load();
    for service in &stack.services {
        let image = service.text("image").unwrap();
        if !service.is_ours() {
            let tag = image.rsplit(':').next().unwrap();
            let numbers =
                tag.trim_start_matches('v').split(['.', '-']).take_while(|part| part.parse::<u32>().is_ok());
            assert!(numbers.count() >= 2, "{image} is not pinned");
        }
        for volume in service.texts("/volumes") {
            let (source, rest) = volume.split_once(':').unwrap();
            match source.strip_prefix("./") {
                Some(path) => {
                    assert!(root().join(path).exists(), "{volume}");
                    assert!(rest.ends_with(":ro"), "{volume} may be written");
                }
                None => assert!(stack.volumes.contains(source), "{volume} is no named volume"),
            }
        }
    }
    let kafka = read("embedded/kafka/pom.xml");
    let version = kafka.split("<kafka.version>").nth(1).unwrap().split('<').next().unwrap();
    assert_eq!(stack.service("kafka").text("image"), Some(format!("apache/kafka:{version}").as_str()));
}

/// Each address within the network names a service, at a port where that listens.
#[test]
fn addresses_agree() {
    let stack = Stack::load();
    let listens = |service: &str| -> Vec<u16> {
        match service {
            "command-api" | "query-api" | "projections" | "analytics" | "proxy" => vec![stack::PORT],
            "kurrentdb" => vec![2113],
            "postgres" => vec![5432],
            "kafka" => vec![9092, 9093],
            "clickhouse" => vec![8123, 9363],
            "prometheus" => vec![9090],
            "grafana" => vec![3000],
            other => panic!("{other} listens nowhere"),
        }
    };
    let mut texts: Vec<String> =
        stack.services.iter().flat_map(Service::environment).map(|(_, value)| value).collect();
    texts.extend(["docker/prometheus.yml", "docker/Caddyfile"].map(read));
    let mut found = 0;
    for text in &texts {
        for (service, port) in stack.addresses_in(text) {
            assert!(listens(&service).contains(&port), "{service}:{port}");
            found += 1;
        }
    }
    assert!(found >= 18, "only {found} addresses were found");
    assert_eq!(stack.service("proxy").texts("/ports"), ["8085:8085"]);
    // whoever scrapes finds all of ours
    let scrape = read("docker/prometheus.yml");
    for service in stack.ours() {
        let names = format!("names: [{}], type: A, port: {}", service.name, stack::PORT);
        assert!(scrape.contains(&names), "nobody asks {} for its metrics", service.name);
    }
    assert!(read("docker/clickhouse/server.xml").contains("<port>9363</port>"));
}

/// The proxy tells commands from queries by their method alone.
#[test]
fn methods_part_the_services() {
    let caddyfile = read("docker/Caddyfile");
    assert!(caddyfile.contains("@reads method GET HEAD OPTIONS"));
    let methods = |crate_dir: &str| -> BTreeSet<String> {
        let sources = sources(crate_dir).unwrap();
        let operations = sources.iter().flat_map(|source| source.split("utoipa::path(").skip(1));
        operations.map(|rest| rest.trim_start().split(',').next().unwrap().to_owned()).collect()
    };
    let commands = methods("command-api");
    assert!(commands.contains("post") && !commands.contains("get"), "{commands:?}");
    assert_eq!(methods("query-api"), BTreeSet::from(["get".to_owned()]));
}

#[test]
fn grafana_is_told_what_its_files_ask_for() {
    let stack = Stack::load();
    let grafana = stack.service("grafana");
    let told: BTreeSet<String> = grafana.environment().into_keys().collect();
    let files = read("analytics/grafana/provisioning/datasources/tally.yaml");
    let asked: BTreeSet<String> = files
        .split('$')
        .skip(1)
        .map(|rest| {
            rest.trim_start_matches('{')
                .split(|c: char| !c.is_ascii_uppercase() && c != '_')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(asked.len() >= 4 && asked.is_subset(&told), "{asked:?} {told:?}");
    let provider = read("analytics/grafana/provisioning/dashboards/tally.yaml");
    let mount = grafana.texts("/volumes").into_iter().find(|volume| volume.contains("/dashboards:")).unwrap();
    let target = mount.split(':').nth(1).unwrap();
    assert!(provider.contains(&format!("path: {target}\n")), "{target}");
}

/// Compose itself reads the file too, and refuses to go on without a variable that must be set.
#[test]
fn compose_reads_its_file() {
    let read_without = |missing: Option<&str>| {
        let mut compose = stack::compose();
        compose.args(["config", "--quiet"]).envs(answers());
        missing.map(|name| compose.env_remove(name));
        compose.output().unwrap()
    };
    let output = read_without(None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for missing in ["TALLY_SECRETS__MASTER_KEY", "TALLY_GRAFANA_ADMIN_PASSWORD"] {
        let output = read_without(Some(missing));
        assert!(!output.status.success(), "goes on without {missing}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(missing), "does not name {missing}");
    }
}
