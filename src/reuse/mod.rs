//! What changed since each part of the canvas was computed, and which regions to compute again.
//!
//! A [`Reference`] contains the whole picture that the canvas was computed from: the model's output
//! for the reference *is* the canvas. For each frame:
//!
//! 1. [`Reference::changes`] finds the blocks of the frame that differ from the reference.
//! 2. [`Reference::update`] copies those blocks.
//! 3. [`Planner::plan`] returns the regions that depend on them. They are computed from
//!    [`Reference::frame`], not from the frame itself. Before that, [`Reference::update_rect`] may
//!    also copy everything in [`Planner::owned`], or everything for [`Plan::Whole`]: this costs
//!    nothing and keeps a tolerant picture closer to the frame.
//!
//! With [`Mode::Exact`], the reference then equals the frame, and the result equals that of
//! computing everything. With [`Mode::Tolerant`], no sample of the reference ever differs from the
//! frame by more than the tolerance: slow fades cannot drift, and regions that are computed at
//! different times meet without a seam.
//!
//! | file | contents |
//! |---|---|
//! | `reference` | the reference picture and the comparison with it |
//! | `changed_map` | which blocks changed |
//! | `distances` | how much each block changed |
//! | `planner` | from changed blocks to regions |
//! | `cover` | the cheapest rectangles that cover what has to be computed |
//! | `stillness`, `selection` | which changed blocks to compute when time is short |
//! | `cost`, `region` | what a region costs, and what it is |

mod bits;
mod changed_map;
mod cost;
mod cover;
mod distances;
mod planner;
mod reference;
mod region;
mod selection;
mod stillness;

pub(crate) use changed_map::BLOCK;
pub use changed_map::ChangedMap;
pub use cost::CostModel;
pub(crate) use distances::Distances;
pub use planner::{Dependence, Plan, Planner, Shapes};
pub use reference::{Changes, Mode, Reference, Snapshot};
pub use region::Region;
pub(crate) use selection::{Budget, Outdated, Selection};
pub(crate) use stillness::Stillness;
