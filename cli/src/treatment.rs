//! What is wrong with the pictures of a film, and what is done about it before they are enlarged.

use serde::{Deserialize, Serialize};

use crate::{
    borders::Borders,
    clean::{Clean, Cleaning, Quality},
    crop::Crop,
};

/// What the pass that decodes a film once found in its pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    pub borders: Borders,
    /// `None` if the pictures show too little.
    pub quality: Option<Quality>,
}

/// What is done to each picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Treatment {
    /// What is cut off.
    pub borders: Borders,
    /// How it is cleaned. `None`: not at all.
    pub cleaning: Option<Cleaning>,
}

impl Treatment {
    /// What the options ask for. Without findings, nothing that depends on them is done.
    pub fn of(findings: Option<&Findings>, crop: Crop, clean: Clean) -> Self {
        let borders = findings.filter(|_| crop == Crop::Auto).map(|found| found.borders);
        let quality = findings.and_then(|found| found.quality.as_ref());
        Self { borders: borders.unwrap_or_default(), cleaning: clean.cleaning(quality) }
    }

    /// The elements that carry it out, in the syntax of `gst-launch-1.0`, each followed by `!`. The
    /// pictures are cleaned first, since traces of compression are aligned to the whole picture.
    pub fn elements(&self) -> String {
        format!("{} {}", Cleaning::element(self.cleaning), self.borders.element())
    }
}

impl Findings {
    /// Sentences about what was found and what the treatment does about it. That nothing was found is
    /// said only to a user who asked with [`Clean::Auto`].
    pub fn report(&self, treatment: &Treatment, clean: Clean) -> Vec<String> {
        let borders = match (self.borders.is_none(), treatment.borders.is_none()) {
            (true, _) => None,
            (false, true) => Some(format!("{}; --crop auto removes them", self.borders)),
            (false, false) => Some(format!("{}: removed", self.borders)),
        };
        let quality = match (&self.quality, &treatment.cleaning) {
            (Some(quality), Some(cleaning)) => Some(format!("{quality}: {cleaning}")),
            (None, Some(cleaning)) => Some(cleaning.to_string()),
            (Some(quality), None) if quality.threshold().is_some() => {
                Some(format!("{quality}; --clean auto cleans the pictures"))
            }
            (Some(quality), None) if clean == Clean::Auto => Some(quality.to_string()),
            (None, None) if clean == Clean::Auto => {
                Some("the pictures show too little to tell whether they are clean".into())
            }
            _ => None,
        };
        [borders, quality].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRTY: Quality = Quality { loss: 0.2, grid: 0.05, noise: 0.0 };

    fn found(quality: Quality) -> Findings {
        let borders = Borders { left: 0, top: 16, right: 0, bottom: 16 };
        Findings { borders, quality: Some(quality) }
    }

    #[test]
    fn nothing_is_done_without_an_option_and_what_was_found_is_reported() {
        let found = found(DIRTY);
        let treatment = Treatment::of(Some(&found), Crop::Off, Clean::Off);
        assert_eq!(treatment, Treatment::default());
        let report = found.report(&treatment, Clean::Off);
        assert!(report[0].ends_with("--crop auto removes them"), "{report:?}");
        assert!(report[1].ends_with("--clean auto cleans the pictures"), "{report:?}");
    }

    #[test]
    fn auto_does_what_the_film_needs() {
        let dirty = found(DIRTY);
        let treatment = Treatment::of(Some(&dirty), Crop::Auto, Clean::Auto);
        assert_eq!(treatment.borders, dirty.borders);
        assert!(treatment.cleaning.is_some());
        assert!(dirty.report(&treatment, Clean::Auto)[1].contains("cleaned"));
        let clean = found(Quality { loss: 0.01, ..DIRTY });
        let treatment = Treatment::of(Some(&clean), Crop::Off, Clean::Auto);
        assert_eq!(treatment.elements().trim(), "");
        assert!(clean.report(&treatment, Clean::Auto)[1].starts_with("clean "));
        assert_eq!(clean.report(&treatment, Clean::Off).len(), 1);
        assert_eq!(Treatment::of(None, Crop::Auto, Clean::Auto), Treatment::default());
    }

    #[test]
    fn a_film_that_cannot_be_measured_is_cleaned_as_the_user_says() {
        let cleaning = |clean| Treatment::of(None, Crop::Off, clean).cleaning.unwrap().threshold;
        assert!(cleaning(Clean::Light) < cleaning(Clean::Strong));
    }
}
