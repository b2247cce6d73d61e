//! The ends that SwinIR and its descendants share (`basicsr/archs/swinir_arch.py`): the mean that
//! is subtracted first, and the layers that make the image.

use super::{
    activation::Activation,
    error::BuildError,
    network::{Features, Network, shuffle_factor},
};
use crate::model::Graph;

/// The mean R′G′B′ of DIV2K.
const MEAN: [f32; 3] = [0.4488, 0.4371, 0.4040];

const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// The maximum number of upsampling steps.
const MAX_UPS: usize = 6;

impl Network<'_> {
    /// The input as these networks take it: without the mean, times `range`.
    pub(crate) fn without_mean(&mut self, range: f32) -> Features {
        let input = self.input();
        let value = match input.channels {
            3 => self.graph.offset(&input.value, &MEAN.map(|mean| -mean)),
            _ => input.value.clone(),
        };
        let x = Features { value, ..input };
        if range == 1.0 { x } else { self.scale(&x, range) }
    }

    /// The reverse of [`Self::without_mean`].
    pub(crate) fn with_mean(&mut self, x: &Features, range: f32) -> Features {
        let x = if range == 1.0 { x.clone() } else { self.scale(x, 1.0 / range) };
        match x.channels {
            3 => Features { value: self.graph.offset(&x.value, &MEAN), ..x },
            _ => x,
        }
    }

    /// The tokens of `shallow`, normalized if the weights say so.
    ///
    /// # Errors
    /// [`BuildError`] if the weights have a wrong shape.
    pub(crate) fn patch_embedding(&mut self, shallow: &Features) -> Result<Features, BuildError> {
        let projection = "patch_embed.proj";
        let x = match self.has(&format!("{projection}.weight")) {
            true => self.conv(shallow, projection)?,
            false => shallow.clone(),
        };
        let x = self.tokens_of(&x);
        let norm = "patch_embed.norm";
        if self.has(&format!("{norm}.weight")) { self.layer_norm(&x, norm) } else { Ok(x) }
    }

    /// The end of residual group `group`: convolutions of the tokens `x`, added to `start`, the
    /// tokens before the group.
    ///
    /// # Errors
    /// See [`Self::one_or_three`].
    pub(crate) fn end_group(
        &mut self,
        x: &Features,
        start: &Features,
        group: usize,
    ) -> Result<Features, BuildError> {
        let name = format!("layers.{group}.conv");
        let deep = self.image_of(x);
        let mut deep = self.one_or_three(&deep, &name)?;
        let projection = format!("layers.{group}.patch_embed.proj");
        if self.has(&format!("{projection}.weight")) {
            deep = self.conv(&deep, &projection)?;
        }
        let deep = self.tokens_of(&deep);
        self.add(&deep, start, &name)
    }

    /// The network's output from the tokens `x` after the last group. `shallow` are the features
    /// before the first one, `image` and `range` those of [`Self::without_mean`].
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn finish_groups(
        mut self,
        x: &Features,
        shallow: &Features,
        image: &Features,
        range: f32,
    ) -> Result<Graph, BuildError> {
        let x = self.layer_norm(x, "norm")?;
        let x = self.image_of(&x);
        let x = self.one_or_three(&x, "conv_after_body")?;
        self.finish_body(&x, shallow, image, range)
    }

    /// Like [`Self::finish_groups`], from features that have passed the last convolution of the
    /// body.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn finish_body(
        mut self,
        x: &Features,
        shallow: &Features,
        image: &Features,
        range: f32,
    ) -> Result<Graph, BuildError> {
        let x = self.add(x, shallow, "conv_after_body")?;
        let x = self.reconstruct(&x, image)?;
        let x = self.with_mean(&x, range);
        self.finish(&x)
    }

    /// The convolution `name`, or the three convolutions `name.0`, `name.2` and `name.4` with
    /// LeakyReLU between.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn one_or_three(
        &mut self,
        x: &Features,
        name: &str,
    ) -> Result<Features, BuildError> {
        if !self.has(&format!("{name}.0.weight")) {
            return self.conv(x, name);
        }
        let x = self.conv(x, &format!("{name}.0"))?;
        let x = self.activate(&x, LEAKY);
        let x = self.conv(&x, &format!("{name}.2"))?;
        let x = self.activate(&x, LEAKY);
        self.conv(&x, &format!("{name}.4"))
    }

    /// The image from `deep` features, of which there is one of four kinds: pixel shuffles after
    /// one or several convolutions, nearest-neighbour upsampling, or none. `image` is what
    /// [`Self::without_mean`] returned; restoration networks compute a residual of it.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn reconstruct(
        &mut self,
        deep: &Features,
        image: &Features,
    ) -> Result<Features, BuildError> {
        if !self.has("conv_before_upsample.0.weight") {
            let ups = self.upsampling_layers();
            let [up] = ups.as_slice() else {
                let residual = self.conv(deep, "conv_last")?;
                return self.add(image, &residual, "conv_last");
            };
            let x = self.conv(deep, up)?;
            let factor = shuffle_factor(x.channels, self.output_channels(), up)?;
            return self.shuffle(&x, factor);
        }
        let x = self.conv(deep, "conv_before_upsample.0")?;
        let mut x = self.leaky_default(&x);
        if self.has("conv_up1.weight") {
            for number in 1..=MAX_UPS {
                let up = format!("conv_up{number}");
                if !self.has(&format!("{up}.weight")) {
                    break;
                }
                x = self.nearest(&x, 2);
                x = self.conv(&x, &up)?;
                x = self.activate(&x, LEAKY);
            }
            x = self.conv(&x, "conv_hr")?;
            x = self.activate(&x, LEAKY);
            return self.conv(&x, "conv_last");
        }
        (x, _) = self.shuffled_up(&x)?;
        self.conv(&x, "conv_last")
    }

    /// The features after the convolutions and pixel shuffles of `upsample`, and their total
    /// factor.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn shuffled_up(&mut self, x: &Features) -> Result<(Features, u64), BuildError> {
        let (mut x, mut total) = (x.clone(), 1);
        for up in self.upsampling_layers() {
            let before = x.channels;
            x = self.conv(&x, &up)?;
            let factor = shuffle_factor(x.channels, before, &up)?;
            x = self.shuffle(&x, factor)?;
            total *= factor;
        }
        Ok((x, total))
    }

    /// The names of the convolutions of `upsample`.
    fn upsampling_layers(&self) -> Vec<String> {
        let layers = (0..2 * MAX_UPS).step_by(2).map(|index| format!("upsample.{index}"));
        layers.filter(|layer| self.has(&format!("{layer}.weight"))).collect()
    }
}
