use super::*;

const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PSEUDONYM: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn of(file: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::of(file, environment).map_err(|errors| errors.0)
}

#[test]
fn the_defaults_are_sound() {
    let config = of("", &[]).expect("sound");
    assert_eq!(config.mode, Mode::Development);
    assert_eq!(config.http.listen.port(), 8085);
    assert_eq!(config.limits.chat_messages, 20);
    assert!(!config.auth.hs256_secret.is_set());
    assert!(
        config
            .describe()
            .iter()
            .all(|setting| setting.source == Source::Default && !setting.meaning.is_empty())
    );
}

#[test]
fn the_default_file_is_a_file() {
    let file = Config::default_file();
    assert!(file.contains("[http]") && file.contains("# listen = \"127.0.0.1:8085\""), "{file}");
    of(&file, &[]).expect("all commented");
    let active: String = file
        .lines()
        .map(|line| {
            line.strip_prefix("# ").filter(|line| line.contains(" = ")).unwrap_or(line).to_owned() + "\n"
        })
        .collect();
    let config = of(&active, &[]).expect("the defaults, written out");
    assert!(config.describe().iter().all(|setting| setting.source == Source::File));
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "mode = \"development\"\n[http]\nbody_limit_bytes = 2048\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n";
    let config = of(file, &[("TALLY_HTTP__BODY_LIMIT_BYTES", "4096"), ("TALLY_CACHE", "x"), ("PATH", "y")]);
    let config = config.expect("sound");
    assert_eq!(config.http.body_limit_bytes, 4_096);
    assert_eq!(config.http.trusted_proxies.0.len(), 2);
    let sources: Vec<_> = config
        .describe()
        .into_iter()
        .filter(|setting| setting.source != Source::Default)
        .map(|setting| format!("{} {}", setting.name, setting.source))
        .collect();
    assert_eq!(
        sources,
        [
            "mode file",
            "http.body_limit_bytes environment TALLY_HTTP__BODY_LIMIT_BYTES",
            "http.trusted_proxies file"
        ]
    );
}

#[test]
fn all_problems_are_told_at_once_with_what_to_do() {
    let file = "[http]\nlisten = \"nowhere\"\nbody_limit_bytes = 1\nlissten = 1\n[limits]\nchat_messages = -1\n[x]\ny = {z = 1}\n";
    let problems =
        of(file, &[("TALLY_HTPP__LISTEN", "x"), ("TALLY_TELEMETRY__FORMAT", "xml")]).expect_err("wrong");
    let expected = [
        "http.listen (file): `nowhere` is not an address and port such as 127.0.0.1:8085",
        "http.body_limit_bytes (file): 1 is not from 1024 to 16777216",
        "limits.chat_messages (file): `-1` is not a whole number",
        "telemetry.format (environment TALLY_TELEMETRY__FORMAT): `xml` is not json or pretty",
        "`http.lissten` in the file is no setting; did you mean http.listen?",
        "`x.y` in the file is no setting; remove it (`tally config` lists the settings)",
        "the environment variable TALLY_HTPP__LISTEN is no setting; did you mean TALLY_HTTP__LISTEN?",
    ];
    assert_eq!(problems, expected);
    assert!(of("[http", &[]).expect_err("no TOML")[0].contains("no TOML"));
    assert!(Config::load(Some(Path::new("/nowhere/tally.toml"))).is_err());
}

#[test]
fn secrets_are_never_shown() {
    let environment = [
        ("TALLY_AUTH__HS256_SECRET", "a very long and very hidden string indeed"),
        ("TALLY_POSTGRES__URL", "postgres://user:hidden@db.internal:5432/tally?password=hidden"),
    ];
    let config = of("", &environment).expect("sound");
    let shown = format!("{config:?} {:?}", config.describe());
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("db.internal:5432/tally"));
    assert_eq!(config.postgres.url.get().map(str::len), Some(61));
    let wrong = of("", &[("TALLY_POSTGRES__URL", "hidden"), ("TALLY_AUTH__HS256_SECRET", "hidden")]);
    assert!(!wrong.expect_err("wrong").join("\n").contains("hidden"));
}

fn production<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut environment = vec![
        ("TALLY_MODE", "production"),
        ("TALLY_AUTH__JWKS_URL", "https://auth.example.test/jwks"),
        ("TALLY_SECRETS__MASTER_KEY", MASTER),
        ("TALLY_SECRETS__PSEUDONYM_KEY", PSEUDONYM),
        ("TALLY_AGORA__APP_ID", "0123456789abcdef0123456789abcdef"),
        ("TALLY_AGORA__APP_CERTIFICATE", "fedcba9876543210fedcba9876543210"),
        ("TALLY_PAYMENTS__ALLOW_SANDBOX_PAYMENTS", "true"),
        ("TALLY_PUBLIC__RTMP_INGEST_BASE", "rtmp://live.example.test/live"),
        ("TALLY_PUBLIC__RECORDINGS_BASE", "https://example.test/recordings"),
    ];
    environment.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    environment.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    environment
}

#[test]
fn production_refuses_what_is_missing_or_meant_for_development() {
    let config = of("", &production(&[])).expect("sound");
    assert_eq!(config.secrets.master_key.key().map(|key| key[31]), Some(31));
    let strong = "f3b1c09a7d5e2468aa01bb23cc45dd67";
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("TALLY_SECRETS__MASTER_KEY", "")], "secrets.master_key is not set"),
        (&[("TALLY_SECRETS__MASTER_KEY", "c2hvcnQ=")], "secrets.master_key is not the base64"),
        (&[("TALLY_SECRETS__MASTER_KEY", PSEUDONYM)], "secrets.pseudonym_key equals"),
        (&[("TALLY_AUTH__JWKS_URL", "")], "auth.jwks_url is not set"),
        (&[("TALLY_AUTH__JWKS_URL", "http://auth.example.test/jwks")], "auth.jwks_url is no https"),
        (&[("TALLY_AUTH__JWKS_URL", "http://127.0.0.1.evil.test/")], "auth.jwks_url is no https"),
        (&[("TALLY_AUTH__HS256_SECRET", strong)], "auth.hs256_secret is set in production"),
        (&[("TALLY_AUTH__HS256_SECRET", "short")], "auth.hs256_secret is shorter"),
        (&[("TALLY_PAYMENTS__ALLOW_SANDBOX_PAYMENTS", "")], "payments.provider is the sandbox"),
        (&[("TALLY_AGORA__APP_ID", "")], "agora.app_id is not set"),
        (&[("TALLY_AGORA__APP_CERTIFICATE", "")], "agora.app_certificate is not set"),
        (&[("TALLY_PUBLIC__RTMP_INGEST_BASE", "")], "public.rtmp_ingest_base is this machine's own"),
        (&[("TALLY_HTTP__CORS_ALLOWED_ORIGINS", "example.test/x")], "http.cors_allowed_origins"),
        (&[("TALLY_EVENT_LOG__URL", "http://log")], "event_log.url begins"),
        (&[("TALLY_TELEMETRY__LOG", "a=b=c")], "telemetry.log is no filter"),
    ];
    for (changes, problem) in table {
        let problems = of("", &production(changes)).expect_err(problem);
        assert!(problems[0].starts_with(problem), "{problems:?}");
    }
    let allowed = [("TALLY_AUTH__HS256_SECRET", strong), ("TALLY_AUTH__ALLOW_HS256_IN_PRODUCTION", "true")];
    assert!(of("", &production(&allowed)).is_ok());
    let example = [("TALLY_AUTH__HS256_SECRET", "please-change-me-before-production"), allowed[1]];
    assert!(of("", &production(&example)).expect_err("example")[0].contains("looks like an example's"));
}
