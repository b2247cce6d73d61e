//! What changed since each place was computed, and which regions to compute again.
//!
//! A [`Reference`] holds the picture that the canvas was computed from, all of it at any time:
//! the model's answer to the reference *is* the canvas. For each frame:
//!
//! 1. [`Reference::compare`] says which blocks of the frame differ from it;
//! 2. [`Reference::update`] copies those blocks into it;
//! 3. [`Planner::plan`] names the regions whose picture depends on them, and those are computed
//!    from [`Reference::frame`], not from the frame that came. Before that, all that
//!    [`Planner::owned`] names (everything, for [`Plan::Whole`]) may be taken by
//!    [`Reference::update_rect`] too: it costs nothing and keeps a tolerant picture closer.
//!
//! With [`Mode::Exact`] the reference then equals the frame, so that the result equals that of
//! computing everything. With [`Mode::Tolerant`] it is at no place and at no time further from
//! the frame than the tolerance: slow fades cannot drift, and regions computed at different
//! times meet without a seam.

mod changed_map;
mod cost;
mod cover;
mod mask;
mod plane;
mod planner;
mod profile;
mod reference;
mod refresh;
mod region;
mod span;
mod trade;

pub use changed_map::ChangedMap;
pub use cost::CostModel;
pub use planner::{Dependence, Plan, Planner, Shapes};
pub use reference::{Changes, Mode, Reference, Snapshot};
pub use region::Region;
