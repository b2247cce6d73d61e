//! The stages after the model: resampling to the output's size, blending, grain and packing.

use rayon::prelude::*;

use super::{
    super::{conversion::Conversion, settings::FrameParams},
    fade::Fade,
};
use crate::{
    engine::Interrupt,
    frame::{
        Band, Channels, Error, Family, FrameInfo, FrameMut, FrameRef, Grain, Image, PlacedImage,
        Rect, blend_row,
    },
};

/// Output rows that are finished at a time: few enough for their samples to stay in the cache.
const BAND_ROWS: u32 = 32;

/// Makes outputs, set up once per stream.
pub(super) struct Finish {
    conversion: Conversion,
    /// For parts of frames with a deadline that show nothing of the canvas: luma and chroma are
    /// resampled as they are, which costs less than resampling R′G′B′.
    without_model: Option<Conversion>,
    /// The first output column of the line that ends the part without the model.
    split: Option<u32>,
}

/// Output columns of the line of a split picture.
const LINE: u32 = 2;

/// What a part of a split picture shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Lanczos,
    Line,
    Model,
}

/// What an output is made from.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub canvas: &'a Image,
    /// The input frame; without planes if nothing reads it.
    pub frame: &'a FrameRef<'a>,
    pub params: &'a FrameParams,
    /// Which share of the canvas is shown, besides the blend of `params`. `None`: all.
    pub fade: Option<&'a Fade>,
}

impl Finish {
    /// From `input` to `output` frames, with this `conversion`.
    ///
    /// # Errors
    /// [`Error`] for unsupported sizes.
    pub(crate) fn new(
        conversion: Conversion,
        input: FrameInfo,
        output: FrameInfo,
    ) -> Result<Self, Error> {
        let is_yuv = output.format.layout().family == Family::Yuv;
        let converts = is_yuv && conversion.unpacker.channels() == Channels::Rgb;
        let without_model = converts
            .then(|| Conversion::new(input, output, Channels::Luma, conversion.factor))
            .transpose()?;
        Ok(Self { conversion, without_model, split: None })
    }

    /// Shows the frame without the model in this share of the width; 0: nowhere.
    pub(crate) fn set_split(&mut self, share: f64) {
        let column = (f64::from(self.whole().width) * share) as u32;
        // Pairs of columns share their chroma.
        self.split = (share > 0.0).then_some(column / LINE * LINE);
    }

    /// The parts of `rect` on both sides of the line, and of the line.
    fn sides(&self, rect: Rect) -> impl Iterator<Item = (Rect, Side)> {
        let (line, end) = self.split.map_or((0, 0), |line| (line, line + LINE));
        [(0, line, Side::Lanczos), (line, end, Side::Line), (end, u32::MAX, Side::Model)]
            .into_iter()
            .map(move |(from, to, side)| {
                let (from, to) = (from.max(rect.x), to.min(rect.right()));
                (Rect { x: from, width: to.saturating_sub(from), ..rect }, side)
            })
            .filter(|(part, _)| !part.is_empty())
    }

    /// The output pixels that depend on the input pixels of `rect` and their part of the canvas, in
    /// frames with a deadline (`is_timed`) or without.
    pub(crate) fn dependents(&self, rect: Rect, is_timed: bool) -> Rect {
        let dependents = self.conversion.dependents(rect);
        let without_model = self.without_model.as_ref().filter(|_| is_timed);
        without_model.map_or(dependents, |it| dependents.union(&it.dependents(rect)))
    }

    /// The whole output.
    pub(crate) fn whole(&self) -> Rect {
        self.conversion.whole()
    }

    /// The conversion for `rect`.
    fn conversion(&self, sources: Sources<'_>, rect: Rect) -> &Conversion {
        let shows_canvas = || sources.fade.is_none_or(|fade| fade.uniform(rect) != Some(0.0));
        match &self.without_model {
            Some(conversion) if sources.params.grain <= 0.0 && !shows_canvas() => conversion,
            _ => &self.conversion,
        }
    }

    /// Computes `rects` of `output` and copies everything else from `previous`, the previous
    /// output. Without it, `rects` must cover the output. Bands are left out once `interrupt` is
    /// raised.
    pub(crate) fn run(
        &self,
        sources: Sources<'_>,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
        rects: &[Rect],
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
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
                    if rect.is_empty() {
                        continue;
                    }
                    for (rect, side) in self.sides(rect) {
                        let lanczos = FrameParams { blend: 0.0, ..*sources.params };
                        let sources = match side {
                            Side::Model => sources,
                            Side::Lanczos | Side::Line => {
                                Sources { params: &lanczos, fade: None, ..sources }
                            }
                        };
                        let fade = sources.fade;
                        for part in fade.map_or_else(|| vec![rect], |fade| fade.parts(rect)) {
                            self.rect(sources, (part, side), &mut band, scratch)?;
                        }
                    }
                }
                Ok(())
            },
        )
    }

    /// Computes `rect` of a band.
    fn rect(
        &self,
        sources: Sources<'_>,
        (rect, side): (Rect, Side),
        band: &mut Band<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let conversion = self.conversion(sources, rect);
        let Conversion { packer, unpacker, bypass_planes: resamplers, .. } = conversion;
        let Scratch { finished, lanczos, source, bypass_planes } = scratch;
        let needed = packer.needed(rect);
        let finished = match side {
            Side::Line => {
                let channels = unpacker.channels().count();
                finished.resize(channels, needed.width as usize, needed.height as usize);
                finished.data_mut().fill(1.0);
                PlacedImage::new(finished, needed.x, needed.y)
            }
            _ => picture(conversion, sources, needed, (finished, lanczos, source))?,
        };
        bypass_planes.resize_with(resamplers.len(), Image::default);
        let mut parts = Vec::with_capacity(resamplers.len());
        for (index, (resampler, out)) in resamplers.iter().zip(bypass_planes).enumerate() {
            let wanted = packer.needed_bypass(index, rect);
            let needed = resampler.needed(wanted);
            unpacker.unpack_bypass(index, sources.frame, needed, source)?;
            resampler.resample(PlacedImage::new(source, needed.x, needed.y), wanted, out)?;
            parts.push(PlacedImage::new(out, wanted.x, wanted.y));
        }
        packer.pack(finished, &parts, rect, band)
    }
}

/// The finished picture of the output pixels `rect`: in `out`, or the canvas itself if it needs
/// no change.
fn picture<'a>(
    conversion: &Conversion,
    Sources { canvas, frame, params, fade }: Sources<'a>,
    rect: Rect,
    (out, lanczos, source): (&'a mut Image, &mut Image, &mut Image),
) -> Result<PlacedImage<'a>, Error> {
    let Conversion { unpacker, canvas: from_canvas, input: from_input, .. } = conversion;
    let canvas = PlacedImage::whole(canvas);
    // The share of the canvas, if it is the same for all pixels.
    let share = fade.map_or(Some(1.0), |fade| fade.uniform(rect));
    let share = share.map(|share| share * params.blend);
    let (shows_canvas, shows_input) = (share != Some(0.0), share.is_none_or(|it| it < 1.0));
    if !shows_input && params.grain <= 0.0 && from_canvas.is_identity() {
        return Ok(canvas);
    }
    if shows_canvas {
        from_canvas.resample(canvas, rect, out)?;
    }
    if shows_input {
        let needed = from_input.needed(rect);
        unpacker.unpack(frame, needed, source)?;
        let target = if shows_canvas { &mut *lanczos } else { &mut *out };
        from_input.resample(PlacedImage::new(source, needed.x, needed.y), rect, target)?;
        match (share, fade) {
            (Some(share), _) if shows_canvas => {
                blend_row(lanczos.data(), out.data_mut(), share);
            }
            (None, Some(fade)) => fade.blend(rect, lanczos, out, params.blend),
            _ => {}
        }
    }
    if params.grain > 0.0 {
        Grain::new(params.grain, params.number).apply(out, rect.x, rect.y);
    }
    Ok(PlacedImage::new(out, rect.x, rect.y))
}

/// Pictures that a thread keeps from band to band, to allocate them once.
#[derive(Default)]
struct Scratch {
    finished: Image,
    lanczos: Image,
    source: Image,
    bypass_planes: Vec<Image>,
}
