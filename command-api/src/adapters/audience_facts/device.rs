//! The kind of device by rules of our own: classifying libraries either have no tablets or take milliseconds.

use DeviceType::{Desktop, Mobile, Tablet};
use http::HeaderMap;
use http::header::USER_AGENT;
use schemas::events::DeviceType;

/// Only so much of a user agent is looked at; real ones are shorter, and the rest cannot cost us time.
const USER_AGENT_BYTES_MAX: usize = 512;
/// The same for a client hint.
const HINT_BYTES_MAX: usize = 128;

/// A rule over a lower-case user agent.
struct Rule {
    /// One of these is in it,
    any: &'static [&'static str],
    /// and this (empty: always),
    and: &'static str,
    /// and none of these.
    unless: &'static [&'static str],
    /// Then it is this; `None` is what is none of the three.
    is: Option<DeviceType>,
}

const fn rule(any: &'static [&'static str], is: Option<DeviceType>) -> Rule {
    Rule { any, and: "", unless: &[], is }
}

/// Not watched by a person on one of the three: crawlers, tools, televisions, consoles, headsets, cars, watches.
const NO_DEVICE: &[&str] = &[
    "googlebot",
    "bot/",
    "crawler",
    "spider",
    "+http",
    "headlesschrome",
    "curl/",
    "wget/",
    "python-",
    "smart-tv",
    "smarttv",
    "hbbtv",
    "appletv",
    "apple tv",
    "googletv",
    "google tv",
    "android tv",
    "bravia",
    "aftt build",
    "aftmm build",
    "aftka build",
    "crkey",
    "roku",
    "web0s",
    "netcast",
    "playstation",
    "xbox",
    "nintendo",
    "oculusbrowser",
    "watch os",
    "tesla/",
];

/// In order: the first that holds decides.
const RULES: &[Rule] = &[
    rule(NO_DEVICE, None),
    rule(&["windows phone", "iemobile"], Some(Mobile)),
    // before "tablet": old Windows names a "Tablet PC"
    rule(&["windows nt", "win64"], Some(Desktop)),
    rule(&["ipad"], Some(Tablet)),
    rule(&["iphone", "ipod"], Some(Mobile)),
    rule(&["tablet", "kindle", "playbook"], Some(Tablet)),
    // Samsung's tablets say "Mobile" in some browsers
    Rule { any: &["sm-t", "sm-x"], and: "android", unless: &[], is: Some(Tablet) },
    // apps without a browser: the system's own client says nothing of the form, and phones are the rule
    rule(&["dalvik/", "okhttp/"], Some(Mobile)),
    Rule { any: &["silk/"], and: "", unless: &["mobile"], is: Some(Tablet) },
    Rule { any: &["android"], and: "mobile", unless: &[], is: Some(Mobile) },
    Rule { any: &["android"], and: "", unless: &["x11"], is: Some(Tablet) },
    // an iPad that asks for desktop pages inside an app
    Rule { any: &["macintosh"], and: "mobile/", unless: &[], is: Some(Tablet) },
    rule(&["macintosh", "mac os x", "cros ", "x11", "linux x86_64"], Some(Desktop)),
    rule(&["cfnetwork/"], Some(Mobile)),
    rule(&["mobile", "opera mini", "blackberry", "bb10", "kaios", "symbian"], Some(Mobile)),
];

impl Rule {
    fn holds(&self, agent: &str) -> bool {
        self.any.iter().any(|word| agent.contains(word))
            && agent.contains(self.and)
            && !self.unless.iter().any(|word| agent.contains(word))
    }
}

/// The kind of device that a request comes from.
pub(super) fn device_type(headers: &HeaderMap) -> Option<DeviceType> {
    let agent = lower_case(headers, USER_AGENT.as_str(), USER_AGENT_BYTES_MAX).unwrap_or_default();
    let by_agent = RULES.iter().find(|rule| rule.holds(&agent));
    // hints of a television's browser say "not mobile", which is no desktop
    if by_agent.is_some_and(|rule| rule.is.is_none()) {
        return None;
    }
    by_form_factor(headers).unwrap_or_else(|| {
        by_platform(headers, by_agent.and_then(|rule| rule.is)).or_else(|| by_agent.and_then(|rule| rule.is))
    })
}

/// What the browser calls its form; `Some(None)` for a form that is none of the three.
fn by_form_factor(headers: &HeaderMap) -> Option<Option<DeviceType>> {
    let hint = lower_case(headers, "sec-ch-ua-form-factors", HINT_BYTES_MAX)?;
    [
        ("\"tablet\"", Some(Tablet)),
        ("\"mobile\"", Some(Mobile)),
        ("\"desktop\"", Some(Desktop)),
        ("\"xr\"", None),
        ("\"automotive\"", None),
        ("\"watch\"", None),
    ]
    .into_iter()
    .find_map(|(form, is)| hint.contains(form).then_some(is))
}

/// By the hints that browsers send unasked. A tablet may call itself mobile, so the agent's word for it stands.
fn by_platform(headers: &HeaderMap, by_agent: Option<DeviceType>) -> Option<DeviceType> {
    let mobile = lower_case(headers, "sec-ch-ua-mobile", HINT_BYTES_MAX);
    let platform = lower_case(headers, "sec-ch-ua-platform", HINT_BYTES_MAX);
    let platform = platform.as_deref().map(|name| name.trim_matches(['"', ' ']));
    match (mobile.as_deref().map(str::trim), platform) {
        (Some("?1"), _) if by_agent == Some(Tablet) => Some(Tablet),
        (Some("?1"), _) => Some(Mobile),
        (Some("?0"), Some("android")) => Some(Tablet),
        (_, Some("windows" | "macos" | "linux" | "chrome os" | "chromium os")) => Some(Desktop),
        _ => None,
    }
}

fn lower_case(headers: &HeaderMap, name: &str, bytes_max: usize) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    let head = &value[..value.len().min(bytes_max)];
    Some(String::from_utf8_lossy(head).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use serde_json::Value;

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        let entry = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        entries.iter().map(entry).collect()
    }

    fn by_agent(agent: &str) -> Option<DeviceType> {
        device_type(&headers(&[("user-agent", agent)]))
    }

    #[test]
    fn user_agents_of_the_vectors() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../tests/vectors/user_agents.json")).unwrap();
        for vector in vectors.as_array().unwrap() {
            let truth = vector["truth"].as_str().unwrap();
            let expected = match truth {
                "DESKTOP" => Some(Desktop),
                "MOBILE" | "MOBILE_APP" => Some(Mobile),
                "TABLET" => Some(Tablet),
                unknown if unknown.starts_with("UNKNOWN") => None,
                other => panic!("unexpected truth {other}"),
            };
            assert_eq!(by_agent(vector["ua"].as_str().unwrap()), expected, "{}", vector["ua"]);
        }
    }

    const AGENTS: &[(Option<DeviceType>, &str)] = &[
        (
            Some(Desktop),
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
        ),
        (Some(Desktop), "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0"),
        (Some(Desktop), "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; Tablet PC 2.0)"),
        (Some(Desktop), "Mozilla/5.0 (X11; Ubuntu; Linux aarch64; rv:126.0) Gecko/20100101 Firefox/126.0"),
        (Some(Mobile), "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0"),
        (
            Some(Mobile),
            "Mozilla/5.0 (Linux; Android 13; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
        ),
        (
            Some(Mobile),
            "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 Mobile Safari/537.36",
        ),
        (
            Some(Mobile),
            "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15063",
        ),
        (
            Some(Mobile),
            "Opera/9.80 (J2ME/MIDP; Opera Mini/9.80/191.273; U; en) Presto/2.12.423 Version/12.16",
        ),
        (Some(Mobile), "Tally/3.1 CFNetwork/1496.0.7 Darwin/23.5.0"),
        (Some(Mobile), "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A.230805.001)"),
        (
            Some(Tablet),
            "Mozilla/5.0 (Linux; Android 12; SM-T870) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        ),
        (
            Some(Tablet),
            "Mozilla/5.0 (Linux; Android 13; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
        ),
        (
            Some(Tablet),
            "Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/108.4.6 like Chrome/108.0.5359.220 Safari/537.36",
        ),
        (
            Some(Tablet),
            "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
        ),
        (
            None,
            "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        ),
        (
            None,
            "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
        ),
        (
            None,
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox Series X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0 Safari/537.36 Edge/44",
        ),
        (
            None,
            "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/87.0.4280.88 Safari/537.36",
        ),
        (None, "python-requests/2.32.3"),
        (None, "Wget/1.21.4"),
        (None, ""),
    ];

    #[test]
    fn more_user_agents() {
        for (expected, agent) in AGENTS {
            assert_eq!(by_agent(agent), *expected, "{agent}");
        }
        assert_eq!(device_type(&HeaderMap::new()), None);
    }

    #[test]
    fn client_hints_come_first() {
        let plain = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
        let tv = "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) TV Safari/537.36";
        for (hints, agent, expected) in [
            (vec![("sec-ch-ua-mobile", "?1")], plain, Some(Mobile)),
            (vec![("sec-ch-ua-mobile", "?0"), ("sec-ch-ua-platform", "\"Android\"")], plain, Some(Tablet)),
            (vec![("sec-ch-ua-mobile", "?0"), ("sec-ch-ua-platform", "\"Windows\"")], "", Some(Desktop)),
            (vec![("sec-ch-ua-platform", "\"Chrome OS\"")], "", Some(Desktop)),
            (vec![("sec-ch-ua-form-factors", "\"Tablet\""), ("sec-ch-ua-mobile", "?1")], plain, Some(Tablet)),
            (vec![("sec-ch-ua-form-factors", "\"XR\"")], plain, None),
            (vec![("sec-ch-ua-form-factors", "\"Hologram\"")], plain, Some(Desktop)),
            (vec![("sec-ch-ua-mobile", "?0"), ("sec-ch-ua-platform", "\"Linux\"")], tv, None),
            (vec![("sec-ch-ua-mobile", "nonsense")], plain, Some(Desktop)),
        ] {
            let mut all = hints.clone();
            all.push(("user-agent", agent));
            assert_eq!(device_type(&headers(&all)), expected, "{hints:?} {agent}");
        }
    }

    #[test]
    fn only_the_head_of_a_user_agent_counts() {
        let long = format!("{}iPhone", "x".repeat(USER_AGENT_BYTES_MAX));
        assert_eq!(by_agent(&long), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(agent in prop::collection::vec(any::<u8>(), 0..2_000)) {
            if let Ok(value) = HeaderValue::from_bytes(&agent) {
                let _ = device_type(&HeaderMap::from_iter([(USER_AGENT, value)]));
            }
        }
    }
}
