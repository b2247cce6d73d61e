//! How much memory features take, and limits for it.

use super::{engine::Engine, segments::Segments};
use crate::frame::Image;

impl Engine {
    /// Memory for the features that [`Engine::update`] keeps of pictures of this size in pixels,
    /// in bytes, the picture itself included, if every layer keeps them.
    pub fn feature_bytes(&self, width: u32, height: u32) -> u64 {
        self.bytes_of(&Segments::of(&self.plan, &self.lifetimes, 1), width, height)
    }

    /// Lets [`Engine::update`] keep features of as many layers as `limit` bytes allow for pictures of
    /// this size in pixels. The bytes that they take; `None`: not even those of every other half of the
    /// layers fit.
    pub fn keep_features(&mut self, width: u32, height: u32, limit: u64) -> Option<u64> {
        self.kept = None;
        let lengths = 1..=(self.plan.layers.len() / 2).max(1);
        let fits = |length| {
            let segments = Segments::of(&self.plan, &self.lifetimes, length);
            let bytes = self.bytes_of(&segments, width, height);
            (bytes <= limit).then_some((segments, bytes))
        };
        let (segments, bytes) = lengths.into_iter().find_map(fits)?;
        self.segments = segments;
        Some(bytes)
    }

    fn bytes_of(&self, segments: &Segments, width: u32, height: u32) -> u64 {
        let features =
            segments.bytes(&self.plan, &self.lifetimes, [height as usize, width as usize]);
        let samples = u64::from(width) * u64::from(height) * self.plan.channels as u64;
        features.saturating_add(samples.saturating_mul(size_of::<f32>() as u64))
    }

    /// The most memory for features that [`Engine::run`] uses at once for pictures of this size
    /// in pixels, in bytes; 0 where the model cannot take the size.
    pub fn run_bytes(&self, width: u32, height: u32) -> u64 {
        let all = Segments::of(&self.plan, &self.lifetimes, self.plan.layers.len());
        all.bytes(&self.plan, &self.lifetimes, [height as usize, width as usize])
    }

    /// Limits the memory for features of runs to `bytes`, as far as strips that are not too
    /// low allow, and frees that of features that are kept; `None`: no limit.
    pub fn limit_memory(&mut self, bytes: Option<u64>) {
        self.memory = bytes;
        self.kept = None;
        self.free = Vec::new();
    }

    /// The memory for features, in bytes, of a run on pictures of this size in pixels with the
    /// limit that is set.
    pub fn working_bytes(&self, width: u32, height: u32) -> u64 {
        let whole = self.run_bytes(width, height);
        let input = Image::new(self.info.channels.count(), width as usize, height as usize);
        match self.strips(&input) {
            Ok(strips) if !strips.is_empty() => {
                strips.iter().map(|strip| self.strip_bytes(strip, width)).max().unwrap_or(whole)
            }
            _ => whole,
        }
    }
}
