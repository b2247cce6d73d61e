//! Whether regions equal the whole frame on this GPU, at this stream's size.
//!
//! NVIDIA's libraries choose algorithms by shape, so a small picture says nothing about a frame.
//! The test runs the sizes and batches that the stream will run, so that the libraries have also
//! planned them before the first frame.

use std::sync::Arc;

use super::{
    super::{damage::Damage, enlarger::Compute, error::Error, settings::FrameReport},
    CudaPipeline,
    infer::RunError,
    memory_limited::MemoryLimited,
};
use crate::{
    cuda::{Buffer, Device, DeviceList, DevicePicture, Pinned},
    frame::SplitMix64,
    kernels::RegionArgs,
    reuse::Region,
};

impl CudaPipeline {
    /// Computes a frame of noise as a whole, then regions of it, and compares them. Exact reuse
    /// computes regions only if all are equal to the bit. With too little memory for the test,
    /// it computes whole frames.
    ///
    /// # Errors
    /// Those of the GPU.
    pub(super) fn prove_regions(&mut self) -> Result<(), Error> {
        let regions = self.schedule.to_prove();
        let exact = !regions.is_empty()
            && match self.regions_equal_whole(&regions) {
                Err(RunError::TooMuchAtOnce | RunError::Other(Error::OutOfMemory(_))) => false,
                Err(RunError::Other(error)) => return Err(error),
                Ok(exact) => exact,
            };
        self.schedule.set_exact(exact);
        Ok(())
    }

    fn regions_equal_whole(&mut self, regions: &[Region]) -> Result<bool, RunError> {
        let mut places = DeviceList::new(&self.device, regions.len())?;
        let factor = self.finisher.conversion.factor;
        let read = |region: &Region| region.compute.scaled(factor);
        places.send(
            regions.iter().map(read).map(|read| RegionArgs { compute: read, read }).collect(),
        )?;

        let index = self.slots.take(&self.device, &self.input, &self.finisher.layout)?;
        let sides = regions.iter().map(|region| (region.compute.width, region.compute.height));
        let largest = sides.fold((0, 0), |most, side| (most.0.max(side.0), most.1.max(side.1)));
        let size = (largest.0 * factor, largest.1 * factor);
        let compared = self.compare_regions(index, regions, &Places { list: places, size });
        self.slots.release(index);
        self.inference.free_batches();
        compared
    }

    fn compare_regions(
        &mut self,
        index: usize,
        regions: &[Region],
        places: &Places,
    ) -> Result<bool, RunError> {
        let Self { device, slots, source, canvas, inference, schedule, .. } = self;
        let slot = slots.get(index).ok_or(Error::NoFrame)?;
        let mut random = SplitMix64(1);
        for chunk in slot.host_in.bytes_mut()?.chunks_mut(8) {
            let noise = random.next().to_le_bytes();
            chunk.iter_mut().zip(noise).for_each(|(to, from)| *to = from);
        }
        let (upload, compute) = (device.upload(), device.compute());
        upload.upload(&slot.host_in, slot.frame_in.buffer(), self.input.bytes())?;
        upload.record(&slot.uploaded)?;
        compute.wait(&slot.uploaded)?;
        source.unpack(&slot.frame_in, &Damage::All, &mut slot.unpack)?;

        let mut report = FrameReport::default();
        let list = &mut slot.regions;
        MemoryLimited { inference: &mut *inference, schedule }.run(
            &Compute::Whole,
            list,
            &source.main,
            canvas,
            &mut report,
        )?;
        self.less_at_once = report.less_at_once;
        let expected = places.of(device, canvas)?;
        // Alone, then in batches.
        for regions in [regions.get(..1).unwrap_or_default(), regions] {
            inference.run(regions, list, &source.main, Some(canvas), &mut report)?;
        }
        let actual = places.of(device, canvas)?;
        Ok(actual.bytes()? == expected.bytes()?)
    }
}

/// Rectangles of the canvas.
struct Places {
    list: DeviceList<RegionArgs>,
    /// The greatest width and height.
    size: (u32, u32),
}

impl Places {
    /// The samples of these places of `canvas`, after what is queued on the compute stream.
    fn of(&self, device: &Arc<Device>, canvas: &DevicePicture) -> Result<Pinned, Error> {
        let items = self.list.all();
        let samples = items.len() * canvas.channels() as usize * canvas.samples().size();
        let bytes = samples * self.size.0 as usize * self.size.1 as usize;
        let (batch, mut host) = (Buffer::new(device, bytes)?, Pinned::new(device, bytes)?);
        device.gather(canvas, &items, self.size, &batch)?;
        device.compute().download(&batch, &mut host, bytes)?;
        Ok(host)
    }
}
