//! What all pages for a browser share: their style, the divider of a comparison, and pages of one file
//! that load nothing.

mod report;

use serde::Serialize;

pub use report::{Chart, Output, Report, Table};

/// The style of all pages.
pub const STYLE: &str = include_str!("style.css");

/// A module of JavaScript that divides two pictures.
pub const DIVIDER: &str = include_str!("divider.js");

/// A page of one file. In the template, `{style}` and `{divider}` are replaced by what all pages share,
/// and `{data}` by `data` as JSON.
pub fn document(template: &str, data: &impl Serialize) -> String {
    // `<` would let a name end the element that holds the data.
    let data = serde_json::to_string(data).unwrap_or_default().replace('<', "\\u003c");
    let divider = DIVIDER.replace("export ", "");
    // The data comes last: it may contain the other places.
    template.replace("{style}", STYLE).replace("{divider}", &divider).replacen("{data}", &data, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_become_code() {
        let data = "</script><script>alert(1)</script>{style}";
        let page = document("<style>{style}</style><script>{data}</script>", &data);
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("{style}\""), "a name is shown as it is");
        assert_eq!(page.matches("system-ui").count(), 1);
    }
}
