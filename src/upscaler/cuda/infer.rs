//! Stage 4: regions in batches through the model, onto the canvas.

use std::{ops::Range, sync::Arc};

use super::super::{Error, FrameReport, Region};
use crate::{
    cuda::{self, Buffer, Device, DeviceList, DevicePicture, DeviceSlice, Event, MAX_LAYERS},
    engine::{self, DeviceBatch, InferOnDevice},
    frame::Rect,
    kernels::RegionArgs,
    model::ModelInfo,
};

impl From<Region> for RegionArgs {
    fn from(region: Region) -> Self {
        Self { compute: region.compute, read: region.read }
    }
}

/// The model, with room for what goes in and comes out of it.
pub(super) struct Inference {
    pub engine: Box<dyn InferOnDevice>,
    info: ModelInfo,
    device: Arc<Device>,
    /// What goes in and what comes out.
    room: Option<(Buffer, Buffer)>,
    /// Pixels that the model may be given at once.
    most_pixels: u64,
    /// The batch that there was no memory for: regions, and pixels of all of them.
    failed: (u32, u64),
}

impl Inference {
    pub fn new(engine: Box<dyn InferOnDevice>, device: &Arc<Device>, most_pixels: u64) -> Self {
        let info = engine.info().clone();
        Self { engine, info, device: device.clone(), room: None, most_pixels, failed: (0, 0) }
    }

    /// Has `regions` of `main` enlarged into their places on `canvas`, on the compute stream;
    /// their pictures are left aside where there is none. `list` is free.
    ///
    /// # Errors
    /// An error whose [`engine::Error::smaller_may_succeed`] holds, where less at once may go (see
    /// [`take_less`](Self::take_less)).
    pub fn run(
        &mut self,
        regions: &[Region],
        list: &mut DeviceList<RegionArgs>,
        main: &DevicePicture,
        canvas: Option<&DevicePicture>,
        report: &mut FrameReport,
    ) -> Result<(), Error> {
        report.regions += regions.len() as u32;
        report.pixels += regions.iter().map(Region::pixels).sum::<u64>();
        if let ([region], Some(canvas)) = (regions, canvas)
            && let Some(batch) = in_place(region, main, canvas, self.info.factor)
        {
            return self.enlarge(&batch);
        }
        let mut regions = regions.to_vec();
        regions.sort_by_key(|region| region.padded);
        let batches = batches(&regions, self.engine.max_batch(), self.most_pixels);
        list.send(regions.iter().map(|region| (*region).into()).collect())?;
        self.make_room(&regions, &batches)?;
        for range in batches {
            let list = list.slice(range.clone());
            self.batch(regions.get(range).unwrap_or_default(), &list, main, canvas)?;
        }
        Ok(())
    }

    /// Has one region enlarged, and the time taken between `events`; its picture is left aside.
    pub fn time(
        &mut self,
        region: &Region,
        list: &mut DeviceList<RegionArgs>,
        main: &DevicePicture,
        [begin, end]: [&Event; 2],
    ) -> Result<(u64, f64), Error> {
        let mut ignored = FrameReport::default();
        // The first run of a shape sets it up.
        self.run(&[*region], list, main, None, &mut ignored)?;
        self.device.compute().synchronize()?;
        self.device.compute().record(begin)?;
        self.run(&[*region], list, main, None, &mut ignored)?;
        self.device.compute().record(end)?;
        end.synchronize()?;
        Ok((region.pixels(), end.since(begin).as_secs_f64()))
    }

    /// Waits until nothing runs any more.
    pub fn synchronize(&self) -> Result<(), Error> {
        Ok(self.device.compute().synchronize()?)
    }

    /// After memory ran out: half as many pixels at once; how many those are. Regions that are
    /// larger must be cut, and fewer small ones go together.
    pub fn take_less(&mut self) -> u64 {
        self.most_pixels = self.failed.1 / 2;
        self.most_pixels
    }

    /// Whether what memory ran out for was several regions, of which fewer may go.
    pub fn can_take_fewer(&self) -> bool {
        self.failed.0 > 1
    }

    /// What memory ran out for, about.
    pub fn failed_bytes(&self) -> usize {
        let floats = self.failed.1 as f64 * self.info.peak_floats_per_pixel.max(1.0);
        (floats * self.engine.samples().size() as f64) as usize
    }

    /// Sees to it that there is room for the largest of `batches`.
    fn make_room(&mut self, regions: &[Region], batches: &[Range<usize>]) -> Result<(), Error> {
        let of = |range: &Range<usize>| -> (u32, u64) {
            let batch = regions.get(range.clone()).unwrap_or_default();
            (batch.len() as u32, batch.iter().map(Region::pixels).sum())
        };
        let Some(largest) = batches.iter().map(of).max_by_key(|(_, pixels)| *pixels) else {
            return Ok(());
        };
        let samples = largest.1 as usize * self.info.channels.count();
        let bytes = samples * self.engine.samples().size();
        if self.room.as_ref().is_some_and(|(input, _)| input.len() >= bytes) {
            return Ok(());
        }
        // The old first: both at once may be too much.
        self.room = None;
        let factor = self.info.factor as usize;
        let room = Buffer::new(&self.device, bytes)
            .and_then(|input| Ok((input, Buffer::new(&self.device, bytes * factor * factor)?)));
        match room {
            Ok(room) => self.room = Some(room),
            Err(cuda::Error::OutOfMemory { .. }) => {
                self.failed = largest;
                return Err(engine::Error::OutOfMemory.into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn batch(
        &mut self,
        regions: &[Region],
        list: &DeviceSlice<'_, RegionArgs>,
        main: &DevicePicture,
        canvas: Option<&DevicePicture>,
    ) -> Result<(), Error> {
        let Some(&Region { padded: (width, height), .. }) = regions.first() else { return Ok(()) };
        let Some((input, output)) = &self.room else { return Ok(()) };
        self.device.gather(main, list, (width, height), input)?;
        let batch = DeviceBatch {
            input: input.address(),
            output: output.address(),
            count: regions.len() as u32,
            width,
            height,
        };
        self.enlarge(&batch)?;
        let (Some(canvas), Some((_, output))) = (canvas, &self.room) else { return Ok(()) };
        Ok(self.device.scatter(output, list, (width, height), self.info.factor, canvas)?)
    }

    fn enlarge(&mut self, batch: &DeviceBatch) -> Result<(), Error> {
        let pixels = u64::from(batch.count) * u64::from(batch.width) * u64::from(batch.height);
        self.engine.run(batch).map_err(|error| {
            self.failed = (batch.count, pixels);
            error.into()
        })
    }
}

/// `region` as a batch that is `main` itself and becomes `canvas` itself, where the one is all
/// of the other and nothing lies between their rows.
fn in_place(
    region: &Region,
    main: &DevicePicture,
    canvas: &DevicePicture,
    factor: u32,
) -> Option<DeviceBatch> {
    let ((width, height), large) = (main.size(), canvas.size());
    let whole = Rect::of_size(width, height);
    let Region { compute, read, padded } = *region;
    let fits = compute == whole && read == whole && padded == (width, height);
    let same = large == (width * factor, height * factor);
    let (input, output) = (main.as_batch()?, canvas.as_batch()?);
    (fits && same).then_some(DeviceBatch { input, output, count: 1, width, height })
}

/// `regions`, those of one size side by side, in batches of one size each: of `most_regions` at
/// most, and of `most_pixels` unless a single one has more.
fn batches(regions: &[Region], most_regions: u32, most_pixels: u64) -> Vec<Range<usize>> {
    let most_regions = (most_regions.max(1) as usize).min(MAX_LAYERS);
    let mut batches = Vec::new();
    let mut start = 0;
    while let Some(first) = regions.get(start) {
        let fit = usize::try_from(most_pixels / first.pixels().max(1)).unwrap_or(usize::MAX);
        let most = most_regions.min(fit.max(1));
        let rest = regions.get(start..).unwrap_or_default();
        let count = rest.iter().take(most).take_while(|it| it.padded == first.padded).count();
        batches.push(start..start + count);
        start += count;
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region(width: u32, height: u32) -> Region {
        let rect = Rect::of_size(width, height);
        Region { compute: rect, read: rect, padded: (width, height) }
    }

    proptest! {
        #[test]
        fn batches_take_every_region_once_in_sizes_and_numbers_that_go(
            sizes in prop::collection::vec((1u32..4, 1u32..3), 0..40),
            most_regions in 0u32..9, most_pixels in 0u64..200,
        ) {
            let mut regions: Vec<_> = sizes.iter().map(|&(w, h)| region(8 * w, 8 * h)).collect();
            regions.sort_by_key(|region| region.padded);
            let batches = batches(&regions, most_regions, most_pixels);
            let all: Vec<usize> = batches.iter().cloned().flatten().collect();
            prop_assert_eq!(all, (0..regions.len()).collect::<Vec<_>>());
            for batch in &batches {
                let batch = &regions[batch.clone()];
                prop_assert!(batch.iter().all(|region| region.padded == batch[0].padded));
                prop_assert!(batch.len() <= most_regions.max(1) as usize);
                let pixels: u64 = batch.iter().map(Region::pixels).sum();
                prop_assert!(batch.len() == 1 || pixels <= most_pixels);
            }
        }
    }

    #[test]
    fn equal_regions_go_together_as_far_as_they_may() {
        let regions = [region(8, 8), region(8, 8), region(8, 8), region(16, 8)];
        assert_eq!(batches(&regions, 8, u64::MAX), [0..3, 3..4]);
        assert_eq!(batches(&regions, 2, u64::MAX), [0..2, 2..3, 3..4]);
        assert_eq!(batches(&regions, 8, 128), [0..2, 2..3, 3..4]);
    }
}
