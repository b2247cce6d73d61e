//! The arithmetic: one table of functions per instruction set.
//!
//! Every kernel is written once, generic over [`Isa`](isa::Isa): a vector of sixteen floats, one
//! lane per output channel. The files `portable`, `avx2` and `avx512` supply the vector and instantiate
//! the kernels. Each output is a sum in one fixed order with fused multiply-adds, and each
//! operation of `Isa` rounds in the same way everywhere, so every table gives the same bits;
//! only the number of pixels and channels in registers differs.

mod direct;
mod fixed;
mod isa;
mod pointwise;
mod portable;
mod renew;
mod winograd;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

/// Windows of 6×6 vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    /// Rows that are `stride` apart.
    pub source: &'a [Lanes],
    pub stride: usize,
    /// Of each window the tile that it belongs to and the index of its first vector.
    pub tiles: &'a [(usize, usize)],
}

/// At each position, `tiles` rows of `inputs` vectors by weights of `inputs * 16` × `outputs`
/// vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product<'a> {
    pub transformed: &'a [Lanes],
    pub from: Layout,
    pub weights: &'a [Lanes],
    pub tiles: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// Where the sums go.
    pub to: Layout,
}

/// Sums of one vector of channels, from its first on, and what follows them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums<'a> {
    pub sums: &'a [Lanes],
    pub layout: Layout,
    pub bias: &'a Lanes,
    /// What negative values are multiplied by.
    pub slope: &'a Lanes,
}

/// [`Product`] in fixed point: per position `inputs * 8` pairs of channels × `outputs` words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedProduct<'a> {
    pub transformed: &'a [Shorts],
    pub from: Layout,
    pub weights: &'a [Words],
    pub tiles: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// Where the sums go.
    pub to: Layout,
}

/// [`Sums`] in fixed point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedSums<'a> {
    pub sums: &'a [Words],
    pub layout: Layout,
    /// For each position, what one of the sums is worth.
    pub steps: &'a [Lanes],
    pub bias: &'a Lanes,
    /// What negative values are multiplied by.
    pub slope: &'a Lanes,
}

/// The functions of one instruction set.
pub(crate) struct Kernels {
    /// The value of `UPSCALE_NATIVE_ISA` that selects this table.
    pub name: &'static str,
    /// The largest number of vectors of output channels that the multiplications take at once.
    pub group: usize,
    /// Transforms windows. Tile `t` is written from `to[t * layout.tile]` on.
    pub winograd_input: fn(&Windows<'_>, to: &mut [Lanes], layout: Layout),
    /// Multiplies at each of the 36 positions; see [`Product`].
    pub winograd_multiply: fn(&Product<'_>, sums: &mut [Lanes]),
    /// Transforms sums back into tiles of sixteen pixels; see [`Sums`].
    pub winograd_output: fn(&Sums<'_>, out: &mut [[Lanes; TILE_PIXELS]]),
    /// As `winograd_input`, in fixed point: position `p` is multiplied by
    /// `scales[p * layout.tile]`, rounded and limited to 16 bits. How many of the windows had to
    /// be limited.
    pub fixed_input: fn(&Windows<'_>, scales: &[Lanes], to: &mut [Shorts], layout: Layout) -> usize,
    /// As `winograd_multiply`, in fixed point.
    pub fixed_multiply: fn(&FixedProduct<'_>, sums: &mut [Words]),
    /// As `winograd_output`, of sums in fixed point.
    pub fixed_output: fn(&FixedSums<'_>, out: &mut [[Lanes; TILE_PIXELS]]),
    /// Convolves directly; see [`Direct`]. Vector `z` of tile `t` goes to `out[z * tiles + t]`.
    pub direct: fn(&Direct<'_>, out: &mut [[Lanes; TILE_PIXELS]]),
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
    tables.push(&portable::KERNELS);
    tables
}
