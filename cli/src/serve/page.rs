//! The files of the page. They are part of the program, and load nothing from outside.

use crate::page::DIVIDER;

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub struct File {
    pub path: &'static str,
    pub media: &'static str,
    pub content: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

pub const FILES: [File; 10] = [
    File { path: "/", media: "text/html; charset=utf-8", content: include_str!("page/index.html") },
    File {
        path: "/style.css",
        media: "text/css; charset=utf-8",
        content: concat!(include_str!("../page/style.css"), include_str!("page/style.css")),
    },
    File { path: "/icon.svg", media: "image/svg+xml", content: include_str!("page/icon.svg") },
    File { path: "/main.js", media: SCRIPT, content: include_str!("page/main.js") },
    File { path: "/form.js", media: SCRIPT, content: include_str!("page/form.js") },
    File { path: "/crop.js", media: SCRIPT, content: include_str!("page/crop.js") },
    File { path: "/latest.js", media: SCRIPT, content: include_str!("page/latest.js") },
    File { path: "/divider.js", media: SCRIPT, content: DIVIDER },
    File { path: "/jobs.js", media: SCRIPT, content: include_str!("page/jobs.js") },
    File { path: "/compare.js", media: SCRIPT, content: include_str!("page/compare.js") },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_needs_nothing_from_outside() {
        let bytes: usize = FILES.iter().map(|file| file.content.len()).sum();
        assert!(bytes < 200_000, "{bytes}");
        for file in FILES {
            let content = file.content.replace("http://www.w3.org/2000/svg", "");
            for outside in ["http:", "https:", "//cdn", "@import", "innerHTML", "eval("] {
                assert!(!content.contains(outside), "{}: {outside}", file.path);
            }
        }
    }
}
