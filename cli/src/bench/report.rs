//! The results, as tables or JSON.

use std::{fmt, io};

use gstupscale::engine::{Backend, Precision};
use serde::{Serialize, Serializer};

use crate::{page, print};

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

    /// The results as a page.
    pub fn page(&self) -> page::Report {
        let name = |row: &Row| {
            format!("{} {}x{}, {} {}", row.model, row.width, row.height, row.backend, row.precision)
        };
        let text = |cells: [&str; 11]| cells.map(str::to_owned).to_vec();
        let cells = |row: &Row| {
            let Stages { compare, unpack, infer, finish, .. } = row.stages;
            let mut cells = vec![
                row.model.clone(),
                format!("{}x{}", row.width, row.height),
                format!("{} {}", row.backend, row.precision),
            ];
            let rates = [row.element, row.session, row.element / row.session, row.gflops];
            let stages = [compare, unpack, infer, finish];
            cells.extend(rates.iter().chain(&stages).map(|number| format!("{number:.2}")));
            cells
        };
        let ceiling = |it: &Ceiling| vec![it.what.clone(), format!("{:.1} {}", it.value, it.unit)];
        let failed = match self.failed {
            0 => String::new(),
            failed => format!("{failed} models and sizes did not run."),
        };
        page::Report {
            title: "gst-upscale bench".into(),
            about: vec![self.machine.clone(), failed],
            charts: vec![page::Chart {
                title: "Frames per second of the element, from buffer to buffer".into(),
                unit: "frames/s".into(),
                bars: self.rows.iter().map(|row| (name(row), row.element)).collect(),
            }],
            tables: vec![
                page::Table {
                    title: "Models".into(),
                    head: text([
                        "model", "size", "engine", "element", "session", "share", "GFLOP/s",
                        "compare, ms", "unpack, ms", "infer, ms", "finish, ms",
                    ]),
                    rows: self.rows.iter().map(cells).collect(),
                    note: "Element and session: frames per second, the median of several turns; share: \
                           element divided by session. The stages of the element overlap."
                        .into(),
                },
                page::Table {
                    title: "What this machine reaches".into(),
                    head: vec!["operation".into(), "rate".into()],
                    rows: self.ceilings.iter().map(ceiling).collect(),
                    note: String::new(),
                },
            ],
        }
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
