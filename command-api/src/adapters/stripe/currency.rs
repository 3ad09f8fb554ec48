//! Stripe's minor units, which are not always those of ISO 4217.

use schemas::{Currency, Money, MoneyError};
use thiserror::Error;

/// Amounts in these have no fraction on the wire.
const ZERO_DECIMAL: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF",
];
/// Amounts in these are in thousandths, of which the last digit must be 0.
const THREE_DECIMAL: &[&str] = &["BHD", "JOD", "KWD", "OMR", "TND"];
/// Without fraction by ISO 4217, in hundredths on the wire, whole units only.
const WHOLE_IN_HUNDREDTHS: &str = "ISK";
/// Stripe describes it both as without fraction and in hundredths: a hundredfold charge is no risk to take.
const CONTRADICTORY: &str = "UGX";

/// Why an amount cannot be charged, or an answer's amount not be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(super) enum CurrencyError {
    #[error("stripe cannot charge in {0}")]
    Unsupported(&'static str),
    #[error("stripe cannot charge an amount in {0} that fine")]
    TooFine(&'static str),
    #[error("amount is out of range")]
    OutOfRange,
    #[error("answer has no known currency")]
    Unknown(#[source] MoneyError),
}

/// Fraction digits on the wire.
fn wire_digits(currency: Currency) -> Result<u32, CurrencyError> {
    let code = currency.code();
    match currency.minor_digits() {
        _ if ZERO_DECIMAL.contains(&code) => Ok(0),
        _ if THREE_DECIMAL.contains(&code) => Ok(3),
        _ if code == WHOLE_IN_HUNDREDTHS => Ok(2),
        2 if code != CONTRADICTORY => Ok(2),
        _ => Err(CurrencyError::Unsupported(code)),
    }
}

/// The amount as an integer, and the currency's name.
pub(super) fn to_stripe(money: Money) -> Result<(i64, String), CurrencyError> {
    let currency = money.currency();
    let (wire, iso) = (wire_digits(currency)?, currency.minor_digits());
    let too_fine = CurrencyError::TooFine(currency.code());
    let amount = money.minor_units();
    let amount = if wire >= iso {
        amount.checked_mul(10_i64.pow(wire - iso)).ok_or(CurrencyError::OutOfRange)?
    } else {
        let unit = 10_i64.pow(iso - wire);
        if amount % unit != 0 {
            return Err(too_fine);
        }
        amount / unit
    };
    if wire == 3 && amount % 10 != 0 {
        return Err(too_fine);
    }
    Ok((amount, currency.code().to_ascii_lowercase()))
}

/// The way back.
pub(super) fn from_stripe(amount: i64, currency: &str) -> Result<Money, CurrencyError> {
    let currency: Currency = currency.to_ascii_uppercase().parse().map_err(CurrencyError::Unknown)?;
    let (wire, iso) = (wire_digits(currency)?, currency.minor_digits());
    let amount = if wire > iso {
        let unit = 10_i64.pow(wire - iso);
        if amount % unit != 0 {
            return Err(CurrencyError::TooFine(currency.code()));
        }
        amount / unit
    } else {
        amount.checked_mul(10_i64.pow(iso - wire)).ok_or(CurrencyError::OutOfRange)?
    };
    Money::from_minor(amount, currency).map_err(|_| CurrencyError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(amount: &str, currency: &str) -> Result<i64, CurrencyError> {
        let money = Money::new(amount.parse().unwrap(), currency.parse().unwrap()).unwrap();
        let (amount, name) = to_stripe(money)?;
        assert_eq!(from_stripe(amount, &name), Ok(money));
        Ok(amount)
    }

    #[test]
    fn each_currency_has_its_own_units_on_the_wire() {
        for (amount, currency, expected) in [
            ("10.00", "USD", Ok(1_000)),
            ("0.01", "EUR", Ok(1)),
            ("500", "JPY", Ok(500)),
            ("5", "ISK", Ok(500)),
            ("7", "MGA", Ok(7)),
            ("7.20", "MGA", Err(CurrencyError::TooFine("MGA"))),
            ("5.120", "KWD", Ok(5_120)),
            ("5.124", "KWD", Err(CurrencyError::TooFine("KWD"))),
            ("5", "UGX", Err(CurrencyError::Unsupported("UGX"))),
            ("5.000", "IQD", Err(CurrencyError::Unsupported("IQD"))),
        ] {
            assert_eq!(wire(amount, currency), expected, "{amount} {currency}");
        }
        assert_eq!(from_stripe(501, "isk"), Err(CurrencyError::TooFine("ISK")));
        assert!(matches!(from_stripe(1, "zzz"), Err(CurrencyError::Unknown(_))));
    }
}
