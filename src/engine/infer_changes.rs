//! Engines that keep what they computed for the previous picture.

use super::{error::Error, infer::Infer};
use crate::frame::{Image, Rect};

/// When an engine may keep an old intermediate result instead of a new one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// When both are equal to the bit, so that the picture equals that of a whole run.
    Exact,
    /// When they differ only a little. The old result stays, so that errors do not add up over
    /// time.
    Within {
        /// The largest difference that counts as little, as a share of the largest value that the
        /// channel has on test pictures. 0 is [`Tolerance::Exact`].
        share: f32,
        /// The number of updates within which every result that differs at all is computed again.
        /// 0 and 1 are [`Tolerance::Exact`].
        refresh: u32,
    },
}

/// What an update did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// The parts of the enlarged picture that were written, in its own pixels: rows of tiles from
    /// top to bottom. They do not overlap.
    pub changed: Vec<Rect>,
    /// The share of a whole run's computations, 0 to 1.
    pub work: f64,
}

/// An engine that keeps the features of the previous picture, so that it computes again only what
/// depends on changed pixels.
pub trait InferChanges: Infer {
    /// Enlarges `input`, which differs from that of the previous update at most inside `changed`.
    /// Writes those parts of `output` that may differ from the picture of the previous update,
    /// [`Update::changed`]; the rest of it is undefined. The first update, and one of another size,
    /// computes everything.
    ///
    /// # Errors
    /// As [`Infer::run`]. The next update then computes everything.
    fn update(
        &mut self,
        input: &Image,
        changed: &[Rect],
        tolerance: Tolerance,
        output: &mut Image,
    ) -> Result<Update, Error>;

    /// Enlarges those parts of `input` that the pixels `changed` reach, as [`Self::update`], but
    /// without kept features: they are neither used nor changed. Writes those parts of `output`,
    /// [`Update::changed`]; the rest of it is undefined.
    ///
    /// # Errors
    /// As [`Infer::run`].
    fn run_changed(
        &mut self,
        input: &Image,
        changed: &[Rect],
        output: &mut Image,
    ) -> Result<Update, Error>;

    /// Makes the next update compute everything. The memory of the features is used again.
    fn forget(&mut self);

    /// Limits the memory for intermediate results of [`Infer::run`], in bytes, as far as that is
    /// possible, and frees that of features. The samples do not depend on it.
    fn limit_memory(&mut self, bytes: u64);

    /// Memory for intermediate results of [`Infer::run`] over pictures of this size in pixels, in
    /// bytes: more than the limit if that is too low for any way to run the model.
    fn run_bytes(&self, width: u32, height: u32) -> u64;

    /// Lets [`Self::update`] keep as many features of pictures of this size in pixels as `limit` bytes
    /// allow. Those that are not kept are computed again where they are needed. The bytes that they
    /// take; `None` if too few fit.
    fn keep_features(&mut self, width: u32, height: u32, limit: u64) -> Option<u64>;
}
