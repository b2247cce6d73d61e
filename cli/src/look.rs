//! How enlarged video looks: film grain by the speed of a film stock, and `--look`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Film stocks by their speed, from fine to coarse grain, with the value of the property `grain` that
/// resembles them.
pub const STOCKS: [(&str, &str); 3] = [("iso50", "0.2"), ("iso250", "0.4"), ("iso500", "0.6")];

/// The value of the property `grain` for what the user wrote: the name of a stock, or a number.
pub fn grain(text: &str) -> &str {
    STOCKS.iter().find(|(name, _)| *name == text).map_or(text, |(_, value)| value)
}

/// `--look`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// The picture of the model.
    #[default]
    Model,
    /// Less synthetic: 90 % of the model's picture and 10 % of a Lanczos enlargement, and the grain of
    /// iso50. --blend and --grain take precedence.
    Natural,
}

impl Look {
    /// Adds what the look needs to the values of the element's properties, unless they are set.
    pub fn complete(self, values: &mut BTreeMap<String, String>) {
        let needed = match self {
            Self::Model => [].as_slice(),
            Self::Natural => &[("blend", "0.9"), ("grain", "0.2")],
        };
        for (name, value) in needed {
            values.entry((*name).into()).or_insert_with(|| (*value).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_leaves_what_the_user_sets() {
        let mut values: BTreeMap<_, _> = [("grain".to_owned(), "iso500".to_owned())].into();
        Look::Model.complete(&mut values);
        assert_eq!(values.len(), 1);
        Look::Natural.complete(&mut values);
        assert_eq!(values["blend"], "0.9");
        assert_eq!(values["grain"], "iso500");
    }

    #[test]
    fn faster_stocks_have_more_grain() {
        let strengths = STOCKS.map(|(name, _)| grain(name).parse::<f64>().unwrap());
        assert!(strengths.is_sorted() && strengths[0] > 0.0 && strengths[2] < 1.0);
        assert_eq!(grain("0.35"), "0.35");
    }
}
