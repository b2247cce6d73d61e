//! Frames in memory, whose code values are read and written one by one.

// Each test binary uses a part of this file.
#![allow(dead_code)]

use gstupscale::frame::{
    Channels, ChromaSite, FrameInfo, FrameMut, FrameRef, Image, OwnedFrame, Packer, PixelFormat,
    PlacedImage, PlaneMut, PlaneRef, Range, Rect, Unpacker,
};

/// All chroma sitings.
pub const SITES: [ChromaSite; 4] = [
    ChromaSite::LEFT,
    ChromaSite::CENTER,
    ChromaSite { cosited_horizontally: true, cosited_vertically: true },
    ChromaSite { cosited_horizontally: false, cosited_vertically: true },
];

/// A description with BT.709, limited range and chroma on the left, as most video has it.
pub fn info(format: PixelFormat, width: u32, height: u32) -> FrameInfo {
    FrameInfo::bt709(format, width, height, Range::Limited)
}

/// A frame in memory. Every row except the last has padding.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub info: FrameInfo,
    memory: OwnedFrame,
}

impl Frame {
    /// A frame whose rows have `extra` bytes of padding.
    pub fn new(info: FrameInfo, extra: usize) -> Self {
        let mut memory = OwnedFrame::new(info, extra).unwrap();
        for plane in memory.write().planes {
            plane.data.fill(0xA5);
        }
        Self { info, memory }
    }

    /// Writes the code value at (`x`, `y`) of a component.
    pub fn set(&mut self, component: usize, x: usize, y: usize, code: u32) {
        let layout = self.info.format.layout();
        let place = layout.components[component];
        let PlaneMut { data, stride } = self.memory.plane_mut(place.plane).unwrap();
        let at = y * stride + (x * place.step + place.offset) * layout.bytes();
        match layout.bytes() {
            1 => data[at] = code as u8,
            _ => {
                data[at..at + 2].copy_from_slice(&((code << layout.low_bits) as u16).to_le_bytes())
            }
        }
    }

    /// The code value at (`x`, `y`) of a component.
    pub fn get(&self, component: usize, x: usize, y: usize) -> u32 {
        let layout = self.info.format.layout();
        let place = layout.components[component];
        let PlaneRef { data, stride } = self.memory.plane(place.plane).unwrap();
        let at = y * stride + (x * place.step + place.offset) * layout.bytes();
        match layout.bytes() {
            1 => u32::from(data[at]),
            _ => u32::from(u16::from_le_bytes([data[at], data[at + 1]])) >> layout.low_bits,
        }
    }

    /// Width and height of a component.
    pub fn size(&self, component: usize) -> (usize, usize) {
        let [x, y] = self.info.format.layout().subsampling_of(component);
        (self.info.width.div_ceil(1 << x) as usize, self.info.height.div_ceil(1 << y) as usize)
    }

    /// Sets every code value to a function of component, column and row.
    pub fn filled(mut self, code: impl Fn(usize, usize, usize) -> u32) -> Self {
        for component in 0..self.info.format.layout().components.len() {
            let (width, height) = self.size(component);
            for y in 0..height {
                for x in 0..width {
                    self.set(component, x, y, code(component, x, y));
                }
            }
        }
        self
    }

    /// Sets every sample to noise over all code values.
    pub fn noisy(self, seed: u32) -> Self {
        let max = (1 << self.info.format.layout().bits) - 1;
        self.filled(|component, x, y| {
            let mut hash = (component as u32 ^ seed.rotate_left(9))
                .wrapping_mul(0x9E37_79B1)
                .wrapping_add(x as u32)
                .wrapping_mul(0x85EB_CA77)
                .wrapping_add(y as u32)
                .wrapping_mul(0xC2B2_AE3D);
            hash ^= hash >> 15;
            hash.wrapping_mul(0x2C1B_3C6D) >> 8 & max
        })
    }

    /// The frame to read.
    pub fn read(&self) -> FrameRef<'_> {
        self.memory.read()
    }

    /// The frame to write.
    pub fn write(&mut self) -> FrameMut<'_> {
        self.memory.write()
    }

    /// All code values, without the bytes that no component uses.
    pub fn samples(&self) -> Vec<u32> {
        let mut samples = Vec::new();
        for component in 0..self.info.format.layout().components.len() {
            let (width, height) = self.size(component);
            for y in 0..height {
                samples.extend((0..width).map(|x| self.get(component, x, y)));
            }
        }
        samples
    }
}

/// The model image and the bypass planes of a whole frame.
pub fn unpack(frame: &Frame, channels: Channels) -> (Image, Vec<Image>) {
    let unpacker = Unpacker::new(frame.info, channels).unwrap();
    let mut model_image = Image::default();
    unpacker.unpack(&frame.read(), frame.info.grid().rect(), &mut model_image).unwrap();
    let bypass_planes = unpacker.bypass_planes().iter().enumerate().map(|(index, bypass)| {
        let mut image = Image::default();
        let rect = bypass.grid.rect();
        unpacker.unpack_bypass(index, &frame.read(), rect, &mut image).unwrap();
        image
    });
    (model_image, bypass_planes.collect())
}

/// Packs a whole frame.
pub fn pack(
    info: FrameInfo,
    channels: Channels,
    model_image: &Image,
    bypass_planes: &[Image],
) -> Frame {
    let packer = Packer::new(info, channels).unwrap();
    let mut frame = Frame::new(info, 5);
    let parts: Vec<_> = bypass_planes.iter().map(PlacedImage::whole).collect();
    let rect = info.grid().rect();
    packer.pack(PlacedImage::whole(model_image), &parts, rect, &mut frame.write().whole()).unwrap();
    frame
}

/// The part `rect` of an image.
pub fn cut(image: &Image, rect: Rect) -> Image {
    let mut part = Image::new(image.channels(), rect.width as usize, rect.height as usize);
    part.copy_from(image, rect, 0, 0);
    part
}
