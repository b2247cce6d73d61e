//! Tensors of the graph while it is lowered.

use std::collections::BTreeSet;

use super::super::{super::kernels::LANES, Block, Pick, Size};

/// A tensor of the graph: where its channels are.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// The size of the blocks.
    pub(super) size: Size,
    pub(super) blocks: Vec<Block>,
    /// For each channel, and each place of a cell of `shuffle` × `shuffle` in turn, the lane
    /// that holds it, counted through all of `blocks`.
    pub(super) lanes: Vec<usize>,
    /// The tensor is the blocks after a pixel shuffle by this; 1 is none.
    pub(super) shuffle: usize,
}

impl Value {
    pub(super) fn channels(&self) -> usize {
        self.lanes.len() / (self.shuffle * self.shuffle)
    }

    /// The size of the tensor.
    pub(super) fn size(&self) -> Option<Size> {
        self.size.times(self.shuffle)
    }

    pub(super) fn place(&self, lane: usize) -> Option<(Block, usize)> {
        Some((*self.blocks.get(lane / LANES)?, lane % LANES))
    }

    /// Where vectors come from whose lanes are these.
    pub(super) fn pick(&self, lanes: &[usize]) -> Vec<Pick> {
        let pick = |lanes: &[usize]| {
            let places: Vec<_> = lanes.iter().filter_map(|&lane| self.place(lane)).collect();
            let first = places.first().map(|(block, _)| *block);
            let in_place = places
                .iter()
                .enumerate()
                .all(|(lane, place)| Some(place.0) == first && place.1 == lane);
            match first {
                Some(block) if in_place => Pick::Whole(block),
                _ => Pick::Lanes(places),
            }
        };
        lanes.chunks(LANES).map(pick).collect()
    }

    pub(super) fn picks(&self) -> Vec<Pick> {
        self.pick(&self.lanes)
    }

    /// Some of the channels, in any order.
    pub(super) fn select(&self, channels: impl IntoIterator<Item = usize>) -> Option<Self> {
        let area = self.shuffle * self.shuffle;
        let mut lanes = Vec::new();
        for channel in channels {
            lanes.extend(self.lanes.get(channel * area..(channel + 1) * area)?);
        }
        Some(Self { lanes, ..self.clone() })
    }

    /// The same value without blocks that none of its lanes is in.
    pub(super) fn trimmed(self) -> Self {
        let used: BTreeSet<usize> = self.lanes.iter().map(|lane| lane / LANES).collect();
        let index = |block: usize| used.range(..block).count();
        let lanes = self.lanes.iter().map(|lane| index(lane / LANES) * LANES + lane % LANES);
        let lanes = lanes.collect();
        let blocks = used.iter().filter_map(|&block| self.blocks.get(block).copied()).collect();
        Self { blocks, lanes, ..self }
    }

    /// The channels of both, which have one size and shuffle.
    pub(super) fn joined(mut self, other: Self) -> Self {
        let first = self.blocks.len() * LANES;
        self.blocks.extend(other.blocks);
        self.lanes.extend(other.lanes.iter().map(|lane| lane + first));
        self
    }
}
