//! Properties of an engine that are found out by tests.

/// What tests of an engine found out about computing parts of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineTraits {
    /// A region with the receptive field around it has the same samples as that part of the whole
    /// picture, bit for bit. Exact reuse computes parts of frames only then.
    pub exact_regions: bool,
    /// The smallest halo without a visible effect, in input pixels, for tolerant reuse. `None`: the
    /// receptive field.
    pub tolerant_halo: Option<u32>,
}
