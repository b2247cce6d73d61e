//! Which of the models at hand suits the content.

use gstupscale::model::catalogue;

use super::{Content, FALLBACK, Kind};

/// Models by name, the best first. On a film, large networks take seconds per frame on most machines, so
/// only small ones are considered. The last one is built in.
const DRAWN_FILM: &[&str] = &["realesr-animevideov3", "2x_ModernSpanimationV1", "builtin-quality"];
const DRAWN_PICTURE: &[&str] =
    &["RealESRGAN_x4plus_anime_6B", "realesr-animevideov3", "builtin-quality"];
const PHOTOGRAPHED_FILM: &[&str] = &["realesr-general-x4v3", "builtin-quality"];
const PHOTOGRAPHED_PICTURE: &[&str] = &[
    "RealESRGAN_x4plus",
    "RealESRGAN_x2plus",
    "4xNomosWebPhoto_RealPLKSR",
    "realesr-general-x4v3",
    "builtin-quality",
];

/// A model that suits the content and can be opened, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its name in the catalogue.
    pub model: &'static str,
    /// A sentence for the user.
    pub reason: String,
}

/// Chooses among the models that are built in or were downloaded.
pub(super) fn choose(content: &Content) -> Choice {
    choose_among(content, |name| catalogue::find(name).is_some_and(catalogue::Entry::is_here))
}

fn choose_among(content: &Content, is_here: impl Fn(&str) -> bool) -> Choice {
    let names = match (content.kind(), content.is_picture) {
        (Kind::Drawn, false) => DRAWN_FILM,
        (Kind::Drawn, true) => DRAWN_PICTURE,
        (Kind::Photographed, false) => PHOTOGRAPHED_FILM,
        (Kind::Photographed, true) => PHOTOGRAPHED_PICTURE,
        (Kind::Unclear, _) => &[FALLBACK],
    };
    let found = names.iter().copied().find(|name| is_here(name));
    let model = found.unwrap_or(FALLBACK);
    let better = names.iter().copied().take_while(|&name| name != model).next();
    let missing = better.map(|name| format!("; {name}, which suits it better, is not downloaded"));
    Choice { model, reason: format!("model {model}: {content}{}", missing.unwrap_or_default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(score: f64, is_picture: bool) -> Content {
        Content { scores: vec![score; 6], is_picture }
    }

    #[test]
    fn the_best_model_at_hand_is_chosen_and_a_better_one_is_named() {
        let choice = choose_among(&content(2.0, false), |_| true);
        assert_eq!(choice.model, "realesr-animevideov3");
        assert_eq!(choice.reason, "model realesr-animevideov3: the film is drawn (6 of 6 scenes)");
        let choice = choose_among(&content(-1.0, true), |name| name.starts_with("builtin"));
        assert_eq!(choice.model, "builtin-quality");
        let reason = "model builtin-quality: the picture is photographed; RealESRGAN_x4plus, which \
                      suits it better, is not downloaded";
        assert_eq!(choice.reason, reason);
        let choice = choose_among(&content(0.1, false), |_| true);
        assert_eq!(choice.reason, "model builtin-quality: the film is drawn or photographed");
    }

    #[test]
    fn every_list_names_models_of_the_catalogue_and_ends_with_a_built_in_one() {
        for list in [DRAWN_FILM, DRAWN_PICTURE, PHOTOGRAPHED_FILM, PHOTOGRAPHED_PICTURE] {
            let entries = list.iter().map(|name| catalogue::find(name).unwrap());
            assert_eq!(entries.filter(|entry| entry.url.is_none()).count(), 1);
            assert_eq!(list.last(), Some(&"builtin-quality"));
        }
    }
}
