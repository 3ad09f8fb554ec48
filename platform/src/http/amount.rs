//! Amounts at the edge: exact from and to JSON, never by way of a float.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use thiserror::Error;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Longest amount that is looked at; 28 digits are the most that a decimal holds.
const LENGTH_MAX: usize = 64;

/// Most digits of an amount, as many as always fit a 96-bit decimal.
const DIGITS_MAX: usize = 28;

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AmountError {
    /// No decimal number.
    #[error("not an amount: send a number such as 10.00, as a JSON number or as a string")]
    NotANumber,
    /// More digits than any amount of money has.
    #[error("an amount has at most {DIGITS_MAX} digits")]
    TooManyDigits,
}

/// An amount that a client sent, as a JSON number or string, exactly as written: `10.00`, `"10.00"`, `1e1`.
///
/// Sign and fraction digits are for the caller to judge, who knows the currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub Decimal);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        parse_json(raw.get()).map(Self).map_err(de::Error::custom)
    }
}

fn parse_json(raw: &str) -> Result<Decimal, AmountError> {
    if raw.starts_with('"') {
        let text: Cow<'_, str> = serde_json::from_str(raw).map_err(|_| AmountError::NotANumber)?;
        parse_amount(&text)
    } else {
        parse_amount(raw)
    }
}

/// Reads an amount in the grammar of JSON numbers, exactly.
///
/// # Errors
/// Where it is no such number, or has more digits than a decimal holds.
pub fn parse_amount(text: &str) -> Result<Decimal, AmountError> {
    if text.len() > LENGTH_MAX {
        return Err(if text.bytes().all(|byte| b"0123456789.+-eE".contains(&byte)) {
            AmountError::TooManyDigits
        } else {
            AmountError::NotANumber
        });
    }
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return Err(AmountError::NotANumber),
        Some((whole, fraction)) => (whole, fraction),
        None => (mantissa, ""),
    };
    let is_number = is_digits(whole) && is_digits(fraction) && !whole.is_empty();
    if !is_number || (whole.len() > 1 && whole.starts_with('0')) {
        return Err(AmountError::NotANumber);
    }
    let value = assemble(format!("{whole}{fraction}"), fraction.len(), exponent)?;
    Ok(if is_negative && !value.is_zero() { -value } else { value })
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_exponent(text: &str) -> Result<i32, AmountError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !is_digits(digits) {
        return Err(AmountError::NotANumber);
    }
    text.parse().map_err(|_| AmountError::TooManyDigits)
}

/// `digits` × 10^(`exponent` − `fraction_length`), exactly.
fn assemble(mut digits: String, fraction_length: usize, exponent: i32) -> Result<Decimal, AmountError> {
    if digits.bytes().all(|digit| digit == b'0') {
        let scale = u32::try_from(fraction_length.min(DIGITS_MAX)).unwrap_or(0);
        return Ok(Decimal::new(0, if exponent == 0 { scale } else { 0 }));
    }
    // the text is short, so its length fits
    let mut scale =
        i64::try_from(fraction_length).map_err(|_| AmountError::TooManyDigits)? - i64::from(exponent);
    while scale > DIGITS_MAX as i64 && digits.ends_with('0') {
        digits.pop();
        scale -= 1;
    }
    let significant = digits.trim_start_matches('0').len() as i64;
    if scale > DIGITS_MAX as i64 || significant + (-scale).max(0) > DIGITS_MAX as i64 {
        return Err(AmountError::TooManyDigits);
    }
    while scale < 0 {
        digits.push('0');
        scale += 1;
    }
    let number: i128 = digits.parse().map_err(|_| AmountError::TooManyDigits)?;
    let scale = u32::try_from(scale).map_err(|_| AmountError::TooManyDigits)?;
    Decimal::try_from_i128_with_scale(number, scale).map_err(|_| AmountError::TooManyDigits)
}

/// An amount in an answer: a JSON number with exactly the currency's fraction digits (`125.50`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmountNumber {
    value: Decimal,
    minor_digits: u32,
}

impl AmountNumber {
    /// `minor_digits` are the currency's (2 for USD). What has more, an average, is rounded half to even.
    #[must_use]
    pub fn new(value: Decimal, minor_digits: u32) -> Self {
        Self { value, minor_digits }
    }
}

impl Serialize for AmountNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = self.value.round_dp(self.minor_digits);
        value.rescale(self.minor_digits);
        // "-0.00" is no amount
        let text = if value.is_zero() { value.abs().to_string() } else { value.to_string() };
        RawValue::from_string(text).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

/// A number in OpenAPI.
fn number_schema(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Number).description(Some(description)).into()
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        number_schema("an exact decimal amount, as a number or as a string")
    }
}

impl ToSchema for Amount {}

impl PartialSchema for AmountNumber {
    fn schema() -> RefOr<Schema> {
        number_schema("an exact decimal amount with the currency's fraction digits")
    }
}

impl ToSchema for AmountNumber {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Decimal, String> {
        serde_json::from_str::<Amount>(json).map(|amount| amount.0).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_and_strings_are_read_exactly() {
        let table = [
            ("10.00", "10.00"),
            ("\"10.00\"", "10.00"),
            ("\"\\u0031\"", "1"),
            ("1e1", "10"),
            ("1E+1", "10"),
            ("125.5e-1", "12.55"),
            ("0.1", "0.1"),
            ("-5", "-5"),
            ("-0", "0"),
            ("0e99999", "0"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1234567890123456789012345678", "1234567890123456789012345678"),
            ("1.0e-28", "0.0000000000000000000000000001"),
        ];
        for (json, expected) in table {
            assert_eq!(read(json).map(|value| value.to_string()), Ok(expected.to_owned()), "{json}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        let table = [
            "\"\"",
            "\"NaN\"",
            "\"Infinity\"",
            "\"1,5\"",
            "\" 1\"",
            "\"1 \"",
            "\"+1\"",
            "\"01\"",
            "\"1.\"",
            "\".5\"",
            "\"1_000\"",
            "\"0x10\"",
            "\"1e\"",
            "\"--1\"",
            "\"\u{661}\"",
            "null",
            "true",
            "[1]",
            "{}",
            "1e29",
            "1e999999999999",
            "1e-29",
            "12345678901234567890123456789",
            "\"1e-2147483648\"",
            "\"1e2147483647\"",
        ];
        for json in table {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(read(&"9".repeat(1_000)).is_err());
    }

    #[test]
    fn answers_have_the_currencys_digits() {
        let number = |value: &str, digits| {
            let value = value.parse().expect("decimal");
            serde_json::to_string(&AmountNumber::new(value, digits)).expect("serialises")
        };
        assert_eq!(number("125.5", 2), "125.50");
        assert_eq!(number("0", 2), "0.00");
        assert_eq!(number("1500", 0), "1500");
        assert_eq!(number("1.5", 3), "1.500");
        assert_eq!(number("0.125", 2), "0.12");
        assert_eq!(number("-0.001", 2), "0.00");
        assert_eq!(number("-3.10", 2), "-3.10");
    }

    proptest! {
        #[test]
        fn amounts_round_trip(minor in 0_i64..=i64::MAX, digits in 0_u32..=4, is_text: bool) {
            let value = Decimal::new(minor, digits);
            let json = serde_json::to_string(&AmountNumber::new(value, digits)).expect("serialises");
            let json = if is_text { format!("\"{json}\"") } else { json };
            prop_assert_eq!(read(&json), Ok(value));
        }

        #[test]
        fn any_text_is_judged_without_panic(text: String) {
            let _ = parse_amount(&text);
        }

        #[test]
        fn any_number_is_judged_without_panic(text in "-?[0-9]{1,40}(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,12})?") {
            let _ = parse_amount(&text);
        }
    }
}
