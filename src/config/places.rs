//! Countries and continents, by the codes that GeoIP databases use.

use std::{fmt, str::FromStr};

use crate::types::as_text;

/// Every country that has a code (ISO 3166-1 alpha-2, as of 2025), and Kosovo's, which databases use though ISO 3166 has none.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG \
    GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ \
    LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR \
    NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ \
    TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Africa, Antarctica, Asia, Europe, North America, Oceania, South America.
const CONTINENTS: &str = "AF AN AS EU NA OC SA";

/// Two upper-case letters.
pub type Code = [u8; 2];

fn code(text: &str, known: &str) -> Option<Code> {
    let code: Code = text.as_bytes().try_into().ok()?;
    known.as_bytes().chunks(3).any(|known| known.starts_with(&code)).then_some(code)
}

fn print(code: Code, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    code.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
}

/// A country, by its code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country(Code);

impl Country {
    /// Its code.
    #[must_use]
    pub fn code(self) -> Code {
        self.0
    }
}

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        code(text, COUNTRIES).map(Self).ok_or_else(|| {
            let upper = text.to_ascii_uppercase();
            match upper.as_str() {
                "UK" => format!("`{text}` is not the code of a country; the United Kingdom is `GB`"),
                "EL" => format!("`{text}` is not the code of a country; Greece is `GR`"),
                "EU" => format!("`{text}` is not the code of a country; as a continent it stands in `continents`"),
                _ if code(&upper, COUNTRIES).is_some() => format!("`{text}` is not the code of a country; write it in capitals: `{upper}`"),
                _ => format!("`{text}` is not the code of a country; write two letters of ISO 3166, such as `DE`"),
            }
        })
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, f)
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, f)
    }
}

as_text!(Country, "Country", { "pattern": "^[A-Z]{2}$", "examples": ["DE", "JP"] });

/// A continent, by its code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Continent(Code);

impl Continent {
    /// Its code.
    #[must_use]
    pub fn code(self) -> Code {
        self.0
    }
}

impl FromStr for Continent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = "one of `AF`, `AN`, `AS`, `EU`, `NA`, `OC` and `SA`";
        code(text, CONTINENTS).map(Self).ok_or_else(|| format!("`{text}` is not the code of a continent; write {all}"))
    }
}

impl fmt::Display for Continent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, f)
    }
}

impl fmt::Debug for Continent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, f)
    }
}

as_text!(Continent, "Continent", { "enum": ["AF", "AN", "AS", "EU", "NA", "OC", "SA"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_whole_and_in_capitals() {
        for known in COUNTRIES.split(' ') {
            assert_eq!(known.parse::<Country>().unwrap().to_string(), known);
        }
        assert_eq!(COUNTRIES.split(' ').count(), 250);
        assert!(COUNTRIES.split(' ').is_sorted());
        for text in ["", "D", "de", "DEU", "E ", " D", "ZZ", "UK", "EU", "D\u{c9}"] {
            assert!(text.parse::<Country>().is_err(), "{text:?}");
        }
        for known in CONTINENTS.split(' ') {
            assert_eq!(known.parse::<Continent>().unwrap().to_string(), known);
        }
        for text in ["", "F ", "eu", "US", "EUR"] {
            assert!(text.parse::<Continent>().is_err(), "{text:?}");
        }
    }
}
