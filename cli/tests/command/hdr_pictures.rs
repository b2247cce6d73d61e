//! The pictures of HDR video: photos expanded to PQ and halved, enlarged by models and by Lanczos.

use std::path::Path;

use gstupscale::{
    frame::{
        Channels, ChromaSite, Colorimetry, Filter, FrameInfo, Grid, Image, Matrix, OwnedFrame,
        Packer, PixelFormat, PlacedImage, Range, Rect, Resampler, Transfer, Unpacker,
    },
    model::Model,
    native::{Engine, Options},
    upscaler::{CpuPipeline, EngineTraits, FrameParams, Pipeline as _, Reuse, StreamSettings},
};

use crate::data::test_data;

/// Eight photos, and the side of their middle that is used.
const PHOTOS: [&str; 8] = [
    "gb82_city",
    "gb82_dog",
    "gb82_flowers",
    "gb82_nyc",
    "gb82_waves",
    "mdn_peacock",
    "ski_astronaut",
    "ski_coffee",
];
const SIDE: u32 = 256;

/// Luminance of diffuse white, in cd/m² (ITU-R BT.2408).
const WHITE: f64 = 203.0;

/// R′G′B′ of PQ for light in cd/m² (SMPTE ST 2084).
fn pq(light: f64) -> f64 {
    let y = (light.max(0.0) / 10_000.0).powf(M1);
    ((C1 + C2 * y) / (1.0 + C3 * y)).powf(M2)
}

fn light(pq: f64) -> f64 {
    let e = pq.max(0.0).powf(1.0 / M2);
    10_000.0 * ((e - C1).max(0.0) / (C2 - C3 * e)).powf(1.0 / M1)
}

const M1: f64 = 2610.0 / 16384.0;
const M2: f64 = 2523.0 / 32.0;
const C1: f64 = 3424.0 / 4096.0;
const C2: f64 = 2413.0 / 128.0;
const C3: f64 = 2392.0 / 128.0;

/// From BT.709 to BT.2020 (ITU-R BT.2087).
const TO_BT2020: [[f64; 3]; 3] =
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]];
/// From BT.2020 to LMS, and from PQ of it to ICtCp (ITU-R BT.2100).
const TO_LMS: [[f64; 3]; 3] =
    [[1688.0, 2146.0, 262.0], [683.0, 2951.0, 462.0], [99.0, 309.0, 3688.0]];
const TO_ICTCP: [[f64; 3]; 3] =
    [[2048.0, 2048.0, 0.0], [6610.0, -13613.0, 7003.0], [17933.0, -17390.0, -543.0]];

fn product(matrix: [[f64; 3]; 3], v: [f64; 3], scale: f64) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>() * scale)
}

/// The difference of two colours of PQ (ITU-R BT.2124).
fn delta_e_itp(a: [f64; 3], b: [f64; 3]) -> f64 {
    let itp = |colour: [f64; 3]| {
        let lms = product(TO_LMS, colour.map(light), 1.0 / 4096.0);
        product(TO_ICTCP, lms.map(pq), 1.0 / 4096.0)
    };
    let (a, b) = (itp(a), itp(b));
    let [i, t, p] = [a[0] - b[0], (a[1] - b[1]) / 2.0, a[2] - b[2]];
    720.0 * (i * i + t * t + p * p).sqrt()
}

fn info(side: u32) -> FrameInfo {
    FrameInfo {
        format: PixelFormat::from_name("Y444_10LE").unwrap(),
        width: side,
        height: side,
        colorimetry: Colorimetry {
            matrix: Matrix::Bt2020,
            range: Range::Limited,
            transfer: Transfer::Pq,
        },
        chroma_site: ChromaSite::LEFT,
    }
}

/// The middle of a photo as R′G′B′ of PQ: highlights are brighter than diffuse white, up to 1,200 cd/m².
fn photo(path: &Path) -> Image {
    let photo = image::open(path).unwrap().to_rgb32f();
    let (left, top) = ((photo.width() - SIDE) / 2, (photo.height() - SIDE) / 2);
    let mut out = Image::new(3, SIDE as usize, SIDE as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let rgb = photo.get_pixel(left + x, top + y).0.map(f64::from);
            let brightest = rgb.into_iter().fold(0.0, f64::max);
            let gain = 1.0 + 5.0 * ((brightest - 0.6) / 0.4).clamp(0.0, 1.0).powi(2);
            let wide = product(TO_BT2020, rgb.map(|it| it.powf(2.4) * WHITE * gain), 1.0);
            for (channel, value) in wide.into_iter().enumerate() {
                out.row_mut(channel, y as usize)[x as usize] = pq(value) as f32;
            }
        }
    }
    out
}

/// How a photo is halved: by a cubic filter in PQ, or by means of light.
#[derive(Clone, Copy, Debug)]
enum Halve {
    Cubic,
    Light,
}

fn halved(picture: &Image, by: Halve) -> Image {
    let side = SIDE / 2;
    let mut out = Image::default();
    match by {
        Halve::Cubic => {
            let (from, to) = (Grid::of_size(SIDE, SIDE), Grid::of_size(side, side));
            let reduce = Resampler::of_grids(&from, &to, Filter::CatmullRom);
            reduce.resample(PlacedImage::whole(picture), reduce.output(), &mut out).unwrap();
        }
        Halve::Light => {
            out.resize(3, side as usize, side as usize);
            for channel in 0..3 {
                for y in 0..side as usize {
                    let [above, below] =
                        [2 * y, 2 * y + 1].map(|y| picture.row(channel, y).to_vec());
                    for (x, out) in out.row_mut(channel, y).iter_mut().enumerate() {
                        let four = [&above, &below].map(|row| [row[2 * x], row[2 * x + 1]]);
                        let sum: f64 =
                            four.as_flattened().iter().map(|it| light((*it).into())).sum();
                        *out = pq(sum / 4.0) as f32;
                    }
                }
            }
        }
    }
    out
}

/// The frame of a picture of R′G′B′, with 10 bits.
fn packed(picture: &Image) -> OwnedFrame {
    let info = info(picture.width() as u32);
    let mut frame = OwnedFrame::new(info, 0).unwrap();
    let packer = Packer::new(info, Channels::Rgb).unwrap();
    let picture = PlacedImage::whole(picture);
    packer.pack(picture, &[], info.grid().rect(), &mut frame.write().whole()).unwrap();
    frame
}

/// A model, and how its picture is made.
struct Method {
    model: String,
    fidelity: f32,
    blend: f32,
}

/// `frame` at twice its size.
fn enlarged(frame: &OwnedFrame, Method { model, fidelity, blend }: &Method) -> OwnedFrame {
    let info = frame.info();
    let large = FrameInfo { width: 2 * info.width, height: 2 * info.height, ..info };
    let engine = Engine::open(&Model::open(model).unwrap(), &Options::default()).unwrap();
    let settings = StreamSettings {
        threads: 2,
        tile_size: 0,
        halo: None,
        memory_limit: None,
        fidelity: *fidelity,
    };
    let traits = EngineTraits { exact_regions: true, tolerant_halo: None };
    let mut stream =
        CpuPipeline::incremental(Box::new(engine), traits, info, large, settings).unwrap();
    let params = FrameParams { blend: *blend, grain: 0.0, number: 0, reuse: Reuse::Off };
    let mut output = OwnedFrame::new(large, 0).unwrap();
    stream.process(&frame.read(), None, &mut output.write(), &params).unwrap();
    output
}

/// PSNR in decibels of R′G′B′ of PQ, and the mean ΔE_ITP.
fn score(output: &OwnedFrame, reference: &Image) -> [f64; 2] {
    let unpacker = Unpacker::new(output.info(), Channels::Rgb).unwrap();
    let mut picture = Image::default();
    unpacker.unpack(&output.read(), Rect::of_size(SIDE, SIDE), &mut picture).unwrap();
    let (mut squares, mut differences) = (0.0, 0.0);
    for y in 0..SIDE as usize {
        for x in 0..SIDE as usize {
            let of = |image: &Image| {
                [0, 1, 2].map(|channel| f64::from(image.row(channel, y)[x]).clamp(0.0, 1.0))
            };
            let (a, b) = (of(&picture), of(reference));
            squares += a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 3.0;
            differences += delta_e_itp(a, b);
        }
    }
    let pixels = f64::from(SIDE * SIDE);
    [-10.0 * (squares / pixels).log10(), differences / pixels]
}

#[test]
fn hdr_photos_come_out_better_than_by_lanczos() {
    let Some(data) = test_data() else { return };
    let anime = data.join("weights/realesr-animevideov3.pth").to_str().unwrap().to_owned();
    let method = |model: &str, fidelity, blend| Method { model: model.into(), fidelity, blend };
    let methods = [
        ("Lanczos", method("builtin", 0.0, 0.0)),
        ("builtin", method("builtin", 0.0, 1.0)),
        ("builtin, fidelity 1", method("builtin", 1.0, 1.0)),
        ("builtin-quality", method("builtin-quality", 0.0, 1.0)),
        ("builtin-quality, fidelity 1", method("builtin-quality", 1.0, 1.0)),
        ("animevideov3", method(&anime, 0.0, 1.0)),
        ("animevideov3, fidelity 1", method(&anime, 1.0, 1.0)),
    ];
    let mut photos = Vec::new();
    for name in PHOTOS {
        photos.push(photo(&data.join(format!("val/{name}.webp"))));
    }
    for by in [Halve::Cubic, Halve::Light] {
        let small: Vec<_> = photos.iter().map(|photo| packed(&halved(photo, by))).collect();
        let means = methods.each_ref().map(|(name, method)| {
            let scores = small
                .iter()
                .zip(&photos)
                .map(|(small, photo)| score(&enlarged(small, method), photo));
            let sum = scores.fold([0.0; 2], |sum, score| [sum[0] + score[0], sum[1] + score[1]]);
            let mean = sum.map(|sum| sum / PHOTOS.len() as f64);
            println!("{by:?}, {name}: {:.2} dB, ΔE_ITP {:.2}", mean[0], mean[1]);
            mean
        });
        let [lanczos, builtin, faithful, _, quality, _, anime] = means;
        match by {
            Halve::Cubic => {
                for builtin in [builtin, faithful] {
                    assert!(builtin[0] >= lanczos[0] + 0.5, "{builtin:?} {lanczos:?}");
                    assert!(builtin[1] <= lanczos[1], "{builtin:?} {lanczos:?}");
                }
                assert!(quality[1] <= lanczos[1], "{quality:?} {lanczos:?}");
            }
            Halve::Light => assert!(faithful[0] >= lanczos[0], "{faithful:?} {lanczos:?}"),
        }
        assert!(anime[1] <= lanczos[1], "{by:?}: {anime:?} {lanczos:?}");
    }
}

/// The 10-bit codes of a plane.
fn codes(frame: &OwnedFrame, plane: usize) -> Vec<u16> {
    let plane = frame.plane(plane).unwrap();
    plane.data.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect()
}

#[test]
fn with_fidelity_patches_of_hdr_keep_their_code() {
    let Some(data) = test_data() else { return };
    let anime = data.join("weights/realesr-animevideov3.pth").to_str().unwrap().to_owned();
    for model in ["builtin", "builtin-quality", &anime] {
        for nits in [0.1, 1.0, 10.0, 100.0, 203.0, 1000.0, 4000.0] {
            for colour in [[1.0, 1.0, 1.0], [1.0, 0.3, 0.1], [0.1, 0.4, 1.0]] {
                let mut patch = Image::new(3, 64, 64);
                for (channel, share) in colour.into_iter().enumerate() {
                    patch.channel_mut(channel).fill(pq(nits * share) as f32);
                }
                let frame = packed(&patch);
                let method = Method { model: model.into(), fidelity: 1.0, blend: 1.0 };
                let output = enlarged(&frame, &method);
                for plane in 0..3 {
                    let before = codes(&frame, plane)[0];
                    let after = codes(&output, plane);
                    let worst = after.iter().map(|code| code.abs_diff(before)).max();
                    let case = format!("{model}, {nits} nits, {colour:?}, plane {plane}");
                    assert!(worst <= Some(1), "{case}: {worst:?}");
                }
            }
        }
    }
}
