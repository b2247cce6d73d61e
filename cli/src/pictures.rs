//! Pictures, frames and clips that the commands make for themselves, the same on every machine.

use gstupscale::frame::{
    self, BypassPlanes, Channels, ChromaSite, Colorimetry, FrameInfo, FrameMut, FrameRef, Image,
    Matrix, Packer, PixelFormat, PlacedImage, PlaneMut, PlaneRef, Range,
};

/// SplitMix64 (Vigna).
struct Random(u64);

impl Random {
    /// Uniform in 0..1.
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// White noise of 0..1.
pub fn noise(channels: usize, width: usize, height: usize, seed: u64) -> Image {
    let mut random = Random(seed);
    let mut image = Image::new(channels, width, height);
    image.data_mut().iter_mut().for_each(|sample| *sample = random.unit());
    image
}

/// Shading, hard edges at all angles, texture, and a ball over it that moves with `number`.
pub fn scene(channels: usize, width: usize, height: usize, number: u32) -> Image {
    picture(channels, width, height, |x, y, channel| {
        let ball = (width as f32 * 0.2 + 5.0 * number as f32 % (width as f32 * 0.7).max(1.0), 0.5);
        let (dx, dy) = (x - ball.0, y - height as f32 * ball.1);
        let distance = dx.hypot(dy) / (height as f32 * 0.12).max(2.0);
        if distance < 1.0 { 0.9 - 0.2 * channel - 0.5 * distance } else { page(x, y, channel) }
    })
}

/// A page that moves by a pixel with each `number`, all of it.
pub fn pan(channels: usize, width: usize, height: usize, number: u32) -> Image {
    picture(channels, width, height, |x, y, channel| page(x + number as f32, y, channel))
}

fn page(x: f32, y: f32, channel: f32) -> f32 {
    let shade = 0.5 + 0.2 * (x * 0.031 + channel).sin() + 0.15 * (y * 0.043).cos();
    let edge = if ((x * 0.7 + y * 0.4) / 19.0) as i32 % 3 == 0 { 0.25 } else { 0.0 };
    let texture = 0.05 * ((x * 1.9).sin() * (y * 1.3 + x).cos());
    shade + edge + texture
}

fn picture(
    channels: usize,
    width: usize,
    height: usize,
    sample: impl Fn(f32, f32, f32) -> f32,
) -> Image {
    let mut image = Image::new(channels, width, height);
    for channel in 0..channels {
        for y in 0..height {
            for (x, to) in image.row_mut(channel, y).iter_mut().enumerate() {
                let value = sample(x as f32, y as f32, channel as f32).clamp(0.0, 1.0);
                *to = (value * 255.0).round() / 255.0;
            }
        }
    }
    image
}

/// Limited BT.709 with chroma on the left, as most video has it.
pub fn info(format: PixelFormat, width: u32, height: u32) -> FrameInfo {
    FrameInfo {
        format,
        width,
        height,
        colorimetry: Colorimetry { matrix: Matrix::Bt709, range: Range::Limited },
        chroma_site: ChromaSite::LEFT,
    }
}

/// A frame that owns its planes; strides are as long as the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    info: FrameInfo,
    planes: Vec<(Vec<u8>, usize)>,
}

impl Frame {
    /// All zero.
    pub fn new(info: FrameInfo) -> Self {
        let planes = (0..info.format.planes()).map(|plane| {
            let row = info.format.row_bytes(plane, info.width);
            (vec![0; row * info.format.rows(plane, info.height)], row)
        });
        Self { info, planes: planes.collect() }
    }

    /// Of an R′G′B′ picture; alpha, where the format has it, is noise.
    ///
    /// # Errors
    /// [`frame::Error`] for a size that cannot be handled.
    pub fn of(info: FrameInfo, picture: &Image) -> Result<Self, frame::Error> {
        let packer = Packer::new(info, Channels::Rgb)?;
        let alpha = |bypass: &BypassPlanes| {
            let (width, height) = (bypass.grid.width(), bypass.grid.height());
            noise(bypass.channels(), width as usize, height as usize, 7)
        };
        let bypass_planes: Vec<_> = packer.bypass_planes().iter().map(alpha).collect();
        let parts: Vec<_> = bypass_planes.iter().map(PlacedImage::whole).collect();
        let mut frame = Self::new(info);
        let rect = info.grid().rect();
        packer.pack(PlacedImage::whole(picture), &parts, rect, &mut frame.write()?.whole())?;
        Ok(frame)
    }

    /// # Errors
    /// As [`FrameRef::new`].
    pub fn read(&self) -> Result<FrameRef<'_>, frame::Error> {
        let planes = self.planes.iter();
        let planes = planes.map(|(data, stride)| PlaneRef { data, stride: *stride });
        FrameRef::new(self.info, planes.collect())
    }

    /// # Errors
    /// As [`FrameMut::new`].
    pub fn write(&mut self) -> Result<FrameMut<'_>, frame::Error> {
        let planes = self.planes.iter_mut();
        let planes = planes.map(|(data, stride)| PlaneMut { data, stride: *stride });
        FrameMut::new(self.info, planes.collect())
    }

    /// The rows of a plane from the top down.
    pub fn rows_mut(&mut self, plane: usize) -> impl Iterator<Item = &mut [u8]> {
        let plane = self.planes.get_mut(plane);
        plane.into_iter().flat_map(|(data, stride)| data.chunks_mut((*stride).max(1)))
    }

    /// Every sample's code, plane after plane (and what lies between the samples).
    pub fn codes(&self) -> impl Iterator<Item = u32> + '_ {
        let layout = self.info.format.layout();
        let (bytes, low) = (layout.bytes().max(1), layout.low_bits);
        self.planes.iter().flat_map(move |(data, _)| {
            data.chunks(bytes).map(move |sample| {
                let code = sample.iter().rev().fold(0, |code, byte| code << 8 | u32::from(*byte));
                code >> low
            })
        })
    }

    /// The bytes of each plane with their stride.
    pub fn planes(&self) -> &[(Vec<u8>, usize)] {
        &self.planes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_a_scene_stands_and_all_of_a_pan_moves() {
        let changed = |picture: fn(usize, usize, usize, u32) -> Image| {
            let (a, b) = (picture(1, 96, 64, 3), picture(1, 96, 64, 4));
            a.data().iter().zip(b.data()).filter(|(a, b)| a != b).count() as f64 / (96.0 * 64.0)
        };
        assert!((0.005..0.2).contains(&changed(scene)), "{}", changed(scene));
        assert!(changed(pan) > 0.7, "{}", changed(pan));
    }
}
