//! The tables, and the same as JSON.

use std::io;

use gstupscale::engine::{Backend, Precision};
use serde::Serialize;

use crate::print;

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: String,
    pub ceilings: Vec<Ceiling>,
    rows: Vec<Row>,
    /// Models and sizes that did not run.
    failed: u32,
}

/// The most that the machine gave when it did nothing else.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
}

/// A model at a size. Rates are frames per second.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub model: String,
    pub width: u32,
    pub height: u32,
    pub format: &'static str,
    pub backend: String,
    pub precision: String,
    /// From buffer to buffer.
    pub element: f64,
    pub session: f64,
    /// The session's arithmetic: 10⁹ operations a second, by the model's definition.
    pub gflops: f64,
    pub stages: Stages,
}

/// What the element's stages took. Milliseconds a frame, or as sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stages {
    pub frames: u64,
    pub compare: f64,
    pub unpack: f64,
    pub infer: f64,
    pub finish: f64,
}

impl Stages {
    /// A frame's, of those between two sums.
    pub fn between(before: &Self, after: &Self) -> Self {
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

impl Report {
    pub fn new(machine: String) -> Self {
        Self { machine, ceilings: Vec::new(), rows: Vec::new(), failed: 0 }
    }

    /// Adds a row; `None`: one that did not run.
    pub fn add(&mut self, row: Option<Row>) {
        self.failed += u32::from(row.is_none());
        self.rows.extend(row);
    }

    /// Whether everything ran.
    pub fn is_whole(&self) -> bool {
        self.failed == 0
    }

    /// The backends and precisions that were in use, each once.
    pub fn engines(&self) -> Vec<(Backend, Precision)> {
        let mut engines = Vec::new();
        for row in &self.rows {
            let engine = (row.backend.parse::<Backend>(), row.precision.parse::<Precision>());
            if let (Ok(backend), Ok(precision)) = engine
                && !engines.contains(&(backend, precision))
            {
                engines.push((backend, precision));
            }
        }
        engines
    }

    /// # Errors
    /// See [`print::Error`].
    pub fn print(&self) -> Result<(), print::Error> {
        say!("{}\n", self.machine)?;
        for Ceiling { what, value, unit } in &self.ceilings {
            say!("{what:<58} {value:>9.1} {unit}")?;
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
            "\nELEMENT and SESSION: frames per second, medians of turns; SHARE: their ratio. The \
             stages\nare the element's, in milliseconds a frame; they overlap."
        )
    }

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
    fn stages_are_told_by_the_frame() {
        let before = Stages { frames: 2, infer: 10.0, ..Stages::default() };
        let after = Stages { frames: 6, infer: 30.0, finish: 2.0, ..Stages::default() };
        let each = Stages::between(&before, &after);
        assert_eq!((each.frames, each.infer, each.finish), (4, 5.0, 0.5));
        assert_eq!(Stages::between(&after, &after).infer, 0.0);
    }
}
