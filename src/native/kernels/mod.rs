//! The arithmetic: one table of functions per instruction set.
//!
//! Every kernel is written once, generic over [`Isa`](isa::Isa): a vector of sixteen floats, one
//! lane per output channel. The files `portable`, `avx2`, `avx512` and `neon` supply the vector and
//! instantiate the kernels. Each output is a sum in one fixed order with fused multiply-adds, and each
//! operation of `Isa` rounds in the same way everywhere, so every table gives the same bits;
//! only the number of pixels and channels in registers differs.

mod direct;
mod fixed;
mod isa;
mod multiply;
mod pointwise;
mod portable;
mod renew;
mod winograd;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};
pub(crate) use direct::{Direct, Taps};
pub(crate) use fixed::MOST_WEIGHT;
pub(crate) use pointwise::Activation;
pub(crate) use renew::Renewed;
pub(crate) use winograd::{POSITIONS, weights as winograd_weights};

/// Channels in one vector.
pub(crate) const LANES: usize = 16;

/// Pixels along one side of a tile.
pub(crate) const TILE: usize = 4;

/// Pixels of a tile.
pub(crate) const TILE_PIXELS: usize = TILE * TILE;

/// Sixteen channels of one pixel, or of one weight.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub(crate) struct Lanes(pub [f32; LANES]);

/// Sixteen channels of one position in fixed point, as pairs: the even channel is the low half.
#[repr(C, align(32))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shorts(pub [i32; LANES / 2]);

/// A sum for each of sixteen channels, or a pair of weights for each.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(pub [i32; LANES]);

/// Where the positions of a transformed batch are: position `p` of tile `t` starts at
/// `p * position + t * tile`, in vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub position: usize,
    pub tile: usize,
}

/// Where a tile of a batch lies in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The tile's index in the batch.
    pub tile: usize,
    /// The index of the first vector.
    pub first: usize,
}

/// Windows of 6×6 vectors to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    /// Rows that are `stride` apart.
    pub source: &'a [Lanes],
    pub stride: usize,
    pub tiles: &'a [Place],
}

/// Tiles of 4×4 vectors to write.
#[derive(Debug)]
pub(crate) struct Pixels<'a, 'b> {
    /// One plane for each vector of channels.
    pub planes: &'a mut [&'b mut [Lanes]],
    /// Vectors from one row of a plane to the next.
    pub stride: usize,
    pub tiles: &'a [Place],
}

/// At each position, `tiles` rows of `inputs` vectors of samples by weights for `outputs`
/// vectors. In fp32 the samples are [`Lanes`], and weights and sums [`Lanes`]; in fixed point the
/// samples are [`Shorts`], and weights (of pairs of input channels) and sums [`Words`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product<'a, S, W> {
    pub transformed: &'a [S],
    pub from: Layout,
    /// Position after position, input channel (or pair) after input channel, `outputs` vectors.
    pub weights: &'a [W],
    pub tiles: usize,
    pub inputs: usize,
    pub outputs: usize,
}

/// Sums of one vector of channels, and what follows them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums<'a, W> {
    /// Tile after tile, vector after vector, the sums of all positions.
    pub sums: &'a [[W; POSITIONS]],
    pub vector: usize,
    /// How many vectors each tile has.
    pub vectors: usize,
    pub bias: &'a Lanes,
    /// What negative values are multiplied by.
    pub slope: &'a Lanes,
}

/// [`Sums`] in fixed point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedSums<'a> {
    pub sums: Sums<'a, Words>,
    /// For each position, what one of the sums is worth.
    pub steps: &'a [Lanes; POSITIONS],
}

/// The functions of one instruction set.
pub(crate) struct Kernels {
    /// The value of `UPSCALE_NATIVE_ISA` that selects this table.
    pub name: &'static str,
    /// The largest number of vectors of output channels that the multiplications take at once.
    pub group: usize,
    /// Transforms windows. Tile `t` is written from `to[t * layout.tile]` on.
    pub winograd_input: fn(&Windows<'_>, to: &mut [Lanes], layout: Layout),
    /// Multiplies at each of the 36 positions; see [`Product`] and [`Sums`].
    pub winograd_multiply: fn(&Product<'_, Lanes, Lanes>, sums: &mut [[Lanes; POSITIONS]]),
    /// Transforms sums back into tiles of one plane; see [`Sums`].
    pub winograd_output: fn(&Sums<'_, Lanes>, out: &mut Pixels<'_, '_>),
    /// As `winograd_input`, in fixed point: each position is multiplied by its scale, rounded and
    /// limited to 16 bits. Returns a bit for each tile that had to be limited. At most 64 tiles.
    pub fixed_input:
        fn(&Windows<'_>, scales: &[Lanes; POSITIONS], to: &mut [Shorts], layout: Layout) -> u64,
    /// As `winograd_multiply`, in fixed point.
    pub fixed_multiply: fn(&Product<'_, Shorts, Words>, sums: &mut [[Words; POSITIONS]]),
    /// As `winograd_output`, of sums in fixed point.
    pub fixed_output: fn(&FixedSums<'_>, out: &mut Pixels<'_, '_>),
    /// Convolves directly; see [`Direct`].
    pub direct: fn(&Direct<'_>, out: &mut Pixels<'_, '_>),
    pub add: fn(to: &mut [Lanes], from: &[Lanes]),
    /// `to − from`.
    pub subtract: fn(to: &mut [Lanes], from: &[Lanes]),
    pub multiply: fn(to: &mut [Lanes], from: &[Lanes]),
    /// `to · scale + offset`, rounded once.
    pub affine: fn(to: &mut [Lanes], scale: &Lanes, offset: &Lanes),
    pub activate: fn(to: &mut [Lanes], activation: &Activation),
    /// Replaces the pixels of a tile, whose rows are `stride` apart in `kept`, by `new`, where
    /// they differ by more than `limit`; `None`: in any bit. `kept` holds four pixels of each row
    /// that it has.
    pub renew: fn(
        kept: &mut [Lanes],
        stride: usize,
        new: &[Lanes; TILE_PIXELS],
        limit: Option<&Lanes>,
    ) -> Renewed,
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All tables that this CPU can run, the fastest first. The last is portable.
pub(crate) fn available() -> Vec<&'static Kernels> {
    let mut tables = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        tables.extend(avx512::kernels());
        tables.extend(avx2::kernels());
    }
    #[cfg(target_arch = "aarch64")]
    tables.extend(neon::kernels());
    tables.push(&portable::KERNELS);
    tables
}
