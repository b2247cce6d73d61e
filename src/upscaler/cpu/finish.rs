//! Stages 5 and 6: from the canvas to the asked size, blended and grained, into planes.

use rayon::prelude::*;

use super::super::{conversion::Conversion, settings::FrameParams};
use crate::frame::{Band, Error, FrameMut, FrameRef, Grain, Image, PlacedImage, Rect, blend_row};

/// Output rows that are finished at a time: few enough that their floats stay in the cache.
const BAND_ROWS: u32 = 32;

/// Everything between the canvas and the output's planes, set up once per caps.
pub(super) struct Finish {
    pub(super) conversion: Conversion,
}

impl Finish {
    /// Writes `rects` of `output`; the rest of it is copied from `previous`, the output of the
    /// frame before, which `rects` may leave out only where that is given.
    pub(super) fn run(
        &self,
        canvas: &Image,
        frame: &FrameRef<'_>,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
        rects: &[Rect],
        params: &FrameParams,
    ) -> Result<(), Error> {
        output.split_rows(BAND_ROWS).into_par_iter().try_for_each_init(
            Scratch::default,
            |scratch, mut band| {
                let all = band.rect();
                if let Some(previous) = previous.filter(|_| !rects.iter().any(|r| r.contains(&all)))
                {
                    band.copy_from(previous);
                }
                for rect in rects.iter().map(|rect| rect.intersection(&all)) {
                    if !rect.is_empty() {
                        self.rect(canvas, frame, params, rect, &mut band, scratch)?;
                    }
                }
                Ok(())
            },
        )
    }

    fn rect(
        &self,
        canvas: &Image,
        frame: &FrameRef<'_>,
        params: &FrameParams,
        rect: Rect,
        band: &mut Band<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let Scratch { main, lanczos, source, bypass_planes } = scratch;
        let main = self.main(
            canvas,
            frame,
            params,
            self.conversion.packer.needed(rect),
            main,
            lanczos,
            source,
        )?;
        bypass_planes.resize_with(self.conversion.bypass_planes.len(), Image::default);
        let mut parts = Vec::with_capacity(bypass_planes.len());
        for (index, (resampler, out)) in
            self.conversion.bypass_planes.iter().zip(bypass_planes).enumerate()
        {
            let wanted = self.conversion.packer.needed_bypass(index, rect);
            let needed = resampler.needed(wanted);
            self.conversion.unpacker.unpack_bypass(index, frame, needed, source)?;
            resampler.resample(PlacedImage::new(source, needed.x, needed.y), wanted, out)?;
            parts.push(PlacedImage::new(out, wanted.x, wanted.y));
        }
        self.conversion.packer.pack(main, &parts, rect, band)
    }

    /// The finished main picture of output pixels `rect`: the canvas itself where nothing is to
    /// be done to it.
    #[allow(clippy::too_many_arguments)]
    fn main<'a>(
        &self,
        canvas: &'a Image,
        frame: &FrameRef<'_>,
        params: &FrameParams,
        rect: Rect,
        out: &'a mut Image,
        lanczos: &mut Image,
        source: &mut Image,
    ) -> Result<PlacedImage<'a>, Error> {
        let untouched = params.blend >= 1.0 && params.grain <= 0.0;
        if untouched && self.conversion.canvas.is_identity() {
            return Ok(PlacedImage::whole(canvas));
        }
        if params.blend > 0.0 {
            self.conversion.canvas.resample(PlacedImage::whole(canvas), rect, out)?;
        }
        if params.blend < 1.0 {
            let needed = self.conversion.input.needed(rect);
            self.conversion.unpacker.unpack(frame, needed, source)?;
            let target = if params.blend > 0.0 { &mut *lanczos } else { &mut *out };
            self.conversion.input.resample(
                PlacedImage::new(source, needed.x, needed.y),
                rect,
                target,
            )?;
            if params.blend > 0.0 {
                blend_row(lanczos.data(), out.data_mut(), params.blend);
            }
        }
        if params.grain > 0.0 {
            Grain::new(params.grain, params.number).apply(out, rect.x, rect.y);
        }
        Ok(PlacedImage::new(out, rect.x, rect.y))
    }
}

/// Pictures that a thread keeps from band to band, for their allocations.
#[derive(Default)]
struct Scratch {
    main: Image,
    lanczos: Image,
    source: Image,
    bypass_planes: Vec<Image>,
}
