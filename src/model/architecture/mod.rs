//! Networks that are recognized by the names and shapes of their weights.

mod activation;
mod atd;
mod attention;
mod codeformer;
mod compact;
mod conv3xc;
mod cugan;
mod dat;
mod dctlsa;
mod ditn;
mod dncnn;
mod drct;
mod drunet;
mod dysample;
mod edsr;
mod error;
mod espcn;
mod fbcnn;
mod fdat;
mod fsrcnn;
mod gfpgan;
mod hat;
mod hints;
mod kair_unet;
mod layers;
mod moesr;
mod mosr;
mod mosrv2;
mod nafnet;
mod network;
mod omnisr;
mod plksr;
mod position_bias;
mod rcan;
mod reconstruction;
mod rgt;
mod rrdb;
mod rtmosr;
mod safmn;
mod scunet;
mod span;
mod spanplus;
mod srcnn;
mod srformer;
mod swiftsrgan;
mod swin2sr;
mod swinir;
mod uni_upsample;
mod vdsr;

pub use hints::Hints;

use self::error::{ArchitectureError, BuildError};
use super::{Graph, checkpoint::StateDict, fault::Fault};

/// The maximum number of names of weights that messages quote.
const MAX_QUOTED: usize = 8;

/// A network architecture.
struct Architecture {
    name: &'static str,
    /// Whether weights may be of this architecture: a quick test of a few names.
    matches: fn(&StateDict) -> bool,
    /// Fails unless all names and shapes are those of this architecture.
    build: fn(&StateDict, &Hints) -> Result<Graph, BuildError>,
}

/// Tried in this order; the first whose network uses all weights is the right one.
const ARCHITECTURES: &[Architecture] = &[
    Architecture { name: "SRVGGNetCompact", matches: compact::matches, build: compact::build },
    Architecture { name: "RRDBNet (ESRGAN)", matches: rrdb::matches, build: rrdb::build },
    Architecture { name: "SPAN", matches: span::matches, build: span::build },
    Architecture { name: "SwinIR", matches: swinir::matches, build: swinir::build },
    Architecture { name: "HAT", matches: hat::matches, build: hat::build },
    Architecture { name: "DAT", matches: dat::matches, build: dat::build },
    Architecture { name: "SRFormer", matches: srformer::matches, build: srformer::build },
    Architecture { name: "DRCT", matches: drct::matches, build: drct::build },
    Architecture { name: "RGT", matches: rgt::matches, build: rgt::build },
    Architecture { name: "OmniSR", matches: omnisr::matches, build: omnisr::build },
    Architecture { name: "PLKSR", matches: plksr::matches, build: plksr::build },
    Architecture { name: "SPANPlus", matches: spanplus::matches, build: spanplus::build },
    Architecture { name: "MoESR", matches: moesr::matches, build: moesr::build },
    Architecture { name: "DCTLSA", matches: dctlsa::matches, build: dctlsa::build },
    Architecture { name: "MoSRv2", matches: mosrv2::matches, build: mosrv2::build },
    Architecture { name: "RTMoSR", matches: rtmosr::matches, build: rtmosr::build },
    Architecture { name: "MoSR", matches: mosr::matches, build: mosr::build },
    Architecture { name: "RCAN", matches: rcan::matches, build: rcan::build },
    Architecture { name: "SAFMN", matches: safmn::matches, build: safmn::build },
    Architecture { name: "ATD", matches: atd::matches, build: atd::build },
    Architecture { name: "DITN", matches: ditn::matches, build: ditn::build },
    Architecture { name: "Swin2SR", matches: swin2sr::matches, build: swin2sr::build },
    Architecture { name: "FDAT", matches: fdat::matches, build: fdat::build },
    Architecture { name: "Swift-SRGAN", matches: swiftsrgan::matches, build: swiftsrgan::build },
    Architecture { name: "Real-CUGAN", matches: cugan::matches, build: cugan::build },
    Architecture { name: "SCUNet", matches: scunet::matches, build: scunet::build },
    Architecture { name: "NAFNet", matches: nafnet::matches, build: nafnet::build },
    Architecture { name: "DRUNet", matches: drunet::matches, build: drunet::build },
    Architecture { name: "FBCNN", matches: fbcnn::matches, build: fbcnn::build },
    Architecture { name: "DnCNN", matches: dncnn::matches, build: dncnn::build },
    Architecture { name: "GFPGAN", matches: gfpgan::matches, build: gfpgan::build },
    Architecture { name: "CodeFormer", matches: codeformer::matches, build: codeformer::build },
    Architecture { name: "EDSR", matches: edsr::matches, build: edsr::build },
    Architecture { name: "ESPCN", matches: espcn::matches, build: espcn::build },
    Architecture { name: "FSRCNN", matches: fsrcnn::matches, build: fsrcnn::build },
    Architecture { name: "SRCNN", matches: srcnn::matches, build: srcnn::build },
    Architecture { name: "VDSR", matches: vdsr::matches, build: vdsr::build },
];

/// The name of the architecture of these weights; `None` if it is not known.
#[must_use]
pub fn name(weights: &StateDict) -> Option<&'static str> {
    match find(weights, &Hints::default()) {
        Ok((name, _)) | Err(ArchitectureError::Setting { name, .. }) => Some(name),
        Err(_) => None,
    }
}

/// Builds the graph of the network with these weights. It follows the contract of [`crate::model`].
///
/// # Errors
/// [`Fault::Unsuitable`] if the architecture is not known, or if a setting is missing.
pub fn graph(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    Ok(recognize(weights, hints)?.1)
}

/// The name of the architecture of these weights, and [`graph`].
///
/// # Errors
/// See [`graph`].
pub(super) fn recognize(
    weights: &StateDict,
    hints: &Hints,
) -> Result<(&'static str, Graph), Fault> {
    Ok(find(weights, hints)?)
}

/// The architecture whose network uses all weights, and its graph.
fn find(weights: &StateDict, hints: &Hints) -> Result<(&'static str, Graph), ArchitectureError> {
    let mut nearest = None;
    for &Architecture { name, matches, build } in ARCHITECTURES {
        if !matches(weights) {
            continue;
        }
        match build(weights, hints) {
            Ok(graph) => return Ok((name, graph)),
            Err(error) if error.is_setting() => {
                return Err(ArchitectureError::Setting { name, error });
            }
            Err(error) => drop(nearest.get_or_insert((name, error))),
        }
    }
    Err(match nearest {
        Some((name, error)) => ArchitectureError::Nearest { name, error },
        None => ArchitectureError::Unknown {
            seen: weights.names().take(MAX_QUOTED).map(str::to_owned).collect(),
            known: ARCHITECTURES.iter().map(|known| known.name).collect::<Vec<_>>().join(", "),
        },
    })
}
