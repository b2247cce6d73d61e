//! Memory as the kernels need it: aligned, with rows padded to whole spans.

use bytemuck::Pod;
use gstupscale::{
    frame::{FrameInfo, FrameMut, FrameRef, Image, PlaneMut, PlaneRef, Rect, Resampler},
    kernels::{Address, FilterArgs, FilterData, PictureArgs, PlaneArgs, SPAN},
};
use half::f16;

/// Reproducible pseudo-random numbers.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    /// A number from `low` to `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.next() as f32 / u32::MAX as f32)
    }
}

/// Bytes at an address that is a multiple of 16.
pub struct Memory(Vec<u128>);

impl Memory {
    pub fn new(bytes: usize) -> Self {
        Self(vec![u128::from_ne_bytes([0xA5; 16]); bytes.div_ceil(16)])
    }

    pub fn of<T: Pod>(values: &[T]) -> Self {
        let mut memory = Self::new(size_of_val(values));
        memory.get_mut()[..values.len()].copy_from_slice(values);
        memory
    }

    pub fn get<T: Pod>(&self) -> &[T] {
        bytemuck::cast_slice(&self.0)
    }

    pub fn get_mut<T: Pod>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    pub fn address(&self) -> Address {
        self.0.as_ptr() as Address
    }
}

/// A list of rectangles in memory.
pub fn rects(rects: &[Rect]) -> Memory {
    Memory::of(rects)
}

/// A frame with padded rows.
pub struct Frame {
    pub info: FrameInfo,
    planes: Vec<(Memory, usize)>,
}

impl Frame {
    pub fn noisy(info: FrameInfo, seed: u64) -> Self {
        let mut noise = Noise::new(seed);
        let width = info.width.next_multiple_of(SPAN);
        let planes = (0..info.format.planes()).map(|plane| {
            let stride = info.format.row_bytes(plane, width).next_multiple_of(16) + 16;
            let mut memory = Memory::new(stride * info.format.rows(plane, info.height));
            memory.get_mut().fill_with(|| noise.next());
            (memory, stride)
        });
        Self { info, planes: planes.collect() }
    }

    pub fn get(&self) -> FrameRef<'_> {
        let planes = self.planes.iter();
        let planes = planes.map(|(data, stride)| PlaneRef { data: data.get(), stride: *stride });
        FrameRef::new(self.info, planes.collect()).unwrap()
    }

    pub fn get_mut(&mut self) -> FrameMut<'_> {
        let planes = self.planes.iter_mut();
        let planes =
            planes.map(|(data, stride)| PlaneMut { data: data.get_mut(), stride: *stride });
        FrameMut::new(self.info, planes.collect()).unwrap()
    }

    /// All bytes of a plane, and its stride.
    pub fn bytes_mut(&mut self, plane: usize) -> (&mut [u8], usize) {
        let (data, stride) = &mut self.planes[plane];
        (data.get_mut(), *stride)
    }

    pub fn planes(&self) -> Vec<PlaneArgs> {
        let planes = self.planes.iter();
        planes
            .map(|(data, stride)| PlaneArgs { data: data.address(), stride: *stride as u32 })
            .collect()
    }

    #[track_caller]
    pub fn assert_equals(&self, other: &Self, what: &str) {
        let info = self.info;
        for plane in 0..info.format.planes() {
            for y in 0..info.format.rows(plane, info.height) {
                let (mine, other) = (self.get().row(plane, y), other.get().row(plane, y));
                assert_eq!(mine, other, "{what} {info:?}: row {y} of plane {plane}");
            }
        }
    }
}

/// The type of a picture's samples: float or half.
pub trait Storage: Pod {
    /// Suffix of the kernels' names.
    const SUFFIX: &str;
    fn store(value: f32) -> Self;
    fn load(self) -> f32;
}

impl Storage for f32 {
    const SUFFIX: &str = "f32";

    fn store(value: f32) -> Self {
        value
    }

    fn load(self) -> f32 {
        self
    }
}

impl Storage for f16 {
    const SUFFIX: &str = "f16";

    fn store(value: f32) -> Self {
        f16::from_f32(value)
    }

    fn load(self) -> f32 {
        self.to_f32()
    }
}

/// A picture whose rows are padded to whole spans.
pub struct Stored<T> {
    memory: Memory,
    stride: usize,
    height: usize,
    storage: std::marker::PhantomData<T>,
}

impl<T: Storage> Stored<T> {
    /// Filled with a pattern that no stage writes.
    pub fn new(channels: usize, width: u32, height: u32) -> Self {
        let stride = width.next_multiple_of(SPAN) as usize;
        let height = height as usize;
        let memory = Memory::new(channels * stride * height * size_of::<T>());
        Self { memory, stride, height, storage: std::marker::PhantomData }
    }

    pub fn of(image: &Image) -> Self {
        let mut stored = Self::new(image.channels(), image.width() as u32, image.height() as u32);
        for channel in 0..image.channels() {
            for y in 0..image.height() {
                let at = (channel * stored.height + y) * stored.stride;
                let row = image.row(channel, y);
                for (to, from) in stored.memory.get_mut::<T>()[at..].iter_mut().zip(row) {
                    *to = T::store(*from);
                }
            }
        }
        stored
    }

    pub fn picture(&self) -> PictureArgs {
        PictureArgs {
            data: self.memory.address(),
            channel_stride: (self.stride * self.height) as u64,
            stride: self.stride as u32,
            unused: 0,
        }
    }

    fn at(&self, channel: usize, x: usize, y: usize) -> T {
        self.memory.get::<T>()[(channel * self.height + y) * self.stride + x]
    }

    /// Asserts that the pixels `rect` equal those of `image` to the bit.
    #[track_caller]
    pub fn assert_holds(&self, image: &Image, rect: Rect, what: &str) {
        for channel in 0..image.channels() {
            for y in rect.y as usize..rect.bottom() as usize {
                for x in rect.x as usize..rect.right() as usize {
                    let expected = T::store(image.row(channel, y)[x]);
                    let got = self.at(channel, x, y);
                    assert!(
                        bytemuck::bytes_of(&got) == bytemuck::bytes_of(&expected),
                        "{what}: channel {channel} at {x}, {y} is {} instead of {}",
                        got.load(),
                        expected.load(),
                    );
                }
            }
        }
    }

    /// Whether the sample was never written.
    pub fn is_untouched(&self, channel: usize, x: u32, y: u32) -> bool {
        let sample = self.at(channel, x as usize, y as usize);
        bytemuck::bytes_of(&sample).iter().all(|byte| *byte == 0xA5)
    }
}

/// A picture of noise whose samples `T` represents exactly.
pub fn noise_image<T: Storage>(
    channels: usize,
    (width, height): (u32, u32),
    (low, high): (f32, f32),
    seed: u64,
) -> Image {
    let mut noise = Noise::new(seed);
    let mut image = Image::new(channels, width as usize, height as usize);
    image.data_mut().fill_with(|| T::store(noise.between(low, high)).load());
    image
}

/// A resampler's coefficients in memory.
pub struct Tables([(FilterData, Memory, Memory); 2]);

impl Tables {
    pub fn of(resampler: &Resampler) -> Self {
        Self(FilterData::of(resampler).map(|it| {
            let (windows, weights) = (Memory::of(&it.windows), Memory::of(&it.weights));
            (it, windows, weights)
        }))
    }

    /// Across and vertical.
    pub fn get(&self) -> [FilterArgs; 2] {
        self.0
            .each_ref()
            .map(|(it, windows, weights)| it.args(windows.address(), weights.address()))
    }
}

impl<T: Storage> Stored<T> {
    /// The largest difference from `image`.
    pub fn worst_difference(&self, image: &Image) -> f32 {
        let mut worst = 0.0f32;
        for channel in 0..image.channels() {
            for y in 0..image.height() {
                for (x, value) in image.row(channel, y).iter().enumerate() {
                    worst = worst.max((self.at(channel, x, y).load() - value).abs());
                }
            }
        }
        worst
    }
}

impl Frame {
    /// The largest difference between codes.
    pub fn worst_difference(&self, other: &Self) -> u16 {
        let (format, height) = (self.info.format, self.info.height);
        let layout = format.layout();
        let code = |bytes: &[u8]| match *bytes {
            [low, high] => u16::from_le_bytes([low, high]) >> layout.low_bits,
            _ => u16::from(bytes[0]),
        };
        let mut worst = 0;
        for plane in 0..format.planes() {
            for y in 0..format.rows(plane, height) {
                let (mine, other) = (self.get().row(plane, y), other.get().row(plane, y));
                let bytes = layout.bytes();
                for (a, b) in mine.chunks(bytes).zip(other.chunks(bytes)) {
                    worst = worst.max(code(a).abs_diff(code(b)));
                }
            }
        }
        worst
    }
}
