//! The format against vectors made with Agora's own builders. They are compared by inflated bytes.

use super::access_token::{AccessToken, ReadToken, TokenError, signing_key};
use super::service::{Privileges, Scope, Service, check_channel, rtc};
use super::{Agora, AgoraConfig, AgoraConfigError, PUBLISHER, SUBSCRIBER, TOKEN_SECONDS_DEFAULT};
use crate::ports::video::{Video, VideoError};
use hmac::Mac;
use proptest::prelude::*;
use schemas::{ShowId, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../tests/vectors/agora_007.json");

fn vectors(list: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    file[list].as_array().unwrap().clone()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value, key: &str) -> u32 {
    u32::try_from(value[key].as_u64().unwrap()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn privileges(service: &Value) -> Privileges {
    let entries = service["privileges"].as_object().unwrap();
    entries.iter().map(|(id, s)| (id.parse().unwrap(), u32::try_from(s.as_u64().unwrap()).unwrap())).collect()
}

/// A service as a vector's `decoded` spells it.
fn decoded_service(service: &Value) -> Service {
    let channel = text(service, "channel");
    let account =
        [service["uid"].as_str(), service["account"].as_str()].into_iter().flatten().collect::<String>();
    let user = [service["user_id"].as_str(), service["user_uuid"].as_str(), service["user"].as_str()]
        .into_iter()
        .flatten()
        .collect::<String>();
    let scope = match service["type"].as_u64().unwrap() {
        1 => Scope::Rtc { channel, account },
        2 => Scope::Rtm { user },
        3 => Scope::Streaming { channel, account },
        4 => Scope::Fpa,
        5 => Scope::Chat { user },
        6 => Scope::Fcdn { channel, account },
        7 => Scope::Apaas {
            room: text(service, "room_uuid"),
            user,
            role: i16::try_from(service["role"].as_i64().unwrap()).unwrap(),
        },
        other => panic!("no vector is known with service {other}"),
    };
    Service { scope, privileges: privileges(service) }
}

/// The services of a vector by its named builder's arguments; `None` for builders that we have no use for.
fn built_services(vector: &Value) -> Option<Vec<Service>> {
    let channel = text(vector, "channel");
    let granted = if vector["role"] == "publisher" { PUBLISHER } else { SUBSCRIBER };
    let login = |scope| Service { scope, privileges: [(1, number(vector, "token_expire"))].into() };
    let account = text(vector, "account");
    Some(match vector["builder"].as_str().unwrap() {
        "rtc_uid" => {
            let seconds = number(vector, "privilege_expire");
            vec![Service::rtc(&channel, number(vector, "uid"), granted, seconds).unwrap()]
        }
        "rtc_join_only" => {
            let seconds = number(vector, "join_expire");
            vec![Service::rtc(&channel, number(vector, "uid"), SUBSCRIBER, seconds).unwrap()]
        }
        "rtc_uid_privileges" => {
            let mut service = Service::rtc(&channel, number(vector, "uid"), &[], 0).unwrap();
            service.privileges = [
                (rtc::JOIN, number(vector, "join_expire")),
                (rtc::PUBLISH_AUDIO, number(vector, "audio_expire")),
                (rtc::PUBLISH_VIDEO, number(vector, "video_expire")),
                (rtc::PUBLISH_DATA, number(vector, "data_expire")),
            ]
            .into();
            vec![service]
        }
        "rtc_account" => {
            let seconds = number(vector, "privilege_expire");
            vec![Service::rtc_account(&channel, &account, granted, seconds).unwrap()]
        }
        // given in the wrong order, to see them sorted
        "rtc_rtm" => {
            let seconds = number(vector, "privilege_expire");
            vec![
                login(Scope::Rtm { user: account.clone() }),
                Service::rtc_account(&channel, &account, granted, seconds).unwrap(),
            ]
        }
        "rtm" => vec![login(Scope::Rtm { user: text(vector, "user_id") })],
        "chat_app" => vec![Service {
            scope: Scope::Chat { user: String::new() },
            privileges: [(2, number(vector, "token_expire"))].into(),
        }],
        _ => return None,
    })
}

fn token_of(vector: &Value, services: Vec<Service>) -> AccessToken {
    AccessToken {
        app_id: text(vector, "app_id"),
        issued_at_s: number(vector, "issue_ts"),
        expire_s: number(vector, "token_expire"),
        salt: number(vector, "salt"),
        services,
    }
}

#[test]
fn every_official_token_is_rebuilt_byte_for_byte_and_read_back() {
    let vectors = vectors("vectors");
    assert!(vectors.len() >= 17);
    for vector in vectors {
        let name = text(&vector, "name");
        let certificate = SecretString::from(text(&vector, "app_certificate"));
        let decoded = vector["decoded"]["services"].as_array().unwrap();
        let decoded = decoded.iter().map(decoded_service).collect::<Vec<_>>();
        let token = token_of(&vector, built_services(&vector).unwrap_or_else(|| decoded.clone()));

        let key1 = crate::adapters::hmac_sha256(
            &token.issued_at_s.to_le_bytes(),
            &[certificate.expose_secret().as_bytes()],
        );
        assert_eq!(hex(&key1.finalize().into_bytes()), vector["key1_hex"], "{name}");
        let key = signing_key(&certificate, token.issued_at_s, token.salt);
        assert_eq!(hex(&key), vector["signing_key_hex"], "{name}");
        assert_eq!(hex(&token.message().unwrap()), vector["message_hex"], "{name}");
        assert_eq!(hex(&token.plain(&certificate).unwrap()), vector["plain_hex"], "{name}");

        for text in [&text(&vector, "token"), token.build(&certificate).unwrap().expose_secret()] {
            let read = ReadToken::parse(text).unwrap();
            assert_eq!(read.content, token_of(&vector, decoded.clone()), "{name}");
            assert!(read.is_signed_with(&certificate), "{name}");
        }
    }
}

#[test]
fn bad_ids_are_refused_as_the_official_builders_refuse_them() {
    for vector in vectors("builder_rejects") {
        let token = AccessToken {
            app_id: text(&vector, "app_id"),
            issued_at_s: 1,
            expire_s: 600,
            salt: 1,
            services: vec![Service::rtc("channel", 1, SUBSCRIBER, 600).unwrap()],
        };
        let refused = token.build(&text(&vector, "app_certificate").into()).unwrap_err();
        assert!(matches!(refused, TokenError::InvalidAppId | TokenError::InvalidCertificate), "{vector}");
    }
}

#[test]
fn verification_agrees_with_the_official_parser() {
    for vector in vectors("verify") {
        let read = ReadToken::parse(vector["token"].as_str().unwrap());
        assert_eq!(Value::from(read.is_ok()), vector["parses"], "{vector}");
        let certificate = SecretString::from(text(&vector, "app_certificate"));
        let signed = read.is_ok_and(|token| token.is_signed_with(&certificate));
        assert_eq!(Value::from(signed), vector["signature_ok"], "{vector}");
    }
}

#[test]
fn what_official_builders_let_through_is_refused() {
    let longest = "c".repeat(63);
    assert_eq!(check_channel(&longest), Ok(()));
    for channel in
        ["", &"c".repeat(64), "sl/ash", "st*r", "quo\"te", "back\\slash", "caf\u{e9}", "tab\t", "a'b"]
    {
        assert_eq!(check_channel(channel), Err(TokenError::InvalidChannel), "{channel}");
    }
    assert!(Service::rtc_account("c", &"u".repeat(255), SUBSCRIBER, 1).is_ok());
    let long = Service::rtc_account("c", &"u".repeat(256), SUBSCRIBER, 1);
    assert_eq!(long, Err(TokenError::InvalidAccount));
    let zero = Service::rtc_account("c", "0", SUBSCRIBER, 1).unwrap();
    assert_eq!(zero.scope, Scope::Rtc { channel: "c".into(), account: "0".into() });
}

const APP_ID: &str = "970CA35de60c44645bbae8a215061b33";
const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";

fn token_with(services: Vec<Service>) -> AccessToken {
    AccessToken { app_id: APP_ID.into(), issued_at_s: 1_751_054_400, expire_s: 600, salt: 1, services }
}

#[test]
fn every_service_survives_the_wire() {
    let user = || "user".to_owned();
    let place = || ("channel".to_owned(), "42".to_owned());
    let permissions = [
        (0, [(0, vec!["a".to_owned(), "b".to_owned()]), (1, vec![])].into()),
        (4, [(1, vec!["someone".to_owned()])].into()),
    ];
    let ((channel, account), (channel6, account6)) = (place(), place());
    let scopes = [
        Scope::Rtc { channel: "c".into(), account: String::new() },
        Scope::Rtm { user: user() },
        Scope::Streaming { channel, account },
        Scope::Fpa,
        Scope::Chat { user: user() },
        Scope::Fcdn { channel: channel6, account: account6 },
        Scope::Apaas { room: "room".into(), user: user(), role: -1 },
        Scope::Rtm2 { user: user(), permissions: permissions.into() },
        Scope::ConvoAi,
        Scope::Stt,
    ];
    let services = scopes.map(|scope| Service { scope, privileges: [(1, 600), (2, 0)].into() }).to_vec();
    let token = token_with(services.clone());
    let text = token.build(&CERTIFICATE.into()).unwrap();
    assert_eq!(ReadToken::parse(text.expose_secret()).unwrap().content.services, services);
}

#[test]
fn no_service_no_token() {
    assert_eq!(token_with(vec![]).build(&CERTIFICATE.into()).unwrap_err(), TokenError::NoService);
}

#[test]
fn tokens_end_when_they_say() {
    let text =
        token_with(vec![Service::rtc("c", 1, SUBSCRIBER, 600).unwrap()]).build(&CERTIFICATE.into()).unwrap();
    let token = ReadToken::parse(text.expose_secret()).unwrap();
    assert!(token.is_current(1_751_054_999));
    assert!(!token.is_current(1_751_055_000));
}

fn config() -> AgoraConfig {
    AgoraConfig {
        app_id: APP_ID.into(),
        app_certificate: CERTIFICATE.into(),
        token_seconds: TOKEN_SECONDS_DEFAULT,
        ingest_base_url: "rtmp://stream.example.com/live/".into(),
        recording_base_url: "https://tally.example.com/api/v1/recordings".into(),
        stream_key_secret: "a secret of at least thirty-two bytes".into(),
    }
}

#[test]
fn hosts_publish_and_viewers_only_join() {
    let video = Agora::new(config()).unwrap();
    let now = Timestamp::from_millis(1_751_054_400_999);
    for (access, granted) in [
        (video.host_access("channel", 7, now).unwrap(), PUBLISHER),
        (video.viewer_access("channel", 7, now).unwrap(), SUBSCRIBER),
    ] {
        let token = ReadToken::parse(access.token.expose_secret()).unwrap();
        assert!(token.is_signed_with(&CERTIFICATE.into()));
        assert_eq!(
            token.content.services,
            [Service::rtc("channel", 7, granted, TOKEN_SECONDS_DEFAULT).unwrap()]
        );
        assert_eq!((access.app_id.as_str(), access.uid), (APP_ID, 7));
        assert_eq!(access.expires_at, Timestamp::from_millis(1_751_058_000_000));
        assert!(token.content.salt >= 1 && token.content.salt <= 99_999_999);
        assert!(!format!("{access:?}").contains(access.token.expose_secret()));
    }
    assert_eq!(video.host_access("channel", 0, now).unwrap_err(), VideoError::WildcardUid);
    assert_eq!(video.host_access("no/channel", 7, now).unwrap_err(), VideoError::InvalidChannel);
    let never = Timestamp::from_millis(-1);
    assert_eq!(video.host_access("channel", 7, never).unwrap_err(), VideoError::TimeOutOfRange);
}

#[test]
fn a_show_keeps_its_addresses_and_its_key() {
    let video = Agora::new(config()).unwrap();
    let (show, other) = (ShowId(uuid::Uuid::from_u128(1)), ShowId(uuid::Uuid::from_u128(2)));
    let id = "00000000-0000-0000-0000-000000000001";
    assert_eq!(video.ingest_url(show), format!("rtmp://stream.example.com/live/{id}"));
    assert_eq!(video.recording_url(show), format!("https://tally.example.com/api/v1/recordings/{id}"));
    let key = video.stream_key(show);
    assert_eq!(key.expose_secret().len(), 40);
    assert_eq!(key.expose_secret(), Agora::new(config()).unwrap().stream_key(show).expose_secret());
    assert_ne!(key.expose_secret(), video.stream_key(other).expose_secret());
}

#[test]
fn a_bad_configuration_fails_at_start() {
    let refused = |change: fn(&mut AgoraConfig)| {
        let mut config = config();
        change(&mut config);
        Agora::new(config).err()
    };
    assert_eq!(refused(|config| config.app_id.clear()), Some(AgoraConfigError::Ids));
    assert_eq!(refused(|config| config.app_certificate = "x".into()), Some(AgoraConfigError::Ids));
    assert_eq!(refused(|config| config.token_seconds = 0), Some(AgoraConfigError::TokenSeconds));
    assert_eq!(refused(|config| config.token_seconds = 86_401), Some(AgoraConfigError::TokenSeconds));
    let short = refused(|config| config.stream_key_secret = "short".into());
    assert_eq!(short, Some(AgoraConfigError::StreamKeySecret));
}

proptest! {
    /// Hostile text is refused or read, never a panic; a changed token says the same or is not ours. (A byte
    /// after the end of the zlib stream is ignored, as Agora's parsers ignore it.)
    #[test]
    fn any_text_is_safe_to_read(text in "(007)?[A-Za-z0-9+/=]{0,200}", cut in 0usize..200, flip in 0usize..200) {
        let _ = ReadToken::parse(&text);
        let service = Service::rtc("channel", 1, PUBLISHER, 600).unwrap();
        let token = token_with(vec![service]);
        let good = token.build(&CERTIFICATE.into()).unwrap();
        let good = good.expose_secret();
        prop_assert!(ReadToken::parse(&good[..cut.min(good.len() - 1)]).is_err());
        let mut bytes = good.as_bytes().to_vec();
        let at = flip % bytes.len();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        if let Ok(changed) = ReadToken::parse(std::str::from_utf8(&bytes).unwrap()) {
            prop_assert!(changed.content == token || !changed.is_signed_with(&CERTIFICATE.into()));
        }
    }
}
