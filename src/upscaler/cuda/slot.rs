//! What a frame in flight needs for itself.

use std::sync::Arc;

use super::damage::Damage;
use crate::{
    cuda::{Device, DeviceFrame, DeviceList, Error, Event, FrameLayout, Pinned},
    frame::Rect,
    kernels::RegionArgs,
};

/// Items that the lists have capacity for at first.
const LIST_CAPACITY: usize = 128;

/// A frame's memory on both sides of the bus, on its way there and on its way back.
pub(super) struct Slot {
    pub host_in: Pinned,
    pub frame_in: Arc<DeviceFrame>,
    pub frame_out: DeviceFrame,
    pub host_out: Pinned,
    pub regions: DeviceList<RegionArgs>,
    pub rects: DeviceList<Rect>,
    /// The frame, and the reference with it, may be read.
    pub uploaded: Event,
    /// The output may be read by the host.
    pub downloaded: Event,
    /// Before unpacking, and behind unpacking, model and packing.
    pub times: [Event; 4],
    /// What in the output is behind the frame that came last.
    pub damage: Damage,
    /// Who still needs what is in it.
    holders: u32,
}

impl Slot {
    fn new(
        device: &Arc<Device>,
        input: &Arc<FrameLayout>,
        output: &Arc<FrameLayout>,
    ) -> Result<Self, Error> {
        let event = || device.event();
        Ok(Self {
            host_in: Pinned::new(device, input.bytes())?,
            frame_in: Arc::new(DeviceFrame::new(device, input)?),
            frame_out: DeviceFrame::new(device, output)?,
            host_out: Pinned::new(device, output.bytes())?,
            regions: DeviceList::new(device, LIST_CAPACITY)?,
            rects: DeviceList::new(device, LIST_CAPACITY)?,
            uploaded: event()?,
            downloaded: event()?,
            times: [event()?, event()?, event()?, event()?],
            damage: Damage::All,
            holders: 0,
        })
    }
}

/// All slots; there are as many as frames were ever in flight at once, and one more.
#[derive(Default)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    /// One that nobody needs any more; a new one where there is none.
    pub fn take(
        &mut self,
        device: &Arc<Device>,
        input: &Arc<FrameLayout>,
        output: &Arc<FrameLayout>,
    ) -> Result<usize, Error> {
        let index = match self.0.iter().position(|slot| slot.holders == 0) {
            Some(index) => index,
            None => {
                self.0.push(Slot::new(device, input, output)?);
                self.0.len() - 1
            }
        };
        self.hold(index);
        if let Some(slot) = self.0.get(index) {
            // Past already, unless the frame before was dropped in flight.
            slot.downloaded.synchronize()?;
        }
        Ok(index)
    }

    pub fn get(&mut self, index: usize) -> Option<&mut Slot> {
        self.0.get_mut(index)
    }

    /// One more needs what is in it.
    pub fn hold(&mut self, index: usize) {
        if let Some(slot) = self.0.get_mut(index) {
            slot.holders += 1;
        }
    }

    /// One less does.
    pub fn release(&mut self, index: usize) {
        if let Some(slot) = self.0.get_mut(index) {
            slot.holders = slot.holders.saturating_sub(1);
        }
    }

    /// Nobody needs any, and nothing in them can be built on.
    pub fn release_all(&mut self) {
        for slot in &mut self.0 {
            (slot.holders, slot.damage) = (0, Damage::All);
        }
    }

    /// The output that came last differs so from the one before.
    pub fn damage(&mut self, damage: &Damage) {
        self.0.iter_mut().for_each(|slot| slot.damage.add(damage));
    }
}
