//! Networks that are known by the names and shapes of their weights.

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

/// A kind of network.
struct Architecture {
    name: &'static str,
    /// Whether weights look like this one's.
    matches: fn(&StateDict) -> bool,
    build: fn(&StateDict, &Hints) -> Result<Graph, Fault>,
}

/// Each is told apart from all others by its names, so the order does not matter.
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

/// The name of the architecture that these weights are of.
pub fn name(weights: &StateDict) -> Option<&'static str> {
    find(weights).map(|architecture| architecture.name)
}

/// The graph of the network that these weights are of, in the contract's form.
///
/// # Errors
/// [`Fault::Unsuitable`], naming weights and the architectures that are known, where it is none
/// of them; naming the weight, where one is missing, of a wrong shape or too many.
pub fn graph(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    let Some(architecture) = find(weights) else {
        let seen: Vec<&str> = weights.names().take(8).collect();
        let known: Vec<&str> = ARCHITECTURES.iter().map(|architecture| architecture.name).collect();
        return Err(Fault::unsuitable(format!(
            "its weights {seen:?} … are of no architecture that is known here ({}): export it as .onnx",
            known.join(", ")
        )));
    };
    (architecture.build)(weights, hints).map_err(|fault| match fault {
        Fault::Unsuitable(why) => Fault::Unsuitable(format!("as {}, {why}", architecture.name)),
        Fault::Damaged(why) => Fault::Damaged(why),
    })
}

fn find(weights: &StateDict) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|architecture| (architecture.matches)(weights))
}
