//! Weights between two checkpoints of one architecture: Real-ESRGAN's strength of denoising
//! (`dni` in its `inference_realesrgan.py`) and any other pair.

use std::path::{Path, PathBuf};

use super::{
    Error,
    checkpoint::{self, StateDict},
    fault::Fault,
    open::locate,
};

/// The model that denoises, and its partner that leaves noise where it is.
const GENERAL: [&str; 2] = ["realesr-general-x4v3", "realesr-general-wdn-x4v3"];

/// What a pair is mixed by where no strength is asked for, as Real-ESRGAN's own script has it.
pub(super) const HALF: f32 = 0.5;

/// The two names of a pair, `a.pth+b.pth`; `None` where it is one file whose name has a `+`.
pub(super) fn pair(name: &str) -> Option<[&str; 2]> {
    if Path::new(name).exists() {
        return None;
    }
    let pairs = || {
        name.match_indices('+').map(|(place, _)| {
            let (first, second) = name.split_at(place);
            [first.trim(), second[1..].trim()]
        })
    };
    let found = |name: &&str| locate(name).is_ok_and(|path| path.is_file());
    pairs().find(|pair| pair.iter().all(found)).or_else(|| pairs().next())
}

/// Whether a strength can be given to this file, or name of the catalogue.
fn has_strength(name: &str) -> bool {
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str());
    [Some(name), stem].contains(&Some(GENERAL[0])) || pair(name).is_some()
}

/// # Errors
/// Where `strength` is not 0..1, or none of the `models` has one.
pub(super) fn check(strength: f32, models: &[&str]) -> Result<(), Fault> {
    if !(0.0..=1.0).contains(&strength) {
        return Err(Fault::unsuitable(format!("its denoise cannot be {strength}: 0 to 1 can")));
    }
    match models.iter().any(|name| has_strength(name)) {
        true => Ok(()),
        false => Err(Fault::unsuitable(format!(
            "only {} and pairs (a.pth+b.pth) have a denoise strength: leave denoise at -1",
            GENERAL[0]
        ))),
    }
}

/// # Errors
/// Where a strength is asked for of a file whose weights are not told apart by name.
pub(super) fn refuse_whole(path: &Path, strength: Option<f32>) -> Result<(), Error> {
    match strength {
        Some(..1.0) if path.to_str().is_some_and(has_strength) => Err(Fault::unsuitable(
            "a denoise strength needs its .pth or .safetensors: leave denoise at -1, or fetch that",
        )
        .at(path)),
        _ => Ok(()),
    }
}

/// The weights in `path`, at this strength where it has one.
pub(super) fn weights(path: &Path, strength: Option<f32>) -> Result<StateDict, Error> {
    match strength {
        Some(strength) if strength < 1.0 && path.to_str().is_some_and(has_strength) => {
            mixed(path, &partner(path)?, strength)
        }
        _ => checkpoint::read(path),
    }
}

/// The weights between two files': `share` of the first's.
pub(super) fn mixed(first: &Path, second: &Path, share: f32) -> Result<StateDict, Error> {
    let (a, b) = (checkpoint::read(first)?, checkpoint::read(second)?);
    a.mix(&b, share).map_err(|fault| {
        Fault::unsuitable(format!("it does not go with {}: {fault}", second.display())).at(first)
    })
}

/// The partner's file, in the same folder or fetched.
fn partner(path: &Path) -> Result<PathBuf, Error> {
    let mut beside = ["pth", "safetensors", "pt"].iter().map(|end| {
        let name = format!("{}.{end}", GENERAL[1]);
        path.with_file_name(name)
    });
    match beside.find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => locate(GENERAL[1]),
    }
}
