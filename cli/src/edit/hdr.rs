//! Colours of a picture on a screen (sRGB, IEC 61966-2-1) as those of HDR video (ITU-R BT.2100). White
//! becomes the reference white of ITU-R BT.2408: 203 cd/m² in PQ, 75 % of the signal in HLG.

use gst_video::{VideoInfo, VideoTransferFunction};

/// BT.709 to BT.2020 primaries (ITU-R BT.2087, table 4).
const PRIMARIES: [[f32; 3]; 3] =
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]];

/// cd/m².
const WHITE: f32 = 203.0;

/// The scene light of 75 % of the signal.
const HLG_WHITE: f32 = 0.265;

/// The signal that shows a colour of sRGB in video like `info`. Other video than HDR shows it as it is.
pub fn signal(info: &VideoInfo, colour: [f32; 3]) -> [f32; 3] {
    let encode = match info.colorimetry().transfer() {
        VideoTransferFunction::Smpte2084 => pq,
        VideoTransferFunction::AribStdB67 => hlg,
        _ => return colour,
    };
    let light = colour.map(linear);
    PRIMARIES.map(|row| encode(row.iter().zip(light).map(|(factor, it)| factor * it).sum()))
}

/// The light of a value of sRGB, 1 for white.
fn linear(value: f32) -> f32 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// The inverse EOTF of SMPTE ST 2084.
fn pq(light: f32) -> f32 {
    let [m1, m2] = [2610.0 / 16384.0, 2523.0 / 4096.0 * 128.0];
    let [c1, c2, c3] = [3424.0 / 4096.0, 2413.0 / 4096.0 * 32.0, 2392.0 / 4096.0 * 32.0];
    let power = (light.max(0.0) * WHITE / 10_000.0).powf(m1);
    ((c1 + c2 * power) / (1.0 + c3 * power)).powf(m2)
}

/// The OETF of ARIB STD-B67.
fn hlg(light: f32) -> f32 {
    let [a, b, c] = [0.178_832_77, 0.284_668_92, 0.559_910_7];
    let light = light.max(0.0) * HLG_WHITE;
    if light <= 1.0 / 12.0 { (3.0 * light).sqrt() } else { a * (12.0 * light - b).ln() + c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_becomes_the_reference_white_of_bt_2408() {
        assert!((pq(1.0) - 0.58).abs() < 0.002, "{}", pq(1.0));
        assert!((hlg(1.0) - 0.75).abs() < 0.002, "{}", hlg(1.0));
        assert!(pq(0.0) < 1e-4 && hlg(0.0) == 0.0);
    }
}
