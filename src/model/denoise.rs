//! Interpolation between two checkpoints of one architecture: the denoise strength of Real-ESRGAN
//! (`dni` in its `inference_realesrgan.py`), and any other pair.

use std::path::{Path, PathBuf};

use super::{
    Error,
    checkpoint::{self, StateDict},
    fault::Fault,
    locate::locate,
};

/// The model that removes noise.
const GENERAL: &str = "realesr-general-x4v3";

/// Its counterpart, which keeps noise.
const GENERAL_WDN: &str = "realesr-general-wdn-x4v3";

/// The default share of the first checkpoint of a pair, as in Real-ESRGAN's script.
pub(super) const DEFAULT_SHARE: f32 = 0.5;

/// The two names of a pair, `a.pth+b.pth`; `None` for one file, whose name may contain a `+`.
pub(super) fn pair(name: &str) -> Option<[&str; 2]> {
    if Path::new(name).exists() {
        return None;
    }
    let pairs = || {
        name.match_indices('+').map(|(position, plus)| {
            let (first, second) = name.split_at(position);
            [first, second.strip_prefix(plus).unwrap_or(second)].map(str::trim)
        })
    };
    let exists = |name: &&str| locate(name).is_ok_and(|path| path.is_file());
    pairs().find(|pair| pair.iter().all(exists)).or_else(|| pairs().next())
}

/// Whether this file, or catalogue entry, has a denoise strength.
fn has_strength(name: &str) -> bool {
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str());
    [Some(name), stem].contains(&Some(GENERAL)) || pair(name).is_some()
}

/// Checks the denoise strength.
///
/// # Errors
/// A `strength` outside of 0..=1, or `models` none of which has a strength.
pub(super) fn check(strength: f32, models: &[&str]) -> Result<(), Fault> {
    if !(0.0..=1.0).contains(&strength) {
        return Err(Fault::unsuitable(format!(
            "the denoise strength {strength} is out of range (0 to 1)"
        )));
    }
    if models.iter().any(|name| has_strength(name)) {
        return Ok(());
    }
    Err(Fault::unsuitable(format!(
        "only {GENERAL} and pairs (a.pth+b.pth) have a denoise strength; leave denoise at -1"
    )))
}

/// Checks that the model at `path`, which is not a checkpoint, needs no interpolation.
///
/// # Errors
/// A strength below 1 for a model that has one as a checkpoint.
pub(super) fn check_not_interpolated(path: &Path, strength: Option<f32>) -> Result<(), Error> {
    match strength {
        Some(..1.0) if path.to_str().is_some_and(has_strength) => Err(Fault::unsuitable(
            "the denoise strength needs the .pth or .safetensors file; leave denoise at -1, or download that file",
        )
        .at(path)),
        _ => Ok(()),
    }
}

/// The weights of the checkpoint at `path`, at this denoise strength if it has one.
pub(super) fn weights(path: &Path, strength: Option<f32>) -> Result<StateDict, Error> {
    match strength {
        Some(strength) if strength < 1.0 && path.to_str().is_some_and(has_strength) => {
            mixed(path, &counterpart(path)?, strength)
        }
        _ => checkpoint::read(path),
    }
}

/// The weights interpolated between two checkpoints: `share` (0..=1) of the first.
pub(super) fn mixed(first: &Path, second: &Path, share: f32) -> Result<StateDict, Error> {
    let (a, b) = (checkpoint::read(first)?, checkpoint::read(second)?);
    a.mix(&b, share).map_err(|fault| {
        let second = second.display();
        Fault::unsuitable(format!("it cannot be interpolated with {second}: {fault}")).at(first)
    })
}

/// The counterpart of the model at `path`: in the same folder, or downloaded.
fn counterpart(path: &Path) -> Result<PathBuf, Error> {
    let mut siblings = ["pth", "safetensors", "pt"]
        .iter()
        .map(|extension| path.with_file_name(format!("{GENERAL_WDN}.{extension}")));
    match siblings.find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => locate(GENERAL_WDN),
    }
}
