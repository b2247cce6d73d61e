//! The interface above an engine: keeping the enlarged picture of a stream up to date.

use std::time::Duration;

use super::{buffer_pool::BufferPool, error::Error, settings::Reuse};
use crate::{
    engine::AnyEngine,
    frame::{Image, Rect},
    model::ModelInfo,
    reuse::{CostModel, Region},
};

/// Keeps the enlarged picture (the canvas) of one stream up to date with its source picture, the
/// unpacked frames.
///
/// [`CpuPipeline::new`](super::CpuPipeline::new) wraps any [`Infer`](crate::engine::Infer) in an
/// implementation that runs it region by region. An engine that keeps features from frame to frame
/// implements this trait directly: it asks for [`Planning::Changes`] and computes whatever depends
/// on the changed pixels.
pub trait Enlarger: Send {
    /// The model. The canvas is [`ModelInfo::factor`] times as large as the source picture.
    fn info(&self) -> &ModelInfo;

    /// How work is described to [`update`](Self::update).
    fn planning(&self) -> Planning;

    /// Computes what `work` asks for from `source`, the whole source picture of the frame, and
    /// returns the new parts of the canvas with their cost. The pictures of the patches should be
    /// taken from `pool`, to which they return.
    ///
    /// [`Compute::Regions`] and [`Compute::Changed`] follow an update without an error and describe
    /// the difference to its `source`. [`Compute::Whole`] may follow anything.
    ///
    /// # Errors
    /// Errors of inference. The next work is then [`Compute::Whole`].
    fn update(
        &mut self,
        source: &Image,
        work: &Work,
        pool: &BufferPool,
    ) -> Result<(Vec<Patch>, Cost), Error>;

    /// Measures a run on `region` and derives the cost of runs of any size, for
    /// [`Planning::Regions`]. `None` if no other run was measured yet, or regions are not
    /// supported.
    ///
    /// # Errors
    /// Errors of inference.
    fn measure(
        &mut self,
        source: &Image,
        region: &Region,
        pool: &BufferPool,
    ) -> Result<Option<CostModel>, Error>;

    /// Returns the engine, for the next stream.
    fn into_engine(self: Box<Self>) -> AnyEngine;
}

/// How an [`Enlarger`] expects the areas to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planning {
    /// By regions with their halos, chosen for the lowest cost: [`Compute::Regions`].
    Regions {
        /// Sides of regions should be multiples of this
        /// ([`Infer::shape_grid`](crate::engine::Infer::shape_grid)).
        grid: u32,
    },
    /// By regions that are tiles of one size: [`Compute::Regions`].
    Tiles {
        /// Width and height of a tile with its halo.
        size: (u32, u32),
        /// Tiles that run at once.
        batch: u32,
    },
    /// By the pixels that changed: [`Compute::Changed`].
    Changes,
}

/// What an [`Enlarger`] computes for one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The parts to compute.
    pub compute: Compute,
    /// What later frames may reuse. With [`Reuse::Off`] the next work is [`Compute::Whole`].
    pub reuse: Reuse,
}

/// Which parts of the canvas are computed for one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compute {
    /// None: the canvas is up to date, or is not visible.
    Nothing,
    /// These regions.
    Regions(Vec<Region>),
    /// What depends on the source pixels of these rectangles, which changed. They may overlap.
    Changed(Vec<Rect>),
    /// The whole canvas.
    Whole,
}

/// A part of a picture that replaces what was there.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Where it belongs, in pixels of the input frame.
    pub rect: Rect,
    /// The part itself, as many times larger as the picture is.
    pub picture: Image,
    /// The rectangles inside of `rect` that are new. The rest of `picture` is undefined. Empty: all
    /// of it is new.
    pub parts: Vec<Rect>,
}

impl Patch {
    /// The parts of the frame that are new.
    #[must_use]
    pub fn parts(&self) -> &[Rect] {
        if self.parts.is_empty() { std::slice::from_ref(&self.rect) } else { &self.parts }
    }
}

/// What an update cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Regions that the model ran on.
    pub regions: u32,
    /// Input pixels that the model ran on, including halos.
    pub pixels: u64,
    /// Time of the model.
    pub time: Duration,
    /// Memory does not suffice for features, so that more than necessary was computed.
    pub without_features: bool,
    /// Memory ran out: regions must not have longer sides than this from now on, in pixels without
    /// halo.
    pub max_edge: Option<u32>,
}
