//! What caps say about the video that belongs into a container's head.

/// Facts about the video.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Display aspect ratio, unless pixels are square.
    pub aspect: Option<(u64, u64)>,
    /// Chromaticities of red, green, blue and white (x, y; in 1/50000), largest and smallest
    /// luminance (in 1/10000 cd/m²): SMPTE ST 2086.
    pub mastering: Option<[u32; 10]>,
    /// Largest luminance of a pixel, and largest mean of a frame, in cd/m²: CTA-861.3.
    pub light: Option<[u32; 2]>,
}

impl Facts {
    /// The facts in the caps of encoded video.
    pub fn of(caps: &gst::CapsRef) -> Option<Self> {
        let media = caps.structure(0)?;
        let side = |name: &str| media.get::<i32>(name).ok().and_then(|it| u64::try_from(it).ok());
        let pixel = media.get::<gst::Fraction>("pixel-aspect-ratio").ok();
        let aspect = pixel.filter(|pixel| pixel.numer() > 0 && pixel.numer() != pixel.denom());
        let aspect = aspect.and_then(|pixel| {
            let x = side("width")? * u64::from(pixel.numer().unsigned_abs());
            let y = side("height")? * u64::from(pixel.denom().unsigned_abs());
            let divisor = divisor(x, y);
            Some((x / divisor, y / divisor))
        });
        let numbers = |name: &str| -> Option<Vec<u32>> {
            media.get::<&str>(name).ok()?.split(':').map(|number| number.parse().ok()).collect()
        };
        Some(Self {
            aspect,
            mastering: numbers("mastering-display-info").and_then(|it| it.try_into().ok()),
            light: numbers("content-light-level").and_then(|it| it.try_into().ok()),
        })
    }
}

fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_aspect_ratio_is_exact_and_hdr10_metadata_is_found() {
        gst::init().unwrap();
        let caps = "video/x-h265,width=1440,height=960,pixel-aspect-ratio=32/27,\
                    content-light-level=(string)1000:400,mastering-display-info=(string)\
                    35400:14600:8500:39850:6550:2300:15635:16450:10000000:50";
        let facts = Facts::of(&caps.parse::<gst::Caps>().unwrap()).unwrap();
        assert_eq!(facts.aspect, Some((16, 9)));
        assert_eq!(facts.light, Some([1000, 400]));
        assert_eq!(facts.mastering.unwrap()[8..], [10_000_000, 50]);
        let square = "video/x-h264,width=4,height=3,pixel-aspect-ratio=1/1".parse::<gst::Caps>();
        assert_eq!(Facts::of(&square.unwrap()), Some(Facts::default()));
    }
}
