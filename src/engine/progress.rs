//! Progress and cancellation of a load.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{error::Error, infer::Infer, interrupt::Interrupt};
use crate::{frame::Image, model::ModelInfo};

/// Observes a load. Methods are called from the loading thread and its helpers.
pub trait Monitor: Send + Sync {
    /// Percent done (0 to 100) and the current step in words.
    fn progress(&self, percent: u32, what: &str);

    /// Whether to cancel the load. Checked between steps.
    fn cancelled(&self) -> bool;
}

/// A [`Monitor`] that reports nothing and never cancels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn progress(&self, _percent: u32, _what: &str) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// Progress of one load. The percentage never decreases, although several backends may be tried.
pub(crate) struct Progress<'a> {
    monitor: &'a dyn Monitor,
    percent: AtomicU32,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(monitor: &'a dyn Monitor) -> Self {
        Self { monitor, percent: AtomicU32::new(0) }
    }

    /// Reports the start of a step.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn step(&self, percent: u32, what: &str) -> Result<(), Error> {
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.report(percent, what);
        Ok(())
    }

    /// Reports progress within a step.
    pub(crate) fn report(&self, percent: u32, what: &str) {
        let before = self.percent.fetch_max(percent, Ordering::SeqCst);
        self.monitor.progress(percent.max(before), what);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.monitor.cancelled() || Interrupt::current().is_raised()
    }
}

/// An engine that fails with [`Error::Cancelled`] once its load is cancelled.
pub(crate) struct Interruptible<'a> {
    pub infer: &'a mut dyn Infer,
    pub progress: &'a Progress<'a>,
}

impl Infer for Interruptible<'_> {
    fn info(&self) -> &ModelInfo {
        self.infer.info()
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.infer.run(input, output)
    }

    fn shape_grid(&self) -> u32 {
        self.infer.shape_grid()
    }

    fn identity(&self) -> &str {
        self.infer.identity()
    }
}
