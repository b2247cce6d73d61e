//! VDSR: twenty convolutions that find what an enlarged luma lacks. Under the names of
//! twtygqyy/pytorch-vdsr (both of its forms) and Lornatang/VDSR-PyTorch.

use super::{
    Hints,
    network::{Activation, Network, dim},
};
use crate::model::{Graph, checkpoint::StateDict, fault::Fault};

/// The first layer's name, those between by number, the last one's where it has its own.
struct Form {
    first: &'static str,
    between: fn(usize) -> String,
    last: Option<&'static str>,
}

const FORMS: [Form; 3] = [
    Form {
        first: "input",
        between: |place| format!("residual_layer.{place}.conv"),
        last: Some("output"),
    },
    Form { first: "conv1.0", between: |place| format!("trunk.{place}.conv"), last: Some("conv2") },
    Form {
        first: "features.0",
        between: |place| format!("features.{}", 2 * place + 2),
        last: None,
    },
];

fn form(weights: &StateDict) -> Option<&'static Form> {
    let has = |layer: &str| weights.get(&format!("{layer}.weight")).is_some();
    FORMS
        .iter()
        .find(|form| has(form.first) && has(&(form.between)(0)) && form.last.is_none_or(has))
}

pub(super) fn matches(weights: &StateDict) -> bool {
    form(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    let form = form(weights).unwrap_or(&FORMS[0]);
    let channels = dim(weights, &format!("{}.weight", form.first), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let enlarged = net.enlarged_input();
    let between = (0..).map(form.between);
    let between = between.take_while(|layer| weights.get(&format!("{layer}.weight")).is_some());
    let mut x = net.conv(&enlarged, form.first)?;
    for layer in between.chain(form.last.map(str::to_owned)) {
        x = net.activate(&x, Activation::Relu);
        x = net.conv(&x, &layer)?;
    }
    let picture = net.add(&x, &enlarged, "the last convolution")?;
    net.finish(&picture)
}
