//! A frame on its way from stage to stage.

use super::super::{FrameParams, FrameReport, Region};
use crate::{
    frame::{FrameRef, Image, Rect},
    reuse::Snapshot,
};

/// A region with its picture: before the model as small as it reads, after it as large as it
/// computes.
pub(super) struct Part {
    pub region: Region,
    pub picture: Image,
}

/// What is new on the canvas.
#[derive(Default)]
pub(super) enum Update {
    #[default]
    Nothing,
    Parts(Vec<Part>),
    Whole(Image),
}

/// One frame: filled by [`prepare`](super::prepare), run by [`infer`](super::infer), made an
/// output of by [`finish`](super::finish).
pub(super) struct Job {
    pub params: FrameParams,
    pub report: FrameReport,
    /// What the model is given.
    pub inputs: Vec<Part>,
    /// Whether that makes up the whole canvas.
    pub whole: bool,
    /// The input pixels whose places in the output differ from the frame before; `None`: all.
    pub stale: Option<Vec<Rect>>,
    /// What else the output is made from: the input, as far as anything reads it.
    pub source: Option<Snapshot>,
    /// What the model made of the inputs.
    pub update: Update,
    /// The edge that regions had to be cut to for lack of memory.
    pub cut_to: Option<u32>,
}

impl Job {
    /// Whether the output is that of the frame before.
    pub fn is_same(&self) -> bool {
        self.stale.as_ref().is_some_and(Vec::is_empty)
    }

    /// The input, as far as anything reads it.
    pub fn frame(&self, info: crate::frame::FrameInfo) -> FrameRef<'_> {
        let nothing = || FrameRef { info, planes: vec![] };
        self.source.as_ref().map_or_else(nothing, Snapshot::frame)
    }
}
