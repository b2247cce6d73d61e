//! A page with charts and tables, which `bench` and `selftest` write.

use std::{io::Write as _, path::PathBuf};

use serde::Serialize;

use super::document;
use crate::part_file::{self, Force, PartFile};

/// The option `--html`.
#[derive(Clone, Debug, clap::Args)]
pub struct Output {
    /// Also write the results as a page for a browser, which needs nothing but itself.
    #[arg(long, value_name = "PAGE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    force: Force,
}

/// What the page shows.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub title: String,
    /// Lines below the title.
    pub about: Vec<String>,
    pub charts: Vec<Chart>,
    pub tables: Vec<Table>,
}

/// Bars of the same unit.
#[derive(Debug, Serialize)]
pub struct Chart {
    pub title: String,
    pub unit: String,
    /// Names and values.
    pub bars: Vec<(String, f64)>,
}

#[derive(Debug, Serialize)]
pub struct Table {
    pub title: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// What the columns mean.
    pub note: String,
}

impl Report {
    /// The file's content.
    pub fn html(&self) -> String {
        document(include_str!("report.html"), self)
    }
}

impl Output {
    /// Checks, before any work is done, that the page can be written.
    ///
    /// # Errors
    /// See [`part_file::check`].
    pub fn check(&self) -> Result<(), part_file::Error> {
        let Some(path) = &self.html else { return Ok(()) };
        part_file::check(std::path::Path::new(""), path, self.force.if_exists())
    }

    /// Writes the page, if one is wanted.
    ///
    /// # Errors
    /// See [`part_file::Error`].
    pub fn write(&self, report: impl FnOnce() -> Report) -> Result<(), part_file::Error> {
        let Some(path) = &self.html else { return Ok(()) };
        let part = PartFile::create(path)?;
        part.complete(|mut file| file.write_all(report().html().as_bytes()))?;
        part.finish(self.force.if_exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_small_and_needs_nothing_from_outside() {
        let html = Report::default().html();
        assert!(html.contains("default-src 'none'") && html.contains("\"charts\":[]"));
        for outside in ["http://", "https://", "//cdn", "@import", "{style}", "{data}"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.len() < 20_000);
    }
}
