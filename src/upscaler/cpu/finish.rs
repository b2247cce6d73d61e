//! The stages after the model: resampling to the output's size, blending, grain and packing.

use rayon::prelude::*;

use super::{
    super::{conversion::Conversion, fidelity, settings::FrameParams},
    split::{Side, Split},
};
use crate::{
    engine::Interrupt,
    frame::{Band, Error, FrameMut, FrameRef, Grain, Image, PlacedImage, Rect, blend_row},
};

/// Output rows that are finished at a time: few enough for their samples to stay in the cache.
const BAND_ROWS: u32 = 32;
/// The same with fidelity, which reads rows around them.
const FAITHFUL_BAND_ROWS: u32 = 96;

/// Makes outputs, set up once per stream.
pub(super) struct Finish {
    conversion: Conversion,
}

/// What an output is made from.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub canvas: &'a Image,
    /// The input frame; without planes if nothing reads it.
    pub frame: &'a FrameRef<'a>,
    pub params: &'a FrameParams,
    pub split: Split,
}

impl Finish {
    /// With this `conversion`.
    pub(crate) fn new(conversion: Conversion) -> Self {
        Self { conversion }
    }

    /// The output pixels that depend on the input pixels of `rect` and their part of the canvas.
    pub(crate) fn dependents(&self, rect: Rect) -> Rect {
        self.conversion.dependents(rect)
    }

    /// The whole output.
    pub(crate) fn whole(&self) -> Rect {
        self.conversion.whole()
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
        let rows = match self.conversion.fidelity {
            Some(_) => FAITHFUL_BAND_ROWS,
            None => BAND_ROWS,
        };
        output.split_rows(rows).into_par_iter().try_for_each_init(
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
                    for (rect, side) in sources.split.sides(rect) {
                        let lanczos = FrameParams { blend: 0.0, ..*sources.params };
                        let sources = match side {
                            Side::Model => sources,
                            Side::Lanczos | Side::Line => Sources { params: &lanczos, ..sources },
                        };
                        self.rect(sources, (rect, side), &mut band, scratch)?;
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
        let conversion = &self.conversion;
        let Conversion { packer, unpacker, bypass_planes: resamplers, .. } = conversion;
        let Scratch { finished, lanczos, source, bypass_planes, fidelity } = scratch;
        let needed = packer.needed(rect);
        let finished = match side {
            Side::Line => {
                let channels = unpacker.channels().count();
                finished.resize(channels, needed.width as usize, needed.height as usize);
                finished.data_mut().fill(1.0);
                PlacedImage::new(finished, needed.x, needed.y)
            }
            _ => picture(conversion, sources, needed, (finished, lanczos, source, fidelity))?,
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
    Sources { canvas, frame, params, .. }: Sources<'a>,
    rect: Rect,
    (out, lanczos, source, scratch): (
        &'a mut Image,
        &mut Image,
        &mut Image,
        &mut fidelity::Scratch,
    ),
) -> Result<PlacedImage<'a>, Error> {
    let Conversion { unpacker, canvas: from_canvas, input: from_input, fidelity, .. } = conversion;
    let canvas = PlacedImage::whole(canvas);
    let (shows_canvas, shows_input) = (params.blend > 0.0, params.blend < 1.0);
    if !shows_input && params.grain <= 0.0 && from_canvas.is_identity() && fidelity.is_none() {
        return Ok(canvas);
    }
    match fidelity.as_ref().filter(|_| shows_canvas) {
        Some(fidelity) => {
            fidelity.picture(conversion.enlarge(), canvas, frame, rect, (out, scratch))?;
        }
        None if shows_canvas => from_canvas.resample(canvas, rect, out)?,
        None => {}
    }
    if shows_input {
        let needed = from_input.needed(rect);
        unpacker.unpack(frame, needed, source)?;
        let target = if shows_canvas { &mut *lanczos } else { &mut *out };
        from_input.resample(PlacedImage::new(source, needed.x, needed.y), rect, target)?;
        if shows_canvas {
            blend_row(lanczos.data(), out.data_mut(), params.blend);
        }
    }
    if params.grain > 0.0 {
        let transfer = unpacker.info().colorimetry.transfer;
        Grain::new(params.grain, params.number, transfer).apply(out, rect.x, rect.y);
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
    fidelity: fidelity::Scratch,
}
