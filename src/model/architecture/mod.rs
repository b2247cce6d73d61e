//! Networks that are recognized by the names and shapes of their weights.

mod activation;
mod compact;
mod edsr;
mod espcn;
mod fsrcnn;
mod hints;
mod network;
mod rrdb;
mod span;
mod srcnn;
mod vdsr;

pub use hints::Hints;

use super::{Graph, checkpoint::StateDict, fault::Fault};

/// The maximum number of names of weights that messages quote.
const MAX_QUOTED: usize = 8;

/// A network architecture.
struct Architecture {
    name: &'static str,
    /// Whether weights have the names of this architecture.
    matches: fn(&StateDict) -> bool,
    build: fn(&StateDict, &Hints) -> Result<Graph, Fault>,
}

/// The names of weights identify an architecture, so that the order does not matter.
const ARCHITECTURES: [Architecture; 8] = [
    Architecture { name: "SRVGGNetCompact", matches: compact::matches, build: compact::build },
    Architecture { name: "RRDBNet (ESRGAN)", matches: rrdb::matches, build: rrdb::build },
    Architecture { name: "SPAN", matches: span::matches, build: span::build },
    Architecture { name: "EDSR", matches: edsr::matches, build: edsr::build },
    Architecture { name: "ESPCN", matches: espcn::matches, build: espcn::build },
    Architecture { name: "FSRCNN", matches: fsrcnn::matches, build: fsrcnn::build },
    Architecture { name: "SRCNN", matches: srcnn::matches, build: srcnn::build },
    Architecture { name: "VDSR", matches: vdsr::matches, build: vdsr::build },
];

/// The name of the architecture of these weights; `None` if it is not known.
#[must_use]
pub fn name(weights: &StateDict) -> Option<&'static str> {
    find(weights).map(|architecture| architecture.name)
}

/// Builds the graph of the network with these weights. It follows the contract of [`crate::model`].
///
/// # Errors
/// [`Fault::Unsuitable`] if the architecture is not known, or if a weight is missing, has a wrong
/// shape, or does not belong to the architecture.
pub fn graph(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    let Some(architecture) = find(weights) else {
        let seen: Vec<&str> = weights.names().take(MAX_QUOTED).collect();
        let known: Vec<&str> = ARCHITECTURES.iter().map(|architecture| architecture.name).collect();
        return Err(Fault::unsuitable(format!(
            "the architecture of the weights {seen:?} … is not supported (expected one of {}); export the model as .onnx",
            known.join(", ")
        )));
    };
    (architecture.build)(weights, hints).map_err(|fault| match fault {
        Fault::Unsuitable(why) => Fault::Unsuitable(format!("{}: {why}", architecture.name)),
        Fault::Damaged(why) => Fault::Damaged(why),
    })
}

fn find(weights: &StateDict) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|architecture| (architecture.matches)(weights))
}
