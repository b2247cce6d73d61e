//! Running regions through the model in batches.

use std::{ops::Range, sync::Arc};

use super::super::{error::Error, settings::FrameReport};
use crate::{
    cuda::{self, Buffer, Device, DeviceList, DevicePicture, DeviceSlice, Event, MAX_LAYERS},
    engine::{DeviceBatch, InferOnDevice},
    frame::Rect,
    kernels::RegionArgs,
    model::ModelInfo,
    reuse::Region,
};

impl From<Region> for RegionArgs {
    fn from(region: Region) -> Self {
        Self { compute: region.compute, read: region.read }
    }
}

/// Why regions could not be run.
pub(super) enum RunError {
    /// There is not enough memory; fewer or smaller regions at once may succeed (see
    /// [`Inference::take_less`]).
    TooMuchAtOnce,
    /// Any other error.
    Other(Error),
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<cuda::Error> for RunError {
    fn from(error: cuda::Error) -> Self {
        Self::Other(error.into())
    }
}

/// The model with the buffers for its batches.
pub(super) struct Inference {
    pub engine: Box<dyn InferOnDevice>,
    info: ModelInfo,
    device: Arc<Device>,
    /// A batch before and after the model.
    buffers: Option<(Buffer, Buffer)>,
    /// Most pixels that the model may get at once.
    max_pixels: u64,
    /// The batch that did not fit into memory: its regions, and the pixels of all of them.
    failed: (u32, u64),
}

impl Inference {
    /// `engine`, with at most `max_pixels` at once.
    pub(crate) fn new(
        engine: Box<dyn InferOnDevice>,
        device: &Arc<Device>,
        max_pixels: u64,
    ) -> Self {
        let (info, device) = (engine.info().clone(), device.clone());
        Self { engine, info, device, buffers: None, max_pixels, failed: (0, 0) }
    }

    /// Queues the enlargement of `regions` of `source` into their places on `canvas`, on the
    /// compute stream. Without a canvas their pictures are dropped. Overwrites `list`.
    pub(crate) fn run(
        &mut self,
        regions: &[Region],
        list: &mut DeviceList<RegionArgs>,
        source: &DevicePicture,
        canvas: Option<&DevicePicture>,
        report: &mut FrameReport,
    ) -> Result<(), RunError> {
        report.regions += regions.len() as u32;
        report.pixels += regions.iter().map(Region::pixels).sum::<u64>();
        if let ([region], Some(canvas)) = (regions, canvas)
            && let Some(batch) = self.in_place(region, source, canvas)
        {
            return self.enlarge(&batch);
        }
        let mut regions = regions.to_vec();
        regions.sort_by_key(|region| region.padded);
        let sizes: Vec<_> = regions.iter().map(|region| region.padded).collect();
        let batches = batches(&sizes, |size| self.engine.max_batch(size), self.max_pixels);
        list.send(regions.iter().map(|region| (*region).into()).collect())?;
        self.allocate(&sizes, &batches)?;
        for range in batches {
            let Some(&size) = sizes.get(range.start) else { continue };
            self.batch(&list.slice(range.clone()), range.len() as u32, size, source, canvas)?;
        }
        Ok(())
    }

    /// Runs a batch of `regions` and measures it between `events`. Returns its pixels and seconds.
    pub(crate) fn time(
        &mut self,
        regions: &[Region],
        list: &mut DeviceList<RegionArgs>,
        source: &DevicePicture,
        [begin, end]: [&Event; 2],
    ) -> Result<(u64, f64), RunError> {
        let mut ignored = FrameReport::default();
        // The first run of a shape includes its setup.
        self.run(regions, list, source, None, &mut ignored)?;
        self.device.compute().synchronize()?;
        self.device.compute().record(begin)?;
        self.run(regions, list, source, None, &mut ignored)?;
        self.device.compute().record(end)?;
        end.synchronize()?;
        let pixels = regions.iter().map(Region::pixels).sum();
        Ok((pixels, end.since(begin).as_secs_f64()))
    }

    /// Frees the memory of batches until the next run.
    pub(crate) fn free_batches(&mut self) {
        self.buffers = None;
    }

    /// Waits for the compute stream.
    pub(crate) fn synchronize(&self) -> Result<(), Error> {
        Ok(self.device.compute().synchronize()?)
    }

    /// After memory ran out: halves the pixels at once, and returns them. Larger regions have to be
    /// cut, and batches of small ones get smaller.
    pub(crate) fn take_less(&mut self) -> u64 {
        self.max_pixels = self.failed.1 / 2;
        self.max_pixels
    }

    /// Whether the batch that did not fit into memory had several regions.
    pub(crate) fn can_take_fewer(&self) -> bool {
        self.failed.0 > 1
    }

    /// Estimated bytes of the batch that did not fit into memory.
    pub(crate) fn failed_bytes(&self) -> usize {
        let floats = self.failed.1 as f64 * self.info.peak_floats_per_pixel.max(1.0);
        (floats * self.engine.samples().size() as f64) as usize
    }

    /// Makes the buffers large enough for the largest of `batches`.
    fn allocate(&mut self, sizes: &[(u32, u32)], batches: &[Range<usize>]) -> Result<(), RunError> {
        let count_and_pixels = |range: &Range<usize>| -> (u32, u64) {
            let batch = sizes.get(range.clone()).unwrap_or_default();
            (batch.len() as u32, batch.iter().copied().map(area).sum())
        };
        let largest = batches.iter().map(count_and_pixels).max_by_key(|(_, pixels)| *pixels);
        let Some(largest) = largest else { return Ok(()) };
        let samples = largest.1 as usize * self.info.channels.count();
        let bytes = samples * self.engine.samples().size();
        if self.buffers.as_ref().is_some_and(|(input, _)| input.len() >= bytes) {
            return Ok(());
        }
        // Freed first, because both may not fit into memory.
        self.buffers = None;
        let factor = self.info.factor as usize;
        let buffers = Buffer::new(&self.device, bytes)
            .and_then(|input| Ok((input, Buffer::new(&self.device, bytes * factor * factor)?)));
        match buffers {
            Ok(buffers) => self.buffers = Some(buffers),
            Err(cuda::Error::OutOfMemory { .. }) => {
                self.failed = largest;
                return Err(RunError::TooMuchAtOnce);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn batch(
        &mut self,
        regions: &DeviceSlice<'_, RegionArgs>,
        count: u32,
        (width, height): (u32, u32),
        source: &DevicePicture,
        canvas: Option<&DevicePicture>,
    ) -> Result<(), RunError> {
        let Some((input, output)) = &self.buffers else { return Ok(()) };
        self.device.gather(source, regions, (width, height), input)?;
        let (input, output) = (input.address(), output.address());
        self.enlarge(&DeviceBatch { input, output, count, width, height })?;
        let (Some(canvas), Some((_, output))) = (canvas, &self.buffers) else { return Ok(()) };
        Ok(self.device.scatter(output, regions, (width, height), self.info.factor, canvas)?)
    }

    fn enlarge(&mut self, batch: &DeviceBatch) -> Result<(), RunError> {
        match self.engine.run(batch) {
            Err(error) if error.smaller_may_succeed() => {
                let pixels = area((batch.width, batch.height)) * u64::from(batch.count);
                self.failed = (batch.count, pixels);
                Err(RunError::TooMuchAtOnce)
            }
            done => Ok(done.map_err(Error::from)?),
        }
    }

    /// `region` as a batch that reads `source` and writes `canvas` in place. `None` unless it is
    /// the whole frame and both pictures have no padding.
    fn in_place(
        &self,
        region: &Region,
        source: &DevicePicture,
        canvas: &DevicePicture,
    ) -> Option<DeviceBatch> {
        let factor = self.info.factor;
        let (width, height) = source.size();
        let whole = Rect::of_size(width, height);
        let fits = *region == Region { compute: whole, read: whole, padded: (width, height) };
        let same = canvas.size() == (width * factor, height * factor);
        let (input, output) = (source.as_batch()?, canvas.as_batch()?);
        (fits && same).then_some(DeviceBatch { input, output, count: 1, width, height })
    }
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Divides pictures of these sizes, of which equal ones are neighbours, into batches of one size:
/// of at most `max_count` pictures of a size, and of at most `max_pixels` unless a single one has
/// more.
fn batches(
    sizes: &[(u32, u32)],
    max_count: impl Fn((u32, u32)) -> u32,
    max_pixels: u64,
) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let mut start = 0;
    while let Some(first) = sizes.get(start) {
        let max_count = (max_count(*first).max(1) as usize).min(MAX_LAYERS);
        let fit = usize::try_from(max_pixels / area(*first).max(1)).unwrap_or(usize::MAX);
        let most = max_count.min(fit.max(1));
        let rest = sizes.get(start..).unwrap_or_default();
        let count = rest.iter().take(most).take_while(|size| *size == first).count();
        batches.push(start..start + count);
        start += count;
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_hold_every_picture_once_and_keep_to_the_limits(
            sizes in prop::collection::vec((1u32..4, 1u32..3), 0..40),
            max_count in 0u32..9, max_pixels in 0u64..200,
        ) {
            let mut sizes: Vec<_> = sizes.iter().map(|&(w, h)| (8 * w, 8 * h)).collect();
            sizes.sort();
            let batches = batches(&sizes, |_| max_count, max_pixels);
            let all: Vec<usize> = batches.iter().cloned().flatten().collect();
            prop_assert_eq!(all, (0..sizes.len()).collect::<Vec<_>>());
            for batch in &batches {
                let batch = &sizes[batch.clone()];
                prop_assert!(batch.iter().all(|size| *size == batch[0]));
                prop_assert!(batch.len() <= max_count.max(1) as usize);
                let pixels: u64 = batch.iter().copied().map(area).sum();
                prop_assert!(batch.len() == 1 || pixels <= max_pixels);
            }
        }
    }

    #[test]
    fn equal_sizes_share_a_batch_as_far_as_the_limits_allow() {
        let sizes = [(8, 8), (8, 8), (8, 8), (16, 8)];
        assert_eq!(batches(&sizes, |_| 8, u64::MAX), [0..3, 3..4]);
        assert_eq!(batches(&sizes, |_| 2, u64::MAX), [0..2, 2..3, 3..4]);
        assert_eq!(batches(&sizes, |_| 8, 128), [0..2, 2..3, 3..4]);
    }
}
