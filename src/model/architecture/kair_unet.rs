//! The U shape that restoration networks of cszn/KAIR share: three times blocks and a halving, blocks
//! at an eighth of the size, three times a doubling and blocks. Each level adds the features that it
//! had on the way down.

use super::{
    error::BuildError,
    network::{Features, Network},
};
use crate::model::Window;

/// The number of halvings: the level of the deepest features.
pub(super) const DEPTH: usize = 3;

/// The maximum number of blocks in a row.
const MAX_BLOCKS: usize = 256;

/// A window of 2×2 samples at every second row and column.
const HALF: Window = Window { stride: [2; 2], pads: [0; 4], dilation: [1; 2], group: 1 };

/// Where a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The halvings before the block, 0..=3.
    pub level: usize,
    /// The number of the block among those of its level, from 0.
    pub index: usize,
}

/// Computes the block of a name at a place.
type Compute<'b> =
    dyn Fn(&mut Network<'_>, &Features, &str, Place) -> Result<Features, BuildError> + 'b;

/// The blocks of a network.
pub(super) struct Blocks<'b> {
    /// The name of a weight that each block has, after the block's own name.
    pub marker: &'static str,
    pub compute: &'b Compute<'b>,
}

impl Blocks<'_> {
    /// The blocks `name.first`, `name.(first + 1)` and so on; returns the number of the layer after
    /// the last one.
    ///
    /// # Errors
    /// Those of the blocks.
    pub(super) fn run(
        &self,
        net: &mut Network<'_>,
        x: &Features,
        (name, first): (&str, usize),
        level: usize,
    ) -> Result<(Features, usize), BuildError> {
        let mut x = x.clone();
        let mut next = first;
        for index in 0..MAX_BLOCKS {
            let block = format!("{name}.{next}");
            if !net.has(&format!("{block}.{}", self.marker)) {
                break;
            }
            x = (self.compute)(net, &x, &block, Place { level, index })?;
            next += 1;
        }
        Ok((x, next))
    }

    /// `m_down1` to `m_down3`: the features at the full size, 1/2, 1/4 and 1/8.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(super) fn descend(
        &self,
        net: &mut Network<'_>,
        x: &Features,
    ) -> Result<Vec<Features>, BuildError> {
        let mut levels = vec![x.clone()];
        let mut x = x.clone();
        for level in 0..DEPTH {
            let name = format!("m_down{}", level + 1);
            let (deep, next) = self.run(net, &x, (&name, 0), level)?;
            x = net.conv_window(&deep, &format!("{name}.{next}"), HALF)?;
            levels.push(x.clone());
        }
        Ok(levels)
    }

    /// `m_up3` to `m_up1`, from the features of [`Self::descend`] and the deepest ones after the
    /// blocks between.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(super) fn ascend(
        &self,
        net: &mut Network<'_>,
        x: &Features,
        levels: &[Features],
    ) -> Result<Features, BuildError> {
        let mut x = x.clone();
        for (level, before) in levels.iter().enumerate().rev() {
            let name = format!("m_up{level}");
            x = net.add(&x, before, &name)?;
            let Some(above) = level.checked_sub(1) else { break };
            x = net.conv_transpose(&x, &format!("{name}.0"), HALF)?;
            (x, _) = self.run(net, &x, (&name, 1), above)?;
        }
        Ok(x)
    }
}
