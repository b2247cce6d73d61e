//! Launching the kernels, on memory whose sizes are checked.
//!
//! Each function queues one kernel and does not wait for it. All run on the compute stream,
//! except [`Device::compare`] and [`Device::update`], which run on the upload stream. Before a
//! launch, every function checks what the kernel relies on: that all memory belongs to this
//! device (which does not free memory before its streams are idle), that pictures, frames and
//! coefficients have matching sizes, and that rectangles and regions lie inside of them.

use std::sync::Arc;

use super::{
    Buffer, Device, DeviceFrame, DeviceList, DevicePicture, DeviceResampler, DeviceSlice, Error,
    launch::{Kernel, Work},
};
use crate::{
    frame::{Family, FrameInfo, Grain, Rect},
    kernels::{
        CompareArgs, FINISHED, FINISHED_ROWS, FinishArgs, GatherArgs, GrainArgs, PackArgs,
        RegionArgs, SPAN, Samples, ScatterArgs, UnpackArgs, noise,
    },
};

/// The pictures that a frame is unpacked to and packed from.
#[derive(Clone, Copy)]
pub struct FramePictures<'a> {
    /// What the model reads or wrote: R′G′B′ or Y′.
    pub model: &'a DevicePicture,
    /// Cb and Cr, if they bypass the model.
    pub chroma: Option<&'a DevicePicture>,
    /// Alpha, if the format has it.
    pub alpha: Option<&'a DevicePicture>,
}

/// What [`Device::finish`] makes a picture from.
#[derive(Clone, Copy)]
pub struct Finish<'a> {
    /// The enlarged picture, and the resampler from its size.
    pub canvas: (&'a DevicePicture, &'a DeviceResampler),
    /// The input that the canvas is blended with, and the resampler from its size.
    pub input: Option<(&'a DevicePicture, &'a DeviceResampler)>,
    /// Weight of the canvas, 0..1; 1 without an input.
    pub share: f32,
    /// Grain, and the [noise](crate::kernels::noise) that it is cut from.
    pub grain: Option<(&'a Grain, &'a Buffer)>,
}

/// The blocks of a frame that differ from the reference: a bit per block of 8 × 8 pixels, in
/// the order of a [`ChangedMap`](crate::reuse::ChangedMap).
pub struct DeviceChanges {
    bits: Buffer,
    size: (u32, u32),
    whole: DeviceList<Rect>,
}

impl DeviceChanges {
    /// For frames of `width` × `height` pixels. The bits are unspecified.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Lost`].
    pub fn new(device: &Arc<Device>, width: u32, height: u32) -> Result<Self, Error> {
        let rows = height.div_ceil(8) as usize;
        Ok(Self {
            bits: Buffer::new(device, rows.saturating_mul(row_words(width) as usize * 4))?,
            size: (width, height),
            whole: DeviceList::holding(device, vec![Rect::of_size(width, height)])?,
        })
    }

    /// The memory of the bits.
    #[must_use]
    pub fn bits(&self) -> &Buffer {
        &self.bits
    }
}

/// 32-bit words of a row of blocks: rows begin at multiples of 64 bits.
fn row_words(width: u32) -> u32 {
    2 * width.div_ceil(8 * u64::BITS)
}

impl Device {
    /// Unpacks the pixels `rects` of `frame`. `upsampler` interpolates subsampled chroma.
    ///
    /// # Errors
    /// [`Error::InvalidArguments`], and those of the driver.
    pub fn unpack(
        &self,
        frame: &DeviceFrame,
        to: FramePictures<'_>,
        upsampler: &DeviceResampler,
        rects: &DeviceSlice<'_, Rect>,
    ) -> Result<(), Error> {
        let check = Check { device: self, task: "unpacking" };
        let chroma_size = check.frame_pictures(frame, &to)?;
        check.resampler(upsampler)?;
        if to.model.channels() == 3 && is_subsampled(frame.info()) {
            let fits = upsampler.fits(chroma_size, to.model.size());
            check.that(fits, "the upsampler has another size")?;
        }
        check.rects(rects, to.model.size())?;
        let [horizontal, vertical] = upsampler.args();
        let arguments = UnpackArgs {
            frame: frame.args(),
            model: to.model.args(),
            chroma: to.chroma.map(DevicePicture::args).unwrap_or_default(),
            alpha: to.alpha.map(DevicePicture::args).unwrap_or_default(),
            horizontal,
            vertical,
            rects: rects.address(),
            channels: to.model.channels(),
            unused: 0,
        };
        let kernel = Kernel::Unpack(to.model.samples());
        // SAFETY: checked above.
        unsafe { self.launch(self.compute(), kernel, &arguments, work(rects.items(), SPAN)) }
    }

    /// Packs the pixels `rects` of a frame. `downsampler` averages chroma that the format
    /// subsamples.
    ///
    /// # Errors
    /// [`Error::InvalidArguments`], and those of the driver.
    pub fn pack(
        &self,
        from: FramePictures<'_>,
        downsampler: &DeviceResampler,
        rects: &DeviceSlice<'_, Rect>,
        frame: &DeviceFrame,
    ) -> Result<(), Error> {
        let check = Check { device: self, task: "packing" };
        let chroma_size = check.frame_pictures(frame, &from)?;
        check.resampler(downsampler)?;
        let family = frame.info().format.layout().family;
        if from.model.channels() == 1 {
            let complete = from.chroma.is_some() || family == Family::Gray;
            check.that(complete, "the chroma is missing")?;
        } else if is_subsampled(frame.info()) {
            let fits = downsampler.fits(from.model.size(), chroma_size);
            check.that(fits, "the downsampler has another size")?;
        }
        check.rects(rects, from.model.size())?;
        let [horizontal, vertical] = downsampler.args();
        let arguments = PackArgs {
            frame: frame.args(),
            model: from.model.args(),
            chroma: from.chroma.map(DevicePicture::args).unwrap_or_default(),
            alpha: from.alpha.map(DevicePicture::args).unwrap_or_default(),
            horizontal,
            vertical,
            rects: rects.address(),
            channels: from.model.channels(),
            unused: 0,
        };
        let kernel = Kernel::Pack(from.model.samples());
        // SAFETY: checked above.
        unsafe { self.launch(self.compute(), kernel, &arguments, work(rects.items(), SPAN)) }
    }

    /// Resamples, blends and adds grain to the pixels `rects` of `out`.
    ///
    /// # Errors
    /// [`Error::InvalidArguments`], and those of the driver.
    pub fn finish(
        &self,
        from: &Finish<'_>,
        rects: &DeviceSlice<'_, Rect>,
        out: &DevicePicture,
    ) -> Result<(), Error> {
        let check = Check { device: self, task: "resampling" };
        let (canvas, resampler) = from.canvas;
        check.picture(out, out.size(), canvas.channels(), Samples::F32)?;
        check.that((1..=3).contains(&out.channels()), "unsupported number of channels")?;
        for (picture, resampler) in [Some(from.canvas), from.input].into_iter().flatten() {
            check.picture(picture, picture.size(), canvas.channels(), canvas.samples())?;
            check.resampler(resampler)?;
            let fits = resampler.fits(picture.size(), out.size());
            check.that(fits, "the resampler has another size")?;
        }
        if let Some((_, tile)) = from.grain {
            check.buffer(tile, size_of_val(noise()))?;
        }
        check.rects(rects, out.size())?;
        let [canvas_horizontal, canvas_vertical] = resampler.args();
        let [input_horizontal, input_vertical] =
            from.input.map(|(_, resampler)| resampler.args()).unwrap_or_default();
        let grain = from.grain.map(|(grain, tile)| GrainArgs::new(grain, tile.address()));
        let arguments = FinishArgs {
            canvas: canvas.args(),
            input: from.input.map(|(input, _)| input.args()).unwrap_or_default(),
            out: out.args(),
            canvas_horizontal,
            canvas_vertical,
            input_horizontal,
            input_vertical,
            grain: grain.unwrap_or_default(),
            rects: rects.address(),
            share: if from.input.is_some() { from.share.clamp(0.0, 1.0) } else { 1.0 },
            channels: out.channels(),
        };
        let kernel = Kernel::Finish(canvas.samples());
        let work = work(rects.items(), FINISHED);
        let work = Work { rows: work.rows.div_ceil(FINISHED_ROWS), ..work };
        // SAFETY: checked above.
        unsafe { self.launch(self.compute(), kernel, &arguments, work) }
    }

    /// Sets the bits of the blocks of `frame` that differ from `reference` by more than
    /// `tolerance` steps of 8-bit codes, or at all among the blocks `due`. Clears no bits. Only
    /// the given `samples` are compared: for each plane, a bit per sample of a group (a pixel, or
    /// a pair of Cb and Cr).
    ///
    /// # Errors
    /// [`Error::InvalidArguments`], and those of the driver.
    pub fn compare(
        &self,
        frame: &DeviceFrame,
        reference: &DeviceFrame,
        samples: &[u32],
        tolerance: u8,
        due: Rect,
        changes: &DeviceChanges,
    ) -> Result<(), Error> {
        let arguments = self.compare_args(frame, reference, tolerance, changes, "comparison")?;
        let arguments = CompareArgs { due, ..arguments.only(samples) };
        let work = work(changes.whole.all().items(), SPAN);
        // SAFETY: checked above.
        unsafe { self.launch(self.upload(), Kernel::CompareBlocks, &arguments, work) }
    }

    /// Copies the blocks of `frame` whose bits are set into `reference`, in the planes that have
    /// any of `samples` (see [`compare`](Self::compare)).
    ///
    /// # Errors
    /// [`Error::InvalidArguments`], and those of the driver.
    pub fn update(
        &self,
        frame: &DeviceFrame,
        reference: &DeviceFrame,
        samples: &[u32],
        changes: &DeviceChanges,
    ) -> Result<(), Error> {
        let arguments = self.compare_args(frame, reference, 0, changes, "reference update")?;
        let arguments = arguments.only(samples);
        let work = work(changes.whole.all().items(), SPAN);
        // SAFETY: checked above.
        unsafe { self.launch(self.upload(), Kernel::UpdateReference, &arguments, work) }
    }

    fn compare_args(
        &self,
        frame: &DeviceFrame,
        reference: &DeviceFrame,
        tolerance: u8,
        changes: &DeviceChanges,
        task: &'static str,
    ) -> Result<CompareArgs, Error> {
        let check = Check { device: self, task };
        let kind = |frame: &DeviceFrame| {
            let FrameInfo { format, width, height, .. } = *frame.info();
            (format, (width, height))
        };
        let (_, size) = kind(frame);
        check.that(kind(frame) == kind(reference), "the reference has another format or size")?;
        check.that(changes.size == size, "the map of changes has another size")?;
        for buffer in [frame.buffer(), reference.buffer(), &changes.bits] {
            check.buffer(buffer, 0)?;
        }
        Ok(CompareArgs {
            changed: changes.bits.address(),
            row_words: row_words(size.0),
            rects: changes.whole.all().address(),
            ..CompareArgs::new(frame.info(), &frame.planes(), &reference.planes(), tolerance)
        })
    }

    /// Copies `regions` of `source` into the items of a batch, each of `width` × `height`
    /// pixels. Missing pixels of a region are mirrored.
    ///
    /// # Errors
    /// [`Error::InvalidArguments`], and those of the driver.
    pub fn gather(
        &self,
        source: &DevicePicture,
        regions: &DeviceSlice<'_, RegionArgs>,
        (width, height): (u32, u32),
        batch: &Buffer,
    ) -> Result<(), Error> {
        let check = Check { device: self, task: "gathering regions" };
        check.buffer(source.buffer(), 0)?;
        check.buffer(regions.buffer(), 0)?;
        let count = regions.items().len();
        check.buffer(batch, batch_bytes(source, count, (width, height)))?;
        for RegionArgs { read, .. } in regions.items() {
            check.that(!read.is_empty(), "an empty region")?;
            check.that(is_inside(*read, source.size(), 1), "a region outside of the picture")?;
        }
        let arguments = GatherArgs {
            source: source.args(),
            batch: batch.address(),
            regions: regions.address(),
            channels: source.channels(),
            width,
            height,
            unused: 0,
        };
        let per_thread = 16 / source.samples().size() as u32;
        let work = Work { spans: width.div_ceil(per_thread), rows: height, layers: count };
        // SAFETY: checked above.
        unsafe { self.launch(self.compute(), Kernel::Gather(source.samples()), &arguments, work) }
    }

    /// Copies the model's output for a batch of `regions`, each of `width` × `height` pixels
    /// before it was enlarged by `factor`, to their places on `canvas`.
    ///
    /// # Errors
    /// [`Error::InvalidArguments`], and those of the driver.
    pub fn scatter(
        &self,
        batch: &Buffer,
        regions: &DeviceSlice<'_, RegionArgs>,
        (width, height): (u32, u32),
        factor: u32,
        canvas: &DevicePicture,
    ) -> Result<(), Error> {
        let check = Check { device: self, task: "scattering regions" };
        check.buffer(canvas.buffer(), 0)?;
        check.buffer(regions.buffer(), 0)?;
        let large = (width.saturating_mul(factor), height.saturating_mul(factor));
        check.buffer(batch, batch_bytes(canvas, regions.items().len(), large))?;
        for RegionArgs { compute, read } in regions.items() {
            let inside = is_inside(*compute, canvas.size(), factor);
            check.that(inside, "a region outside of the canvas")?;
            let item = read.x <= compute.x && read.y <= compute.y;
            let item = item && compute.right() - read.x <= width;
            check.that(
                item && compute.bottom() - read.y <= height,
                "a region outside of its item",
            )?;
        }
        let arguments = ScatterArgs {
            canvas: canvas.args(),
            batch: batch.address(),
            regions: regions.address(),
            channels: canvas.channels(),
            width: large.0,
            height: large.1,
            factor,
        };
        let places: Vec<Rect> =
            regions.items().iter().map(|region| region.compute.scaled(factor)).collect();
        let work = work(&places, 16 / canvas.samples().size() as u32);
        // SAFETY: checked above.
        unsafe { self.launch(self.compute(), Kernel::Scatter(canvas.samples()), &arguments, work) }
    }
}

/// Checks of the arguments of one launch.
#[derive(Clone, Copy)]
struct Check<'a> {
    device: &'a Device,
    task: &'static str,
}

impl Check<'_> {
    fn that(self, holds: bool, reason: &'static str) -> Result<(), Error> {
        if holds { Ok(()) } else { Err(Error::InvalidArguments { task: self.task, reason }) }
    }

    /// Memory of this device, of at least `bytes` bytes.
    fn buffer(self, buffer: &Buffer, bytes: usize) -> Result<(), Error> {
        self.that(std::ptr::eq(&**buffer.device(), self.device), "memory of another device")?;
        self.that(buffer.len() >= bytes, "a buffer is too small")
    }

    fn resampler(self, resampler: &DeviceResampler) -> Result<(), Error> {
        resampler.buffers().try_for_each(|buffer| self.buffer(buffer, 0))
    }

    fn picture(
        self,
        picture: &DevicePicture,
        size: (u32, u32),
        channels: u32,
        samples: Samples,
    ) -> Result<(), Error> {
        self.buffer(picture.buffer(), 0)?;
        self.that(picture.size() == size, "a picture has another size")?;
        let same = (picture.channels(), picture.samples()) == (channels, samples);
        self.that(same, "a picture has another number of channels or type of samples")
    }

    /// That `pictures` are those of `frame`; the size of its chroma planes.
    fn frame_pictures(
        self,
        frame: &DeviceFrame,
        pictures: &FramePictures<'_>,
    ) -> Result<(u32, u32), Error> {
        let FrameInfo { format, width, height, .. } = *frame.info();
        let layout = format.layout();
        let [shift_x, shift_y] = layout.subsampling;
        let chroma_size = (width.div_ceil(1 << shift_x), height.div_ceil(1 << shift_y));
        self.buffer(frame.buffer(), 0)?;
        let FramePictures { model, chroma, alpha } = pictures;
        self.picture(model, (width, height), model.channels(), model.samples())?;
        self.that(matches!(model.channels(), 1 | 3), "unsupported number of channels")?;
        if let Some(chroma) = chroma {
            self.picture(chroma, chroma_size, 2, Samples::F32)?;
        }
        if let Some(alpha) = alpha {
            self.picture(alpha, (width, height), 1, Samples::F32)?;
            self.that(layout.components.len() == 4, "the format has no alpha")?;
        }
        Ok(chroma_size)
    }

    fn rects(self, rects: &DeviceSlice<'_, Rect>, size: (u32, u32)) -> Result<(), Error> {
        self.buffer(rects.buffer(), 0)?;
        let inside = rects.items().iter().all(|rect| is_inside(*rect, size, 1));
        self.that(inside, "a rectangle outside of the picture")
    }
}

/// Whether the format stores chroma for groups of pixels, from which R′G′B′ is interpolated.
fn is_subsampled(info: &FrameInfo) -> bool {
    let layout = info.format.layout();
    layout.family == Family::Yuv && layout.subsampling != [0, 0]
}

/// Whether `rect`, every coordinate times `factor`, lies in a picture of this size.
fn is_inside(rect: Rect, (width, height): (u32, u32), factor: u32) -> bool {
    let end = |start: u32, length: u32| (u64::from(start) + u64::from(length)) * u64::from(factor);
    end(rect.x, rect.width) <= u64::from(width) && end(rect.y, rect.height) <= u64::from(height)
}

/// Bytes of `count` pictures of this size without padding, with the channels and samples of
/// `like`.
fn batch_bytes(like: &DevicePicture, count: usize, (width, height): (u32, u32)) -> usize {
    [like.channels() as usize, width as usize, height as usize, like.samples().size()]
        .into_iter()
        .fold(count, usize::saturating_mul)
}

/// The grid that covers `rects` with threads that process `span` pixels each.
fn work(rects: &[Rect], span: u32) -> Work {
    let spans = rects.iter().map(|rect| rect.right().div_ceil(span) - rect.x / span).max();
    let rows = rects.iter().map(|rect| rect.height).max();
    Work { spans: spans.unwrap_or(0), rows: rows.unwrap_or(0), layers: rects.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_rounded_outwards_to_whole_spans() {
        let rects = [Rect::new(15, 3, 2, 9), Rect::new(32, 0, 16, 1)];
        assert_eq!(work(&rects, 16), Work { spans: 2, rows: 9, layers: 2 });
        assert_eq!(work(&[], 16), Work { spans: 0, rows: 0, layers: 0 });
    }

    #[test]
    fn rectangles_that_overflow_are_outside() {
        let rect = Rect { x: u32::MAX, y: 0, width: u32::MAX, height: 1 };
        assert!(!is_inside(rect, (u32::MAX, 1), 1));
        assert!(!is_inside(Rect::of_size(2, 1), (3, 9), 2));
        assert!(is_inside(Rect::of_size(2, 1), (4, 2), 2));
    }
}
