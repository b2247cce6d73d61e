//! The table, row by row as the checks end.

use std::{error::Error, fmt};

use crate::print;

/// How a check ended, and the figure or the reason.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Passed(String),
    Failed(String),
    /// There is nothing here that could be checked.
    NotAvailable(String),
}

impl Outcome {
    /// `detail` of a check that holds, or does not.
    pub fn of(holds: bool, detail: String) -> Self {
        if holds { Self::Passed(detail) } else { Self::Failed(detail) }
    }

    /// What a check gave, an error being a failure.
    pub fn from_result(result: Result<Self, Box<dyn Error>>) -> Self {
        result.unwrap_or_else(|error| Self::Failed(error.to_string()))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(detail) => write!(f, "passed  {detail}"),
            Self::Failed(why) => write!(f, "FAILED  {why}"),
            Self::NotAvailable(why) => write!(f, "not available: {why}"),
        }
    }
}

/// Counts outcomes.
#[derive(Debug, Default)]
pub struct Report {
    passed: u32,
    failed: u32,
    not_available: u32,
}

impl Report {
    /// Prints a row: what was checked, and on what.
    ///
    /// # Errors
    /// See [`print::Error`].
    pub fn add(&mut self, check: &str, on: &str, outcome: Outcome) -> Result<(), print::Error> {
        *match &outcome {
            Outcome::Passed(_) => &mut self.passed,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::NotAvailable(_) => &mut self.not_available,
        } += 1;
        say!("{check:<38} {on:<14} {outcome}")
    }

    /// # Errors
    /// See [`print::Error`].
    pub fn summary(&self) -> Result<(), print::Error> {
        let Self { passed, failed, not_available } = self;
        say!("\n{passed} passed, {failed} failed, {not_available} not available")
    }

    /// Whether something was checked, and nothing failed.
    pub fn is_green(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_available_neither_passes_nor_fails() {
        let mut report = Report::default();
        report.add("a", "cuda", Outcome::NotAvailable("no device".into())).unwrap();
        assert!(!report.is_green());
        report.add("a", "cpu", Outcome::of(true, String::new())).unwrap();
        assert!(report.is_green());
        report.add("b", "cpu", Outcome::of(false, String::new())).unwrap();
        assert!(!report.is_green());
        assert_eq!((report.passed, report.failed, report.not_available), (1, 1, 1));
    }
}
