//! Money: exact decimal amounts with an ISO 4217 currency. Never floats.

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Cow, fmt, str::FromStr};
use thiserror::Error;

/// An ISO 4217 currency in use, by its alphabetic code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The US dollar, the default of a show.
    pub const USD: Self = Self(iso_currency::Currency::USD);

    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point, by ISO 4217 (2 for USD, 0 for JPY, 3 for KWD).
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some() && !currency.flags().iter().any(is_no_tender))
            .map(Self)
            .ok_or(MoneyError::UnknownCurrency)
    }
}

/// Test codes, funds and units that nobody can pay with.
fn is_no_tender(flag: &iso_currency::Flag) -> bool {
    use iso_currency::Flag;
    matches!(flag, Flag::Special | Flag::Fund | Flag::Superseded(_))
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code" })
    }
}

/// Why an amount of money was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MoneyError {
    /// No ISO 4217 currency that can be paid with.
    #[error("not a currency: use an ISO 4217 code such as USD")]
    UnknownCurrency,
    /// More fraction digits than the currency has.
    #[error("more fraction digits than the currency has")]
    TooPrecise,
    /// Larger than [`Money::MAX_MAJOR_UNITS`] either way.
    #[error("amount out of range")]
    OutOfRange,
    /// Two currencies in one sum.
    #[error("amounts of different currencies cannot be added")]
    CurrencyMismatch,
}

/// An exact amount in one currency, with exactly the currency's fraction digits. May be negative (corrections).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

impl Money {
    /// The largest absolute amount in major units: far above any payment, far below where decimals lose digits.
    pub const MAX_MAJOR_UNITS: i64 = 1_000_000_000_000_000;

    /// # Errors
    /// [`MoneyError::TooPrecise`] or [`MoneyError::OutOfRange`]. Trailing zeros beyond the currency's digits are no precision.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        if amount.abs() > Decimal::from(Self::MAX_MAJOR_UNITS) {
            return Err(MoneyError::OutOfRange);
        }
        let mut amount = amount.normalize();
        if amount.scale() > currency.minor_digits() {
            return Err(MoneyError::TooPrecise);
        }
        amount.rescale(currency.minor_digits());
        if amount.is_zero() {
            amount.set_sign_positive(true);
        }
        Ok(Self { amount, currency })
    }

    /// Nothing, in a currency.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self { amount: Decimal::new(0, currency.minor_digits()), currency }
    }

    /// From minor units (cents).
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`].
    pub fn from_minor(minor_units: i64, currency: Currency) -> Result<Self, MoneyError> {
        Self::new(Decimal::new(minor_units, currency.minor_digits()), currency)
    }

    /// The amount in major units, with exactly the currency's fraction digits.
    #[must_use]
    pub fn amount(self) -> Decimal {
        self.amount
    }

    /// The currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in minor units (cents). Always exact: [`Money::MAX_MAJOR_UNITS`] leaves room for four digits.
    #[must_use]
    pub fn minor_units(self) -> i64 {
        i64::try_from(self.amount.mantissa()).unwrap_or(i64::MAX)
    }

    /// Whether the amount is above zero.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.amount > Decimal::ZERO
    }

    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::OutOfRange`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        Self::new(self.amount + other.amount, self.currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// How money is stored: the amount as text, so that no reader can make a float of it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StoredMoney {
    #[serde(with = "rust_decimal::serde::str")]
    #[schemars(with = "String")]
    amount: Decimal,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredMoney { amount: self.amount, currency: self.currency }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredMoney::deserialize(deserializer)?;
        Money::new(stored.amount, stored.currency).map_err(de::Error::custom)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        StoredMoney::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(amount: &str, code: &str) -> Result<Money, MoneyError> {
        Money::new(amount.parse().unwrap(), code.parse()?)
    }

    #[test]
    fn precision_follows_the_currency() {
        assert_eq!(money("10.5", "USD").unwrap().to_string(), "10.50 USD");
        assert_eq!(money("10.500", "USD").unwrap().to_string(), "10.50 USD");
        assert_eq!(money("10.505", "USD"), Err(MoneyError::TooPrecise));
        assert_eq!(money("10.5", "JPY"), Err(MoneyError::TooPrecise));
        assert_eq!(money("1.234", "KWD").unwrap().minor_units(), 1234);
        assert_eq!(money("-0", "USD").unwrap().to_string(), "0.00 USD");
    }

    #[test]
    fn codes_that_are_no_tender_are_refused() {
        for code in ["XXX", "XTS", "XAU", "usd", "US", "ABC", ""] {
            assert_eq!(code.parse::<Currency>(), Err(MoneyError::UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn sums_do_not_mix_currencies() {
        let usd = money("1", "USD").unwrap();
        assert_eq!(usd.checked_add(money("1", "EUR").unwrap()), Err(MoneyError::CurrencyMismatch));
    }

    proptest! {
        #[test]
        fn json_round_trips_exactly(minor in -1_000_000_000_000i64..1_000_000_000_000, code in "USD|EUR|JPY|KWD") {
            let money = Money::from_minor(minor, code.parse().unwrap()).unwrap();
            let json = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
            prop_assert_eq!(money.minor_units(), minor);
        }
    }
}
