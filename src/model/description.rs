//! What a model file says about itself.

/// The longest text, in characters.
const MAX_LENGTH: usize = 400;

/// Each statement, with the keys of metadata that make it: those of ModelSpec
/// (Stability-AI/ModelSpec) and plain ones, in order of preference.
const STATEMENTS: [(&str, &[&str]); 5] = [
    ("title", &["modelspec.title", "title", "name"]),
    ("author", &["modelspec.author", "author"]),
    ("licence", &["modelspec.license", "license", "licence"]),
    ("about", &["modelspec.description", "description"]),
    ("tags", &["modelspec.tags", "tags", "purpose"]),
];

/// The architecture of a model and the statements of its file's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The name of the architecture, if the weights were recognized.
    pub architecture: Option<&'static str>,
    /// Statements such as ("licence", "MIT"): one line each, of at most 400 characters.
    pub statements: Vec<(&'static str, String)>,
}

impl Description {
    /// The description by the metadata of a file.
    pub(super) fn of<'m>(metadata: impl Iterator<Item = (&'m str, &'m str)> + Clone) -> Self {
        let value = |wanted: &str| {
            let mut entries = metadata.clone();
            let (_, value) = entries.find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
            Some(one_line(value)).filter(|text| !text.is_empty())
        };
        let statements = STATEMENTS
            .iter()
            .filter_map(|&(label, keys)| Some((label, keys.iter().find_map(|key| value(key))?)))
            .collect();
        Self { architecture: None, statements }
    }
}

/// The words of a text on one line, without control characters.
fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(MAX_LENGTH)
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_lines_without_control_characters() {
        let metadata = [
            ("license", "MIT"),
            ("modelspec.title", "Two\n lines \u{1b}[31m"),
            ("modelspec.license", "CC-BY-4.0"),
            ("author", " \n"),
            ("other", "ignored"),
        ];
        assert_eq!(
            Description::of(metadata.into_iter()).statements,
            [("title", "Two lines [31m".to_owned()), ("licence", "CC-BY-4.0".to_owned())]
        );
    }
}
