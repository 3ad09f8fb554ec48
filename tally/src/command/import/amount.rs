//! Amounts as YouTube shows them to a viewer: `US$5.00`, `€10.00`, `¥1,000`, `PLN 20.00`, `5,00 €`.

use rust_decimal::Decimal;
use schemas::{Currency, Money};

/// Signs that are no ISO code, the longer ones first where one ends like another. A bare `$` is the viewer's own dollar, which
/// is the United States' where nothing else is said.
const SIGNS: [(&str, &str); 30] = [
    ("US$", "USD"),
    ("CA$", "CAD"),
    ("AU$", "AUD"),
    ("A$", "AUD"),
    ("NZ$", "NZD"),
    ("HK$", "HKD"),
    ("NT$", "TWD"),
    ("MX$", "MXN"),
    ("AR$", "ARS"),
    ("CLP$", "CLP"),
    ("COL$", "COP"),
    ("SG$", "SGD"),
    ("S$", "SGD"),
    ("R$", "BRL"),
    ("S/", "PEN"),
    ("CN¥", "CNY"),
    ("JP¥", "JPY"),
    ("¥", "JPY"),
    ("￥", "JPY"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("₩", "KRW"),
    ("₹", "INR"),
    ("₱", "PHP"),
    ("₽", "RUB"),
    ("₪", "ILS"),
    ("₫", "VND"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("$", "USD"),
];

/// The amount, exactly; `None` where the text is none, or its currency is not known.
pub(super) fn parse(text: &str) -> Option<Money> {
    let is_digit_part = |c: &char| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | '’');
    let number: String = text.chars().filter(is_digit_part).collect();
    let sign: String = text.chars().filter(|c| !is_digit_part(c) && !c.is_whitespace()).collect();
    let code = SIGNS.iter().find(|(known, _)| *known == sign).map_or(sign.as_str(), |(_, code)| code);
    let currency: Currency = code.parse().ok()?;
    Money::new(decimal(&number, currency.minor_digits())?, currency).ok()
}

/// The last separator divides the fraction where as many digits follow as the currency has; all others group thousands.
fn decimal(number: &str, minor_digits: u32) -> Option<Decimal> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let fraction_digits = usize::try_from(minor_digits).ok()?;
    let last = number.rfind(['.', ',']);
    let (whole, fraction) = match last {
        Some(at) if fraction_digits > 0 && number.len() - at - 1 == fraction_digits => {
            (digits(&number[..at]), digits(&number[at + 1..]))
        }
        Some(_) | None => (digits(number), String::new()),
    };
    if whole.is_empty() {
        return None;
    }
    let text = if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (shown, wanted) in [
            ("US$5.00", "5.00 USD"),
            ("$1,234.50", "1234.50 USD"),
            ("€10.00", "10.00 EUR"),
            ("10,00\u{a0}€", "10.00 EUR"),
            ("¥1,000", "1000 JPY"),
            ("￥500", "500 JPY"),
            ("₩5,000", "5000 KRW"),
            ("CA$6.99", "6.99 CAD"),
            ("R$20,00", "20.00 BRL"),
            ("PLN\u{a0}20.00", "20.00 PLN"),
            ("CHF 1'250.00", "1250.00 CHF"),
            ("ARS 1.000,00", "1000.00 ARS"),
            ("₹40.00", "40.00 INR"),
            ("NT$150.00", "150.00 TWD"),
            ("$1,000", "1000.00 USD"),
        ] {
            assert_eq!(parse(shown).map(|money| money.to_string()).as_deref(), Some(wanted), "{shown}");
        }
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for shown in ["", "5.00", "US$", "XYZ 5.00", "free", "¤5.00"] {
            assert_eq!(parse(shown), None, "{shown}");
        }
    }
}
