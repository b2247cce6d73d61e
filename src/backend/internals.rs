//! The readers of stored measurements, for this project's fuzz targets. Not a stable interface.

use std::path::{Path, PathBuf};

use super::{proof::Difference, timings::Timings};
use crate::engine::measured;

/// The build whose results are believed.
pub const BUILD: &str = measured::BUILD;

/// Where a result is stored in `folder` under `key`.
#[must_use]
pub fn stored_path(folder: &Path, key: &str) -> PathBuf {
    measured::path(folder, key)
}

/// Reads the file at [`stored_path`] as each kind of result, and uses what is believed.
pub fn use_stored(folder: &Path, key: &str) {
    let timings = measured::read(folder, key).filter(Timings::are_possible);
    if let Some(mut timings) = timings {
        let now = 1_800_000_000;
        timings.count_load(now);
        let measured =
            Timings::new(now, timings.fastest().map(|it| (it, MEASURED)).into_iter().collect());
        let combined = measured.combined_with(Some(timings));
        assert!(combined.are_possible(), "{combined:?}");
    }
    if let Some(difference) = measured::read(folder, key).filter(Difference::is_possible) {
        assert!(!difference.psnr_db.is_nan() && !difference.largest.is_nan());
    }
    let _halo: Option<Option<u32>> = measured::read(folder, key);
    let _is_exact: Option<bool> = measured::read(folder, key);
    let _build_time: Option<std::time::Duration> = measured::read(folder, key);
}

/// A time that a candidate can take.
const MEASURED: std::time::Duration = std::time::Duration::from_millis(5);
