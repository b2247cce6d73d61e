//! What a frame in flight needs for itself.

use std::sync::Arc;

use super::super::damage::Damage;
use crate::{
    cuda::{Device, DeviceFrame, DeviceList, Error, Event, FrameLayout, Pinned},
    frame::Rect,
    kernels::RegionArgs,
};

/// Items that the lists have capacity for at first.
const LIST_CAPACITY: usize = 128;

/// The memory of a frame on both sides of the bus, before and after the model.
pub(super) struct FrameSlot {
    pub host_in: Pinned,
    pub frame_in: Arc<DeviceFrame>,
    pub frame_out: DeviceFrame,
    pub host_out: Pinned,
    /// Rectangles to unpack.
    pub unpack: DeviceList<Rect>,
    /// Regions for the model.
    pub regions: DeviceList<RegionArgs>,
    /// Rectangles to finish.
    pub rects: DeviceList<Rect>,
    /// The frame and the reference have been written.
    pub uploaded: Event,
    /// The output has been copied to the host.
    pub downloaded: Event,
    /// Before unpacking, and after unpacking, the model and packing.
    pub times: [Event; 4],
    /// Pixels of the output that differ from the latest frame's.
    pub damage: Damage,
    /// Number of users of its contents.
    holders: u32,
}

impl FrameSlot {
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
            unpack: DeviceList::new(device, LIST_CAPACITY)?,
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

/// All slots: one more than frames were in flight at once.
#[derive(Default)]
pub(super) struct FrameSlots(Vec<FrameSlot>);

impl FrameSlots {
    /// The index of a slot that nobody uses, which is new if there is none.
    pub(crate) fn take(
        &mut self,
        device: &Arc<Device>,
        input: &Arc<FrameLayout>,
        output: &Arc<FrameLayout>,
    ) -> Result<usize, Error> {
        let index = match self.0.iter().position(|slot| slot.holders == 0) {
            Some(index) => index,
            None => {
                self.0.push(FrameSlot::new(device, input, output)?);
                self.0.len() - 1
            }
        };
        self.hold(index);
        if let Some(slot) = self.0.get(index) {
            // Only a frame that was aborted in flight can still be copied.
            slot.downloaded.synchronize()?;
        }
        Ok(index)
    }

    pub(crate) fn get(&mut self, index: usize) -> Option<&mut FrameSlot> {
        self.0.get_mut(index)
    }

    /// Adds a user of the slot's contents.
    pub(crate) fn hold(&mut self, index: usize) {
        if let Some(slot) = self.0.get_mut(index) {
            slot.holders += 1;
        }
    }

    /// Removes a user of the slot's contents.
    pub(crate) fn release(&mut self, index: usize) {
        if let Some(slot) = self.0.get_mut(index) {
            slot.holders = slot.holders.saturating_sub(1);
        }
    }

    /// Removes all users of all slots and invalidates their outputs.
    pub(crate) fn release_all(&mut self) {
        for slot in &mut self.0 {
            (slot.holders, slot.damage) = (0, Damage::All);
        }
    }

    /// Records how the output of the next frame differs from that of the latest.
    pub(crate) fn damage(&mut self, damage: &Damage) {
        self.0.iter_mut().for_each(|slot| slot.damage.add(damage));
    }
}
