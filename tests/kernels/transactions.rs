//! What the machine code asks of the memory for an output pixel. `scripts/machine_code.sh` runs
//! this; other runs have no machine code and are skipped.

use gstupscale::{
    frame::{Channels, PixelFormat, Rect, Resampler},
    kernels::{self, FINISHED},
};
use half::f16;

use super::{
    common::frame::info,
    library::Kernels,
    memory::{Frame, Storage, Stored, Tables, rects},
    pack::{self, Pictures},
    unpack,
};

/// Wavefronts of the L1 cache for an output pixel. A wavefront moves up to 128 bytes.
const MOST_WAVEFRONTS: f64 = 3.0;

/// Prints and checks what a kernel asks of the memory for each of `pixels`.
#[track_caller]
fn check(kernels: &Kernels, name: &str, pixels: u32, run: impl FnOnce()) {
    let Some(counts) = kernels.transactions(run) else {
        eprintln!("skipped: not the machine code; run scripts/machine_code.sh");
        return;
    };
    let [requests, wavefronts, sectors] = counts.map(|count| count as f64 / f64::from(pixels));
    eprintln!("{name}: {requests:.3} requests, {wavefronts:.2} wavefronts, {sectors:.2} sectors");
    assert!(wavefronts > 0.0 && wavefronts <= MOST_WAVEFRONTS, "{name}: {wavefronts:.2}");
}

/// The output from a canvas that is `canvas` · `output` in size.
fn finish<T: Storage>(kernels: &Kernels, name: &str, from: (u32, u32), to: (u32, u32)) {
    let canvas = Stored::<T>::new(3, from.0, from.1);
    let out = Stored::<f32>::new(3, to.0, to.1);
    let tables = Tables::of(&Resampler::new(from, to));
    let [canvas_horizontal, canvas_vertical] = tables.get();
    let list = rects(&[Rect::of_size(to.0, to.1)]);
    let args = kernels::FinishArgs {
        canvas: canvas.picture(),
        out: out.picture(),
        canvas_horizontal,
        canvas_vertical,
        rects: list.address(),
        share: 1.0,
        channels: 3,
        ..Default::default()
    };
    let kernel = format!("finish_{}", T::SUFFIX);
    let (spans, rows) = (to.0.div_ceil(FINISHED), to.1.div_ceil(kernels::FINISHED_ROWS));
    check(kernels, &format!("{kernel} {name}"), to.0 * to.1, || {
        kernels.launch(&kernel, &args, spans, rows, 1);
    });
}

#[test]
fn every_stage_stays_within_its_wavefronts_per_output_pixel() {
    let Some(kernels) = Kernels::get() else { return };
    for (name, from, to) in [
        ("2:1", (1024, 64), (512, 32)),
        ("4:3", (683, 43), (512, 32)),
        ("1:2", (256, 16), (512, 32)),
    ] {
        finish::<f16>(kernels, name, from, to);
        finish::<f32>(kernels, name, from, to);
    }
    for format in [PixelFormat::Nv12, PixelFormat::I420, PixelFormat::P010_10le] {
        let info = info(format, 512, 32);
        let (frame, pixels) = (Frame::noisy(info, 1), 512 * 32);
        let whole = [info.grid().rect()];
        check(kernels, &format!("unpack_f16 {format}"), pixels, || {
            unpack::unpack::<f16>(kernels, &frame, Channels::Rgb, &whole);
        });
        check(kernels, &format!("unpack_f32 {format}"), pixels, || {
            unpack::unpack::<f32>(kernels, &frame, Channels::Rgb, &whole);
        });
        let packer = gstupscale::frame::Packer::new(info, Channels::Rgb).unwrap();
        let pictures = Pictures::new::<f16>(&packer, &info, Channels::Rgb);
        check(kernels, &format!("pack_f16 {format}"), pixels, || {
            pack::pack::<f16>(kernels, &pictures, &packer, Channels::Rgb, &whole, &frame);
        });
        check(kernels, &format!("pack_f32 {format}"), pixels, || {
            pack::pack::<f32>(kernels, &pictures, &packer, Channels::Rgb, &whole, &frame);
        });
    }
}
