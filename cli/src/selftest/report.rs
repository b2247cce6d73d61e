//! The table of results, printed row by row.

use std::fmt;

use crate::{error::Error, page, print};

/// The result of a check, with a figure or a reason.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Passed(String),
    Failed(String),
    /// The check does not apply to this machine or model.
    NotAvailable(String),
}

impl Outcome {
    /// Passed or failed, with `detail`.
    pub fn new(passed: bool, detail: String) -> Self {
        if passed { Self::Passed(detail) } else { Self::Failed(detail) }
    }

    /// The result of a check; an error is a failure.
    pub fn from_result(result: Result<Self, Error>) -> Self {
        result.unwrap_or_else(|error| Self::Failed(error.to_string()))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(detail) => write!(f, "passed  {detail}"),
            Self::Failed(reason) => write!(f, "FAILED  {reason}"),
            Self::NotAvailable(reason) => write!(f, "not available: {reason}"),
        }
    }
}

/// Prints and counts results.
#[derive(Debug, Default)]
pub struct Report {
    passed: u32,
    failed: u32,
    not_available: u32,
    /// The check, what it ran on, its result, and the figure or the reason.
    rows: Vec<Vec<String>>,
}

impl Report {
    /// Prints a row: the check, what it ran on, and its result.
    ///
    /// # Errors
    /// See [`print::Error`].
    pub fn add(&mut self, check: &str, on: &str, outcome: Outcome) -> Result<(), print::Error> {
        *match &outcome {
            Outcome::Passed(_) => &mut self.passed,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::NotAvailable(_) => &mut self.not_available,
        } += 1;
        let (result, detail) = match &outcome {
            Outcome::Passed(detail) => ("passed", detail),
            Outcome::Failed(reason) => ("FAILED", reason),
            Outcome::NotAvailable(reason) => ("not available", reason),
        };
        self.rows.push([check, on, result, detail].map(str::to_owned).to_vec());
        say!("{check:<38} {on:<14} {outcome}")
    }

    /// How many checks had each result.
    fn summary(&self) -> String {
        let Self { passed, failed, not_available, .. } = self;
        format!("{passed} passed, {failed} failed, {not_available} not available")
    }

    /// The results as a page, with lines about the machine and the model.
    pub fn page(&self, about: [String; 2]) -> page::Report {
        let mut lines = vec![self.summary()];
        lines.extend(about);
        page::Report {
            title: "gst-upscale selftest".into(),
            about: lines,
            charts: Vec::new(),
            tables: vec![page::Table {
                title: "Checks".into(),
                head: ["check", "on", "result", "figure or reason"].map(str::to_owned).to_vec(),
                rows: self.rows.clone(),
                note: String::new(),
            }],
        }
    }

    /// Prints how many checks had each result.
    ///
    /// # Errors
    /// See [`print::Error`].
    pub fn print_summary(&self) -> Result<(), print::Error> {
        say!("\n{}", self.summary())
    }

    /// Whether at least one check passed and none failed.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_not_available_neither_passes_nor_fails() {
        let mut report = Report::default();
        report.add("a", "cuda", Outcome::NotAvailable("no device".into())).unwrap();
        assert!(!report.is_success());
        report.add("a", "cpu", Outcome::new(true, String::new())).unwrap();
        assert!(report.is_success());
        report.add("b", "cpu", Outcome::new(false, String::new())).unwrap();
        assert!(!report.is_success());
        assert_eq!((report.passed, report.failed, report.not_available), (1, 1, 1));
    }
}
