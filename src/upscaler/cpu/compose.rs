//! Outputs of frames with a deadline, made from three pictures: the model's last output, the frame
//! that it was computed from (the base), and the frame that is due.
//!
//! With the share `w` of [`Fade`], `output = lanczos(frame) + w · (model − lanczos(base))`: where the
//! frame still resembles the base, the output is the model's picture plus what has changed since, and
//! where `w` is 0, a Lanczos enlargement. All of it is linear, so Y′CbCr is not converted to R′G′B′.

use rayon::prelude::*;

use super::{
    super::{conversion::Conversion, settings::FrameParams},
    fade::{Fade, Show},
    split::{Side, Split},
};
use crate::{
    engine::Interrupt,
    frame::{
        Band, Channels, Error, Family, FrameInfo, FrameMut, FrameRef, Grain, Image, OwnedFrame,
        PlacedImage, Rect, Resampler, Unpacker,
    },
};

/// Output rows that are made at a time.
const BAND_ROWS: u32 = 32;

/// Makes outputs, set up once per stream.
pub(super) struct Compose {
    input: FrameInfo,
    /// From the frame to the output, without a model.
    conversion: Conversion,
    /// Reads the model's output.
    unpacker: Unpacker,
    /// The model's output; `None` until something has been computed.
    model: Option<OwnedFrame>,
}

/// The sources of an output, in addition to the model's output.
#[derive(Clone, Copy)]
pub(super) struct Layers<'a> {
    /// The frame that is due.
    pub frame: &'a FrameRef<'a>,
    /// The frame that the model's output was computed from.
    pub base: Option<&'a FrameRef<'a>>,
    pub fade: &'a Fade,
    pub params: &'a FrameParams,
    pub split: Split,
}

/// How much of the model's picture a part of the output shows.
#[derive(Clone, Copy)]
struct Shown<'a> {
    base: &'a FrameRef<'a>,
    model: &'a FrameRef<'a>,
    /// Its share, if that is the same in all of the part.
    share: Option<f32>,
}

impl Compose {
    /// From `input` to `output` frames.
    ///
    /// # Errors
    /// [`Error`] for unsupported sizes.
    pub(crate) fn new(input: FrameInfo, output: FrameInfo) -> Result<Self, Error> {
        let channels = match output.format.layout().family {
            Family::Rgb => Channels::Rgb,
            Family::Yuv | Family::Gray => Channels::Luma,
        };
        let conversion = Conversion::new(input, output, channels, 1, 0.0)?;
        Ok(Self { input, conversion, unpacker: Unpacker::new(output, channels)?, model: None })
    }

    /// The model's output, to be updated.
    ///
    /// # Errors
    /// [`Error`] for unsupported sizes.
    pub(crate) fn model(&mut self) -> Result<FrameMut<'_>, Error> {
        if self.model.is_none() {
            self.model = Some(OwnedFrame::new(self.conversion.output, 0)?);
        }
        let model = self.model.as_mut().map(OwnedFrame::write);
        model.ok_or(Error::MissingBypassPlanes { index: 0 })
    }

    /// The output pixels that depend on the input pixels of `rect` without the model.
    pub(crate) fn dependents(&self, rect: Rect) -> Rect {
        self.conversion.dependents(rect)
    }

    /// Makes `rects` of `output` and copies everything else from `previous`, the previous output.
    /// Without it, `rects` must cover the output. Bands are left out once `interrupt` is raised.
    pub(crate) fn run(
        &self,
        layers: Layers<'_>,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
        rects: &[Rect],
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        let model = self.model.as_ref().map(OwnedFrame::read);
        let is_plain = layers.params.blend >= 1.0 && layers.params.grain <= 0.0;
        output.split_rows(BAND_ROWS).into_par_iter().try_for_each_init(
            Scratch::default,
            |scratch, mut band| {
                if interrupt.is_raised() {
                    return Ok(());
                }
                let all = band.rect();
                if let Some(previous) = previous.filter(|_| !rects.iter().any(|r| r.contains(&all)))
                {
                    band.copy_from(previous);
                }
                for rect in rects.iter().map(|rect| rect.intersection(&all)) {
                    for (rect, side) in layers.split.sides(rect) {
                        if rect.is_empty() {
                            continue;
                        }
                        for (part, show) in layers.fade.parts(rect) {
                            let shown = layers.base.zip(model.as_ref());
                            let shown = shown.filter(|_| side == Side::Model);
                            if let Some((_, model)) = shown
                                && show == Show::Model
                                && is_plain
                            {
                                band.copy_rect_from(model, part);
                                continue;
                            }
                            let shown = shown.and_then(|(base, model)| {
                                let share = show.share()?.map(|share| share * layers.params.blend);
                                Some(Shown { base, model, share })
                            });
                            self.rect(layers, shown, (part, side), &mut band, scratch)?;
                        }
                    }
                }
                Ok(())
            },
        )
    }

    /// Makes `rect` of a band.
    fn rect(
        &self,
        layers: Layers<'_>,
        shown: Option<Shown<'_>>,
        (rect, side): (Rect, Side),
        band: &mut Band<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let Conversion { packer, unpacker, input, bypass_planes, .. } = &self.conversion;
        let Scratch { picture, planes, mix } = scratch;
        let needed = packer.needed(rect);
        if side == Side::Line {
            let (width, height) = (needed.width as usize, needed.height as usize);
            picture.resize(unpacker.channels().count(), width, height);
            picture.data_mut().fill(1.0);
        } else {
            let grid = self.conversion.whole();
            self.mix(layers, shown, (input, grid, needed), Unpacker::unpack, mix, picture)?;
            let grain = layers.params.grain;
            if grain > 0.0 {
                let transfer = unpacker.info().colorimetry.transfer;
                Grain::new(grain, layers.params.number, transfer)
                    .apply(picture, needed.x, needed.y);
            }
        }
        planes.resize_with(bypass_planes.len(), Image::default);
        let mut placed = Vec::with_capacity(bypass_planes.len());
        let resamplers = bypass_planes.iter().zip(packer.bypass_planes());
        for (index, ((resampler, plane), out)) in resamplers.zip(planes).enumerate() {
            let wanted = packer.needed_bypass(index, rect);
            let read = |unpacker: &Unpacker, frame: &FrameRef<'_>, rect, out: &mut Image| {
                unpacker.unpack_bypass(index, frame, rect, out)
            };
            self.mix(layers, shown, (resampler, plane.grid.rect(), wanted), read, mix, out)?;
            placed.push(PlacedImage::new(out, wanted.x, wanted.y));
        }
        packer.pack(PlacedImage::new(picture, needed.x, needed.y), &placed, rect, band)
    }

    /// Makes the samples `wanted` of a plane that has the samples `grid`.
    fn mix(
        &self,
        Layers { frame, fade, params, .. }: Layers<'_>,
        shown: Option<Shown<'_>>,
        (resampler, grid, wanted): (&Resampler, Rect, Rect),
        read: impl Fn(&Unpacker, &FrameRef<'_>, Rect, &mut Image) -> Result<(), Error>,
        Mix { source, other, detail, shares }: &mut Mix,
        out: &mut Image,
    ) -> Result<(), Error> {
        let needed = resampler.needed(wanted);
        let read_input = |frame, out: &mut _| read(&self.conversion.unpacker, frame, needed, out);
        read_input(frame, source)?;
        let Some(Shown { base, model, share }) = shown else {
            return resampler.resample(PlacedImage::new(source, needed.x, needed.y), wanted, out);
        };
        read_input(base, other)?;
        match share {
            // The same with one resampling instead of two.
            Some(share) => {
                add(source, other, -share);
                resampler.resample(PlacedImage::new(source, needed.x, needed.y), wanted, out)?;
                read(&self.unpacker, model, wanted, detail)?;
                add(out, detail, share);
            }
            None => {
                resampler.resample(PlacedImage::new(source, needed.x, needed.y), wanted, out)?;
                resampler.resample(PlacedImage::new(other, needed.x, needed.y), wanted, source)?;
                read(&self.unpacker, model, wanted, detail)?;
                add(detail, source, -1.0);
                let scale = |input: u32, own: u32| input as f32 / own.max(1) as f32;
                let FrameInfo { width, height, .. } = self.input;
                let scale = (scale(width, grid.width), scale(height, grid.height));
                fade.shares(wanted, scale, params.blend, shares);
                add_shares(out, detail, shares);
            }
        }
        Ok(())
    }
}

/// Adds `share` of `other` to `image`.
fn add(image: &mut Image, other: &Image, share: f32) {
    let samples = image.data_mut().iter_mut().zip(other.data());
    samples.for_each(|(sample, other)| *sample += share * other);
}

/// Adds `other`, sample by sample times the share in the only channel of `shares`, to `image`.
fn add_shares(image: &mut Image, other: &Image, shares: &Image) {
    for channel in 0..image.channels() {
        let samples = image.channel_mut(channel).iter_mut();
        let others = other.channel(channel).iter().zip(shares.channel(0));
        samples.zip(others).for_each(|(sample, (other, share))| *sample += share * other);
    }
}

/// Pictures that a thread keeps from band to band, to allocate them once.
#[derive(Default)]
struct Scratch {
    picture: Image,
    planes: Vec<Image>,
    mix: Mix,
}

/// What [`Compose::mix`] needs.
#[derive(Default)]
struct Mix {
    source: Image,
    other: Image,
    detail: Image,
    shares: Image,
}
