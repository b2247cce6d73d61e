//! Which channels sound has in the output: all of the input's where the encoder has a layout for
//! them.

/// A number of channels and their positions, as GStreamer's `channel-mask`. A mask of 0 names no
/// positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub channels: i32,
    pub mask: u64,
}

/// The positions of 1 to 8 channels that most encoders have (GStreamer's bits: front left, front
/// right, front centre, low frequency, rear left, rear right, …).
const USUAL_MASKS: [u64; 8] = [0, 0x3, 0x7, 0x33, 0x37, 0x3f, 0xd0f, 0xc3f];

impl Layout {
    /// The layout of raw sound of these caps.
    pub fn of(caps: &gst::CapsRef) -> Option<Self> {
        let media = caps.structure(0)?;
        let mask = media.get::<gst::Bitmask>("channel-mask").map_or(0, |mask| mask.0);
        Some(Self { channels: media.get("channels").ok()?, mask })
    }

    /// The layout with positions: those that the channels usually have if none are known.
    pub fn positioned(self) -> Self {
        let usual = usize::try_from(self.channels - 1).ok();
        let usual = usual.and_then(|at| USUAL_MASKS.get(at)).copied().unwrap_or(0);
        if self.mask == 0 && self.channels > 1 { Self { mask: usual, ..self } } else { self }
    }

    /// The layouts that an encoder with these sink caps takes.
    pub fn all_of(caps: &gst::CapsRef) -> Vec<Self> {
        let mut layouts = Vec::new();
        for media in caps.iter() {
            let range = media.get::<gst::IntRange<i32>>("channels");
            let range = range.map(|range| range.min()..=range.max().min(8));
            let one = media.get::<i32>("channels").map(|channels| channels..=channels);
            let mask = media.get::<gst::Bitmask>("channel-mask").map(|mask| mask.0);
            for channels in range.or(one).unwrap_or(1..=8) {
                match mask {
                    // The encoder keeps channels without positions apart.
                    Ok(0) if channels > 1 => {}
                    Ok(mask) => layouts.push(Self { channels, mask }),
                    Err(_) => layouts.push(Self { channels, mask: 0 }.positioned()),
                }
            }
        }
        layouts
    }

    /// The layout among `layouts` for sound of this one: the same, otherwise one with as many
    /// channels, otherwise the one with the most channels that the input has too.
    pub fn nearest(self, layouts: &[Self]) -> Option<Self> {
        let as_many = || layouts.iter().find(|layout| layout.channels == self.channels);
        let fewer = || {
            let fewer = layouts.iter().filter(|layout| layout.channels < self.channels);
            fewer.max_by_key(|layout| layout.channels)
        };
        let same = layouts.iter().find(|layout| **layout == self);
        same.or_else(as_many).or_else(fewer).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layouts(text: &str) -> Vec<Layout> {
        gst::init().unwrap();
        Layout::all_of(&text.parse::<gst::Caps>().unwrap())
    }

    const SIDE: Layout = Layout { channels: 6, mask: 0xc0f };
    const REAR: Layout = Layout { channels: 6, mask: 0x3f };

    #[test]
    fn surround_sound_keeps_its_channels_under_the_encoders_positions() {
        let flac = layouts(
            "audio/x-raw,channels=1; audio/x-raw,channels=2,channel-mask=(bitmask)0x3; \
             audio/x-raw,channels=6,channel-mask=(bitmask)0x3f",
        );
        assert_eq!(SIDE.nearest(&flac), Some(REAR));
        assert_eq!(Layout { channels: 6, mask: 0 }.nearest(&flac), Some(REAR));
        assert_eq!(Layout { channels: 1, mask: 0 }.nearest(&flac).unwrap().channels, 1);
    }

    #[test]
    fn too_many_channels_become_the_largest_layout() {
        let aac = layouts("audio/x-raw,channels=[1,6]");
        assert_eq!(Layout { channels: 8, mask: 0xc3f }.nearest(&aac), Some(REAR));
        assert_eq!(Layout { channels: 3, mask: 0xb }.nearest(&aac).unwrap().channels, 3);
    }

    #[test]
    fn channels_without_positions_get_the_usual_ones() {
        assert_eq!(Layout { channels: 6, mask: 0 }.positioned(), REAR);
        assert_eq!(SIDE.positioned(), SIDE);
        assert_eq!(Layout { channels: 40, mask: 0 }.positioned().mask, 0);
    }
}
