//! The upsamplers that networks of recent training frameworks choose from (`UniUpsampleV3` of
//! stinkybread/fdat and the-database/traiNNer-redux), told apart by the names of their weights.

use super::{
    activation::Activation,
    dysample,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor},
};
use crate::model::Window;

const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// The maximum number of doublings.
const MAX_STEPS: usize = 6;

impl Network<'_> {
    /// The image from features, by the upsampler `name`, and the upsampler's factor.
    ///
    /// # Errors
    /// [`BuildError`] if the upsampler is not supported, or weights are missing or have a wrong
    /// shape.
    pub(crate) fn uni_upsample(
        &mut self,
        x: &Features,
        name: &str,
    ) -> Result<(Features, u64), BuildError> {
        let layer = |index: usize| format!("{name}.{index}");
        let has = |net: &Self, index: usize| net.has(&format!("{name}.{index}.weight"));
        let is_any = |net: &Self, part: &str| {
            net.has(&format!("{name}.0.{part}")) || net.has(&format!("{name}.2.{part}"))
        };
        if is_any(self, "init_pos") {
            return self.dysampled(x, name);
        }
        if is_any(self, "proj_q.weight") {
            return Err(BuildError::Upsampler("lda"));
        }
        if self.has(&format!("{name}.2.conv.0.weight")) {
            return self.pixel_attention_up(x, name);
        }
        match [1, 2, 3].map(|index| has(self, index)) {
            [true, ..] | [_, true, true] => self.transposed_up(x, name),
            [_, true, false] => {
                let x = self.conv(x, &layer(0))?;
                let mut x = self.leaky_default(&x);
                let steps = (1..=MAX_STEPS).take_while(|step| has(self, 2 * step + 2)).count();
                let mut total = 1;
                for step in 1..=steps {
                    let before = x.channels;
                    x = self.conv(&x, &layer(2 * step))?;
                    let factor = shuffle_factor(x.channels, before, &layer(2 * step))?;
                    x = self.shuffle(&x, factor)?;
                    total *= factor;
                }
                Ok((self.conv(&x, &layer(2 * steps + 2))?, total))
            }
            [_, _, true] => {
                let steps = (1..=MAX_STEPS).take_while(|step| has(self, 3 * step)).count();
                let factor = self.factor_of_step(steps)?;
                let mut x = x.clone();
                for step in 0..steps {
                    x = self.conv(&x, &layer(3 * step))?;
                    x = self.nearest(&x, factor);
                    x = self.activate(&x, LEAKY);
                }
                x = self.conv(&x, &layer(3 * steps))?;
                x = self.activate(&x, LEAKY);
                Ok((self.conv(&x, &layer(3 * steps + 2))?, factor.pow(steps as u32)))
            }
            [_, _, false] => {
                let x = self.conv(x, &layer(0))?;
                let factor = shuffle_factor(x.channels, self.output_channels(), &layer(0))?;
                Ok((self.shuffle(&x, factor)?, factor))
            }
        }
    }

    /// The factor of each step: 2 if there are several, and of a single one as the hints say.
    fn factor_of_step(&self, steps: usize) -> Result<u64, BuildError> {
        match (steps, self.hinted_factor()) {
            (2.., _) => Ok(2),
            (_, Some(factor @ (2 | 3))) => Ok(factor.into()),
            _ => Err(BuildError::Factor),
        }
    }

    /// DySample, after a convolution unless the channels stay the same.
    fn dysampled(&mut self, x: &Features, name: &str) -> Result<(Features, u64), BuildError> {
        let (x, layer) = if self.has(&format!("{name}.2.init_pos")) {
            let x = self.conv(x, &format!("{name}.0"))?;
            (self.leaky_default(&x), format!("{name}.2"))
        } else {
            (x.clone(), format!("{name}.0"))
        };
        let form = dysample::factor(self.weights(), &layer)?;
        let (factor, _) = form;
        Ok((self.dysample(&x, &layer, form)?, factor))
    }

    /// One or two transposed convolutions, then a convolution.
    fn transposed_up(&mut self, x: &Features, name: &str) -> Result<(Features, u64), BuildError> {
        let layer = |index: usize| format!("{name}.{index}");
        let window = |stride: u32, pad: u32| Window {
            stride: [stride; 2],
            pads: [pad; 4],
            ..Window::default()
        };
        let double = window(2, 1);
        if !self.has(&format!("{name}.1.weight")) {
            let x = self.conv_transpose(x, &layer(0), double)?;
            let x = self.gelu(&x);
            let x = self.conv_transpose(&x, &layer(2), double)?;
            return Ok((self.conv(&x, &layer(3))?, 4));
        }
        let kernel = dim(self.weights(), &format!("{name}.0.weight"), 2)?;
        let (window, factor) = if kernel == 3 { (window(3, 0), 3) } else { (double, 2) };
        let x = self.conv_transpose(x, &layer(0), window)?;
        Ok((self.conv(&x, &layer(1))?, factor))
    }

    /// Steps of nearest-neighbour upsampling, each with a gate per sample (PA).
    fn pixel_attention_up(
        &mut self,
        x: &Features,
        name: &str,
    ) -> Result<(Features, u64), BuildError> {
        let gates = (0..MAX_STEPS)
            .take_while(|step| self.has(&format!("{name}.{}.conv.0.weight", 6 * step + 2)));
        let steps = gates.count();
        let factor = self.factor_of_step(steps)?;
        let mut x = x.clone();
        for step in 0..steps {
            let layer = |index: usize| format!("{name}.{}", 6 * step + index);
            x = self.nearest(&x, factor);
            x = self.conv(&x, &layer(1))?;
            let gate = self.conv(&x, &format!("{}.conv.0", layer(2)))?;
            let gate = self.sigmoid(&gate);
            x = self.mul(&x, &gate);
            x = self.activate(&x, LEAKY);
            x = self.conv(&x, &layer(4))?;
            x = self.activate(&x, LEAKY);
        }
        Ok((self.conv(&x, &format!("{name}.{}", 6 * steps))?, factor.pow(steps as u32)))
    }
}
