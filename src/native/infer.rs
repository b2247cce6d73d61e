//! The engine as an implementation of the contract of engines.

use super::{Engine, Error};
use crate::{
    engine::{self, Backend, Infer, InferChanges, Precision, PrecisionError, Tolerance, Update},
    frame::{Image, Rect},
    model::ModelInfo,
};

impl Infer for Engine {
    fn info(&self) -> &ModelInfo {
        Self::info(self)
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), engine::Error> {
        Ok(self.on_pool(|engine| Self::run(engine, input, output))?)
    }

    fn identity(&self) -> &str {
        Self::identity(self)
    }
}

impl InferChanges for Engine {
    fn update(
        &mut self,
        input: &Image,
        changed: &[Rect],
        tolerance: Tolerance,
        output: &mut Image,
    ) -> Result<Update, engine::Error> {
        Ok(self.on_pool(|engine| Self::update(engine, input, changed, tolerance, output))?)
    }

    fn run_changed(
        &mut self,
        input: &Image,
        changed: &[Rect],
        output: &mut Image,
    ) -> Result<Update, engine::Error> {
        Ok(self.on_pool(|engine| Self::run_changed(engine, input, changed, output))?)
    }

    fn forget(&mut self) {
        Self::forget(self);
    }

    fn limit_memory(&mut self, bytes: u64) {
        Self::limit_memory(self, Some(bytes));
    }

    fn run_bytes(&self, width: u32, height: u32) -> u64 {
        self.working_bytes(width, height)
    }

    fn keep_features(&mut self, width: u32, height: u32, limit: u64) -> Option<u64> {
        Self::keep_features(self, width, height, limit)
    }
}

impl Engine {
    /// Does `work` on a thread of the pool.
    fn on_pool<T: Send>(&mut self, work: impl FnOnce(&mut Self) -> T + Send) -> T {
        let pool = self.pool.clone();
        pool.enter(|| work(self))
    }
}

impl From<Error> for engine::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::OutOfMemory => Self::OutOfMemory,
            Error::Cancelled => Self::Cancelled,
            Error::Precision { db, worst } => Self::Precision {
                backend: Backend::Native,
                precision: Precision::Int16,
                reason: PrecisionError::Inexact { psnr_db: db, largest: worst as f32 / 255.0 },
            },
            error @ Error::InstructionSet { .. } => {
                Self::Failed { task: "select the kernels", message: error.to_string() }
            }
            error => Self::Unsupported { backend: Backend::Native, reason: Box::new(error) },
        }
    }
}
