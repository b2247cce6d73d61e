//! The results, as tables or JSON.

use std::{fmt, io};

use gstupscale::engine::{Backend, Precision};
use serde::{Serialize, Serializer};

use crate::print;

/// All results.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: String,
    pub ceilings: Vec<Ceiling>,
    rows: Vec<Row>,
    /// The number of models and sizes that did not run.
    failed: u32,
}

/// The highest rate that the machine reached in a simple operation.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
}

/// The result for a model at a size in pixels. Rates are in frames per second.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub model: String,
    pub width: u32,
    pub height: u32,
    pub format: &'static str,
    #[serde(serialize_with = "as_text")]
    pub backend: Backend,
    #[serde(serialize_with = "as_text")]
    pub precision: Precision,
    /// From buffer to buffer.
    pub element: f64,
    /// The session alone.
    pub session: f64,
    /// The session's multiplications and additions, in 10⁹ per second.
    pub gflops: f64,
    pub stages: Stages,
}

/// The time of the element's stages in milliseconds, per frame or summed over `frames`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stages {
    pub frames: u64,
    pub compare: f64,
    pub unpack: f64,
    pub infer: f64,
    pub finish: f64,
}

impl Stages {
    /// The time per frame between two sums.
    pub fn per_frame(before: &Self, after: &Self) -> Self {
        let frames = after.frames.saturating_sub(before.frames);
        let each = |before: f64, after: f64| (after - before) / frames.max(1) as f64;
        Self {
            frames,
            compare: each(before.compare, after.compare),
            unpack: each(before.unpack, after.unpack),
            infer: each(before.infer, after.infer),
            finish: each(before.finish, after.finish),
        }
    }
}

/// Serializes by the name that users know.
fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl Report {
    /// An empty report about this machine.
    pub fn new(machine: String) -> Self {
        Self { machine, ceilings: Vec::new(), rows: Vec::new(), failed: 0 }
    }

    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Counts a model and size that did not run.
    pub fn add_failure(&mut self) {
        self.failed += 1;
    }

    /// Whether every model ran at every size.
    pub fn is_complete(&self) -> bool {
        self.failed == 0
    }

    /// The backends and precisions of the rows, each once.
    pub fn engines(&self) -> Vec<(Backend, Precision)> {
        let mut engines = Vec::new();
        for row in &self.rows {
            let engine = (row.backend, row.precision);
            if !engines.contains(&engine) {
                engines.push(engine);
            }
        }
        engines
    }

    /// Prints tables.
    ///
    /// # Errors
    /// See [`print::Error`].
    pub fn print(&self) -> Result<(), print::Error> {
        say!("{}\n", self.machine)?;
        for Ceiling { what, value, unit } in &self.ceilings {
            say!("{what:<58} {value:>9.1} {unit}")?;
        }
        if self.rows.is_empty() {
            return Ok(());
        }
        say!(
            "\n{:<28} {:>9} {:<14} {:>9} {:>9} {:>6} {:>9}   {:>8} {:>8} {:>8} {:>8}",
            "MODEL",
            "SIZE",
            "ENGINE",
            "ELEMENT",
            "SESSION",
            "SHARE",
            "GFLOP/S",
            "COMPARE",
            "UNPACK",
            "INFER",
            "FINISH"
        )?;
        for row in &self.rows {
            let Stages { compare, unpack, infer, finish, .. } = row.stages;
            say!(
                "{:<28} {:>9} {:<14} {:>9.2} {:>9.2} {:>6.3} {:>9.1}   {compare:>8.2} {unpack:>8.2} \
                 {infer:>8.2} {finish:>8.2}",
                row.model,
                format!("{}x{}", row.width, row.height),
                format!("{} {}", row.backend, row.precision),
                row.element,
                row.session,
                row.element / row.session,
                row.gflops,
            )?;
        }
        say!(
            "\nELEMENT, SESSION: frames per second, the median of several turns. SHARE: ELEMENT / SESSION.\n\
             GFLOP/S: multiplications and additions of the session.\n\
             COMPARE to FINISH: time of the element's stages in milliseconds per frame; they overlap."
        )
    }

    /// Prints JSON.
    ///
    /// # Errors
    /// See [`print::Error`].
    pub fn print_json(&self) -> Result<(), print::Error> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::from)?;
        say!("{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_averaged_over_the_frames() {
        let before = Stages { frames: 2, infer: 10.0, ..Stages::default() };
        let after = Stages { frames: 6, infer: 30.0, finish: 2.0, ..Stages::default() };
        let each = Stages::per_frame(&before, &after);
        assert_eq!((each.frames, each.infer, each.finish), (4, 5.0, 0.5));
        assert_eq!(Stages::per_frame(&after, &after).infer, 0.0);
    }
}
