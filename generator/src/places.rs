//! Where people are: countries with their clocks, languages, cities and money.

use crate::dice::Dice;

/// A country.
pub(crate) struct Country {
    /// ISO 3166-1 alpha-2.
    pub(crate) code: &'static str,
    /// Its share of the world's audience.
    weight: f64,
    /// Its clock's minutes ahead of UTC, where most of its people live. Summer time is left out.
    pub(crate) offset_minutes: i64,
    /// What is written there, as names of the texts' languages; the first one mostly.
    languages: &'static [&'static str],
    /// Its large cities, the largest first.
    cities: &'static [&'static str],
    /// What its creators are paid in, by ISO 4217.
    pub(crate) currency: &'static str,
}

/// A place in [`COUNTRIES`].
pub(crate) type CountryIndex = usize;

macro_rules! countries {
    ($($code:literal $weight:literal $offset:literal $currency:literal [$($language:literal)+] [$($city:literal)+])+) => {
        &[$(Country {
            code: $code, weight: $weight, offset_minutes: $offset, currency: $currency,
            languages: &[$($language),+], cities: &[$($city),+],
        }),+]
    };
}

pub(crate) const COUNTRIES: &[Country] = countries! {
    "US" 19.0 -300 "USD" ["en" "en" "en" "es"] ["New York" "Los Angeles" "Chicago" "Houston" "Seattle" "Austin"]
    "BR" 9.0 -180 "BRL" ["pt"] ["São Paulo" "Rio de Janeiro" "Recife" "Curitiba"]
    "DE" 8.0 60 "EUR" ["de" "de" "en"] ["Berlin" "Hamburg" "Munich" "Cologne" "Jena"]
    "IN" 8.0 330 "INR" ["en" "hi"] ["Mumbai" "Delhi" "Bengaluru" "Chennai"]
    "GB" 6.0 0 "GBP" ["en"] ["London" "Manchester" "Glasgow" "Bristol"]
    "JP" 6.0 540 "JPY" ["ja"] ["Tokyo" "Osaka" "Nagoya" "Sapporo"]
    "FR" 5.5 60 "EUR" ["fr" "fr" "en"] ["Paris" "Lyon" "Marseille" "Lille"]
    "MX" 5.0 -360 "MXN" ["es"] ["Mexico City" "Guadalajara" "Monterrey"]
    "ES" 4.5 60 "EUR" ["es"] ["Madrid" "Barcelona" "Valencia" "Sevilla"]
    "ID" 4.0 420 "USD" ["en"] ["Jakarta" "Surabaya" "Bandung"]
    "KR" 4.0 540 "USD" ["ko"] ["Seoul" "Busan" "Incheon"]
    "IT" 3.5 60 "EUR" ["it"] ["Milan" "Rome" "Turin" "Naples"]
    "CA" 3.5 -300 "CAD" ["en" "en" "fr"] ["Toronto" "Montreal" "Vancouver"]
    "PL" 3.0 60 "PLN" ["pl" "pl" "en"] ["Warsaw" "Kraków" "Gdańsk"]
    "TR" 3.0 180 "USD" ["tr"] ["Istanbul" "Ankara" "İzmir"]
    "AR" 2.5 -180 "USD" ["es"] ["Buenos Aires" "Córdoba" "Rosario"]
    "PH" 2.5 480 "USD" ["en"] ["Manila" "Cebu City" "Davao"]
    "AU" 2.5 600 "AUD" ["en"] ["Sydney" "Melbourne" "Brisbane" "Perth"]
    "NL" 2.0 60 "EUR" ["en" "de"] ["Amsterdam" "Rotterdam" "Utrecht"]
    "EG" 1.5 120 "USD" ["ar"] ["Cairo" "Alexandria"]
    "SE" 1.5 60 "SEK" ["en"] ["Stockholm" "Gothenburg" "Malmö"]
    "NG" 1.5 60 "USD" ["en"] ["Lagos" "Abuja"]
    "PT" 1.0 0 "EUR" ["pt"] ["Lisbon" "Porto"]
    "NZ" 0.5 720 "NZD" ["en"] ["Auckland" "Wellington"]
};

impl Country {
    /// One of all, by their shares.
    pub(crate) fn any(dice: &mut Dice) -> CountryIndex {
        dice.weighted(COUNTRIES.iter().map(|country| country.weight))
    }

    pub(crate) fn language(&self, dice: &mut Dice) -> &'static str {
        let language: &&'static str = dice.pick(self.languages);
        language
    }

    /// Larger cities more often, as Zipf found.
    pub(crate) fn city(&self, dice: &mut Dice) -> &'static str {
        let weights = (0..self.cities.len()).map(|rank| 1.0 / (rank + 1) as f64);
        self.cities[dice.weighted(weights)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Currency;

    #[test]
    fn every_country_can_be_used() {
        for country in COUNTRIES {
            assert!(country.currency.parse::<Currency>().is_ok(), "{}", country.code);
            assert!((-720..=840).contains(&country.offset_minutes), "{}", country.code);
            assert!(country.languages.iter().all(|language| crate::texts::has(language)), "{}", country.code);
        }
    }
}
