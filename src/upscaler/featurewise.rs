//! Engines that keep features from frame to frame: only what depends on changed pixels is computed.

use std::time::Instant;

use super::{
    buffer_pool::BufferPool,
    enlarger::{Compute, Cost, Enlarger, Patch, Planning, Work},
    error::Error,
    settings::Reuse,
    worth::Worth,
};
use crate::{
    engine::{AnyEngine, InferChanges, Tolerance, Update},
    frame::{Image, Rect},
    model::ModelInfo,
    reuse::{CostModel, Region},
};

/// Share of the range of a channel of features up to which its changes do not spread, for each
/// 8-bit step of the input that [`Reuse::Tolerant`] ignores.
const SHARE_PER_STEP: f32 = 1.0 / 512.0;

/// Keeps a canvas up to date with an engine that keeps the features of the previous frame.
pub(super) struct Featurewise {
    engine: Box<dyn InferChanges>,
    /// Whether features fit into memory. Otherwise everything that a change reaches is computed.
    keeps_features: bool,
    /// Whether frames were computed without features since the engine's last update.
    behind: bool,
    worth: Worth,
}

impl Featurewise {
    /// For frames of this size in pixels, with `memory` bytes for intermediate results.
    pub(crate) fn new(
        mut engine: Box<dyn InferChanges>,
        (width, height): (u32, u32),
        memory: u64,
    ) -> Self {
        // The rest is for runs without features.
        let features = engine.keep_features(width, height, memory / 4 * 3);
        engine.limit_memory(memory - features.unwrap_or(0));
        let keeps_features = features.is_some();
        Self { engine, keeps_features, behind: false, worth: Worth::default() }
    }

    /// Memory for a run on frames of this size in pixels, in bytes.
    pub(crate) fn run_bytes(&self, (width, height): (u32, u32)) -> u64 {
        self.engine.run_bytes(width, height)
    }

    /// The whole canvas, without features.
    fn run(&mut self, source: &Image, pool: &BufferPool) -> Result<Vec<Patch>, Error> {
        self.behind = true;
        let mut picture = self.canvas(source, pool);
        self.engine.run(source, &mut picture)?;
        Ok(vec![Patch { rect: self.sizes(source).0, picture, parts: Vec::new() }])
    }

    /// The parts of the canvas that `rects` of the source picture reach, without features, and the
    /// share of a whole run that was computed.
    fn run_changed(
        &mut self,
        source: &Image,
        rects: &[Rect],
        pool: &BufferPool,
    ) -> Result<(Vec<Patch>, f64), Error> {
        self.behind = true;
        let mut picture = self.canvas(source, pool);
        let Update { changed, work } = self.engine.run_changed(source, rects, &mut picture)?;
        Ok((self.patches(source, picture, &changed, pool), work))
    }

    /// The parts of the canvas that differ after `rects` of the source picture changed, with kept
    /// features, and the share of a whole run that was computed.
    fn update_canvas(
        &mut self,
        source: &Image,
        rects: &[Rect],
        tolerance: Tolerance,
        pool: &BufferPool,
    ) -> Result<(Vec<Patch>, f64), Error> {
        let mut picture = self.canvas(source, pool);
        if self.behind {
            self.engine.forget();
        }
        let Update { changed, work } =
            self.engine.update(source, rects, tolerance, &mut picture)?;
        if !std::mem::take(&mut self.behind) {
            self.worth.learn(work);
        }
        Ok((self.patches(source, picture, &changed, pool), work))
    }

    /// Memory for the enlarged picture.
    fn canvas(&self, source: &Image, pool: &BufferPool) -> Image {
        let (_, large) = self.sizes(source);
        let channels = self.engine.info().channels.count();
        pool.take(channels, large.width as usize, large.height as usize)
    }

    /// The patches of a picture of which `written` is new, in its own pixels.
    fn patches(
        &self,
        source: &Image,
        picture: Image,
        written: &[Rect],
        pool: &BufferPool,
    ) -> Vec<Patch> {
        let (rect, large) = self.sizes(source);
        let factor = self.engine.info().factor.max(1);
        let covering = |rect: &Rect| {
            let [x, y] = [rect.x / factor, rect.y / factor];
            let [right, bottom] =
                [rect.x + rect.width, rect.y + rect.height].map(|end| end.div_ceil(factor));
            Rect::new(x, y, right - x, bottom - y)
        };
        match written.iter().map(Rect::area).sum::<u64>() {
            0 => {
                pool.put(picture);
                Vec::new()
            }
            all if all >= large.area() => vec![Patch { rect, picture, parts: Vec::new() }],
            _ => {
                let parts = written.iter().map(covering).collect();
                vec![Patch { rect, picture, parts }]
            }
        }
    }

    /// The bounds of the source picture and of the canvas.
    fn sizes(&self, source: &Image) -> (Rect, Rect) {
        let bounds = Rect::of_size(source.width() as u32, source.height() as u32);
        (bounds, bounds.scaled(self.engine.info().factor))
    }
}

impl Enlarger for Featurewise {
    fn info(&self) -> &ModelInfo {
        self.engine.info()
    }

    fn planning(&self) -> Planning {
        Planning::Changes
    }

    fn update(
        &mut self,
        source: &Image,
        work: &Work,
        pool: &BufferPool,
    ) -> Result<(Vec<Patch>, Cost), Error> {
        let start = Instant::now();
        let tolerance = match work.reuse {
            Reuse::Tolerant { tolerance, refresh } => {
                Tolerance::Within { share: f32::from(tolerance) * SHARE_PER_STEP, refresh }
            }
            Reuse::Exact | Reuse::Off => Tolerance::Exact,
        };
        let (patches, share) = match &work.compute {
            Compute::Nothing => return Ok((Vec::new(), Cost::default())),
            _ if work.reuse == Reuse::Off => (self.run(source, pool)?, 1.0),
            Compute::Changed(rects) => {
                let area = rects.iter().map(Rect::area).sum::<u64>() as f64;
                let share = area / self.sizes(source).0.area().max(1) as f64;
                if self.keeps_features && self.worth.keeps(share) {
                    self.update_canvas(source, rects, tolerance, pool)?
                } else {
                    self.run_changed(source, rects, pool)?
                }
            }
            _ if !self.keeps_features => (self.run(source, pool)?, 1.0),
            Compute::Whole | Compute::Regions(_) => {
                // The canvas may be that of another picture than the features.
                self.behind = true;
                self.update_canvas(source, &[], tolerance, pool)?
            }
        };
        let pixels = (self.sizes(source).0.area() as f64 * share).ceil() as u64;
        let regions = u32::from(!patches.is_empty());
        let without_features = !self.keeps_features && matches!(work.compute, Compute::Changed(_));
        let time = start.elapsed();
        Ok((patches, Cost { regions, pixels, time, without_features, max_edge: None }))
    }

    fn measure(
        &mut self,
        _source: &Image,
        _region: &Region,
        _pool: &BufferPool,
    ) -> Result<Option<CostModel>, Error> {
        Ok(None)
    }

    fn into_engine(mut self: Box<Self>) -> AnyEngine {
        self.engine.forget();
        AnyEngine::Incremental(self.engine)
    }
}
