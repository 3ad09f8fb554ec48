//! What a request's fields must be. Each refusal is a 422 that names the field.

use platform::http::amount::Amount;
use platform::http::problem::Problem;
use schemas::{Currency, MessageId, Money, SessionId};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Longest title, in code points.
const TITLE_MAX: usize = 140;
/// Longest description, in code points.
const DESCRIPTION_MAX: usize = 5_000;
/// Longest category, in code points.
const CATEGORY_MAX: usize = 50;
/// Most tags.
const TAGS_MAX: usize = 10;
/// Longest tag, in code points.
const TAG_MAX: usize = 50;
/// Longest URL of a thumbnail, in bytes.
const URL_MAX: usize = 2_048;
/// Longest message, in code points.
const MESSAGE_MAX: usize = 500;
/// Longest name that a client gives to a device, in code points.
const DEVICE_MAX: usize = 128;
/// Longest id that a client gives to a message, in code points.
const CLIENT_ID_MAX: usize = 64;
/// Longest name of a city, in code points.
const CITY_MAX: usize = 100;
/// Longest tag of a language that is in use, with script, region and variants.
const LANGUAGE_MAX: usize = 35;

/// Text of people: trimmed, in normal form C, without control characters but line feeds, so long at most.
fn text(field: &str, raw: &str, least: usize, most: usize) -> Result<String, Problem> {
    // cheaper than normalising what is far too long; no code point shrinks below a byte
    if raw.len() > most.saturating_mul(16).saturating_add(1_024) {
        return Err(length(field, least, most));
    }
    let text: String = raw.trim().nfc().collect();
    if text.chars().any(|character| character.is_control() && character != '\n') {
        return Err(Problem::invalid_field(field, "control characters are not allowed"));
    }
    let characters = text.chars().count();
    if characters < least || characters > most {
        return Err(length(field, least, most));
    }
    Ok(text)
}

fn length(field: &str, least: usize, most: usize) -> Problem {
    Problem::invalid_field(field, format!("send {least} to {most} characters")).with_limit(most as u64)
}

pub(super) fn title(raw: &str) -> Result<String, Problem> {
    text("title", raw, 1, TITLE_MAX)
}

pub(super) fn description(raw: &str) -> Result<String, Problem> {
    text("description", raw, 0, DESCRIPTION_MAX)
}

pub(super) fn category(raw: &str) -> Result<String, Problem> {
    text("category", raw, 1, CATEGORY_MAX)
}

/// At most ten, each once, in the order in which they were sent.
pub(super) fn tags(raw: &[String]) -> Result<Vec<String>, Problem> {
    if raw.len() > TAGS_MAX {
        let problem = Problem::invalid_field("tags", format!("send at most {TAGS_MAX} tags"));
        return Err(problem.with_limit(TAGS_MAX as u64));
    }
    let mut tags: Vec<String> = Vec::with_capacity(raw.len());
    for (index, tag) in raw.iter().enumerate() {
        let tag = text(&format!("tags[{index}]"), tag, 1, TAG_MAX)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// The shape of a BCP 47 tag: letters first, then parts of letters and digits. Not looked up in the registry.
pub(super) fn language(raw: &str) -> Result<String, Problem> {
    let mut parts = raw.split('-');
    let is_primary =
        |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    let is_part =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_tag = raw.len() <= LANGUAGE_MAX && parts.next().is_some_and(is_primary) && parts.all(is_part);
    if is_tag {
        Ok(raw.to_owned())
    } else {
        Err(Problem::invalid_field("language", "send a BCP 47 tag such as en or pt-BR"))
    }
}

/// An absolute http or https URL.
pub(super) fn thumbnail_url(raw: &str) -> Result<String, Problem> {
    let problem = || {
        let detail = format!("send an http or https URL of at most {URL_MAX} characters");
        Problem::invalid_field("thumbnailUrl", detail)
    };
    let url = reqwest::Url::parse(raw).map_err(|_| problem())?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_bare = url.username().is_empty() && url.password().is_none();
    if raw.len() <= URL_MAX && is_web && is_bare { Ok(url.into()) } else { Err(problem()) }
}

pub(super) fn message(raw: &str) -> Result<String, Problem> {
    text("message", raw, 1, MESSAGE_MAX)
}

/// Words with a tip; none are none.
pub(super) fn tip_message(raw: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    let text = text("message", raw, 0, MESSAGE_MAX)?;
    Ok((!text.is_empty()).then_some(text))
}

pub(super) fn device_id(raw: &str) -> Result<String, Problem> {
    text("deviceId", raw, 1, DEVICE_MAX)
}

pub(super) fn session_id(raw: &str) -> Result<SessionId, Problem> {
    let problem = |_| Problem::invalid_field("sessionId", "send the sessionId of the join's answer");
    raw.parse().map_err(problem)
}

pub(super) fn message_id(raw: &str) -> Result<MessageId, Problem> {
    raw.parse().map_err(|_| Problem::invalid_field("replyTo", "send the messageId of a message"))
}

pub(super) fn client_message_id(raw: &str) -> Result<String, Problem> {
    text("clientMessageId", raw, 1, CLIENT_ID_MAX)
}

pub(super) fn max_viewers(raw: u32) -> Result<u32, Problem> {
    if raw >= 1 {
        Ok(raw)
    } else {
        Err(Problem::invalid_field("settings.maxViewers", "send 1 or more, or null for no cap"))
    }
}

pub(super) fn currency(raw: &str) -> Result<Currency, Problem> {
    raw.parse().map_err(|error: schemas::MoneyError| Problem::invalid_field("currency", error.to_string()))
}

/// Two letters, by shape.
pub(super) fn country(raw: &str) -> Result<String, Problem> {
    let is_code = raw.len() == 2 && raw.bytes().all(|byte| byte.is_ascii_alphabetic());
    let problem = || Problem::invalid_field("location.country", "send an ISO 3166-1 code of two letters");
    is_code.then(|| raw.to_ascii_uppercase()).ok_or_else(problem)
}

/// A name as cities have them, `'s-Hertogenbosch`, `Frankfurt (Oder)`, `St. John’s`. It leaves the log in the clear, and stands in creators' files: so it is
/// no sentence, no address of the web, and nothing that a spreadsheet takes for a formula.
pub(super) fn city(raw: &str) -> Result<String, Problem> {
    // within words of some scripts
    let joins = |character| matches!(character, '\u{200c}' | '\u{200d}');
    let is_within = |character: char| {
        character.is_alphanumeric()
            || is_combining_mark(character)
            || joins(character)
            || " '’‘-.,()/&·".contains(character)
    };
    let name = text("location.city", raw, 1, CITY_MAX)?;
    let begins = name.starts_with(|first: char| first.is_alphanumeric() || "'’‘".contains(first));
    if begins && name.contains(char::is_alphabetic) && name.chars().all(is_within) {
        Ok(name)
    } else {
        Err(Problem::invalid_field(
            "location.city",
            "send the name of a city: letters, spaces, hyphens and the like",
        ))
    }
}

/// An amount in a currency, as exact as the currency is.
pub(super) fn money(field: &str, amount: Amount, currency: Currency) -> Result<Money, Problem> {
    Money::new(amount.0, currency).map_err(|error| Problem::invalid_field(field, error.to_string()))
}

/// A price: zero is none, less is refused.
pub(super) fn price(amount: Amount, currency: Currency) -> Result<Option<Money>, Problem> {
    let price = money("ticketPrice", amount, currency)?;
    if amount.0.is_sign_negative() && !amount.0.is_zero() {
        return Err(Problem::invalid_field("ticketPrice", "send zero or more"));
    }
    Ok(price.is_positive().then_some(price))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_trimmed_composed_and_bounded_in_code_points() {
        assert_eq!(title("  e\u{301} ").unwrap(), "é");
        assert_eq!(title(&"é".repeat(140)).unwrap().chars().count(), 140);
        for bad in ["", "   ", &"x".repeat(141), "a\u{0}b", "a\tb"] {
            assert!(title(bad).is_err(), "{bad:?}");
        }
        assert_eq!(message("a\nb").unwrap(), "a\nb");
        assert_eq!(tip_message(Some("  ")).unwrap(), None);
    }

    #[test]
    fn tags_languages_and_urls_have_their_shapes() {
        assert_eq!(tags(&["a".to_owned(), " a ".to_owned()]).unwrap(), ["a"]);
        assert!(tags(&vec!["a".to_owned(); 11]).is_err());
        for good in ["en", "pt-BR", "zh-Hant-TW", "es-419"] {
            assert!(language(good).is_ok(), "{good}");
        }
        for bad in ["", "e", "en_US", "en-", "-en", "english language"] {
            assert!(language(bad).is_err(), "{bad}");
        }
        assert!(thumbnail_url("https://example.com/a.png").is_ok());
        for bad in
            ["javascript:alert(1)", "/a.png", "https://", "ftp://example.com/a", "https://u:p@example.com/"]
        {
            assert!(thumbnail_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cities_have_names() {
        let good = [
            "Berlin",
            "New York",
            "'s-Hertogenbosch",
            "Frankfurt (Oder)",
            "St. John’s",
            "Biel/Bienne",
            "København",
            "東京",
            "6th of October City",
            "नई दिल्ली",
            "กรุงเทพมหานคร",
            "Ḩomş",
            "L’Aquila",
            "Saint-Denis, Réunion",
        ];
        for name in good {
            assert_eq!(city(name).unwrap(), name.nfc().collect::<String>());
        }
        let long = "x".repeat(CITY_MAX + 1);
        for bad in [
            "",
            " ",
            "=HYPERLINK(\"http://x\")",
            "+1",
            "-Berlin",
            "@SUM(A1)",
            "12345",
            "https://x.org",
            "a\nb",
            "a\tb",
            "<b>",
            "me@example.org",
            "a;b",
            "a|b",
            &long,
        ] {
            assert!(city(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prices_are_exact_and_never_below_zero() {
        let amount = |text: &str| Amount(text.parse().unwrap());
        assert_eq!(price(amount("0.00"), Currency::USD).unwrap(), None);
        assert_eq!(price(amount("5"), Currency::USD).unwrap().unwrap().minor_units(), 500);
        assert!(price(amount("-1"), Currency::USD).is_err());
        assert!(price(amount("1.005"), Currency::USD).is_err());
    }
}
