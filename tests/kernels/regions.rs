//! Regions to a batch and back.

use gstupscale::{
    frame::{Image, Rect},
    kernels,
};
use half::f16;

use super::{
    library::Kernels,
    memory::{Memory, Storage, Stored, noise_image},
};

/// Regions with a halo, at a border, and smaller than the model's smallest input.
fn regions() -> Vec<kernels::RegionArgs> {
    let region = |compute: Rect, read: Rect| kernels::RegionArgs { compute, read };
    vec![
        region(Rect::new(8, 4, 16, 8), Rect::new(4, 0, 24, 16)),
        region(Rect::new(30, 20, 13, 9), Rect::new(27, 17, 16, 12)),
        region(Rect::new(5, 25, 3, 1), Rect::new(3, 24, 5, 3)),
        region(Rect::new(0, 0, 1, 1), Rect::new(0, 0, 1, 1)),
    ]
}

/// The sample at position `at` of a row that is repeated by reflection.
fn mirrored(at: usize, length: usize) -> usize {
    let there_and_back: Vec<usize> = (0..length).chain((1..length.max(1) - 1).rev()).collect();
    there_and_back[at % there_and_back.len()]
}

fn gather<T: Storage>(kernels: &Kernels, width: u32, height: u32) {
    let image = noise_image::<T>(3, (43, 29), (-0.1, 1.1), 1);
    let (source, regions) = (Stored::<T>::of(&image), regions());
    let count = regions.len() * 3 * (width * height) as usize;
    let (mut batch, list) = (Memory::new((count + 8) * size_of::<T>()), Memory::of(&regions));
    let args = kernels::GatherArgs {
        source: source.picture(),
        batch: batch.address(),
        regions: list.address(),
        channels: 3,
        width,
        height,
        unused: 0,
    };
    let spans = width.div_ceil(16 / size_of::<T>() as u32);
    let name = format!("gather_{}", T::SUFFIX);
    kernels.launch(&name, &args, spans, height, regions.len() as u32);
    let batch: &[T] = batch.get_mut();
    let mut got = batch.iter();
    for region in &regions {
        let read = region.read;
        for channel in 0..3 {
            for y in 0..height as usize {
                let from = image.row(channel, read.y as usize + mirrored(y, read.height as usize));
                for x in 0..width as usize {
                    let at = read.x as usize + mirrored(x, read.width as usize);
                    assert_eq!(got.next().unwrap().load(), from[at], "{region:?} at {x}, {y}");
                }
            }
        }
    }
    let after = bytemuck::bytes_of(got.next().unwrap());
    assert!(after.iter().all(|byte| *byte == 0xA5), "written past the end");
}

#[test]
fn regions_in_a_batch_are_continued_by_reflection() {
    let Some(kernels) = Kernels::get() else { return };
    for (width, height) in [(24, 16), (33, 17), (64, 40)] {
        gather::<f32>(kernels, width, height);
        gather::<f16>(kernels, width, height);
    }
}

fn scatter<T: Storage>(kernels: &Kernels, factor: u32) {
    let (width, height) = (24 * factor, 16 * factor);
    let size = (43 * factor, 29 * factor);
    let mut expected = noise_image::<T>(3, size, (0.0, 1.0), 2);
    let (canvas, regions) = (Stored::<T>::of(&expected), regions());
    let mut answers = vec![];
    for (item, region) in regions.iter().enumerate() {
        let answer = noise_image::<T>(3, (width, height), (0.0, 1.0), 10 + item as u64);
        answers.extend(answer.data().iter().map(|value| T::store(*value)));
        let (compute, read) = (region.compute, region.read);
        let inside =
            Rect::new(compute.x - read.x, compute.y - read.y, compute.width, compute.height);
        let (x, y) = (compute.x * factor, compute.y * factor);
        expected.copy_from(&answer, inside.scaled(factor), x as usize, y as usize);
    }
    let (batch, list) = (Memory::of(&answers), Memory::of(&regions));
    let args = kernels::ScatterArgs {
        canvas: canvas.picture(),
        batch: batch.address(),
        regions: list.address(),
        channels: 3,
        width,
        height,
        factor,
    };
    let spans = size.0.div_ceil(16 / size_of::<T>() as u32);
    let name = format!("scatter_{}", T::SUFFIX);
    kernels.launch(&name, &args, spans, height, regions.len() as u32);
    canvas.assert_holds(&expected, whole(&expected), &format!("by {factor}"));
}

fn whole(image: &Image) -> Rect {
    Rect::of_size(image.width() as u32, image.height() as u32)
}

#[test]
fn regions_are_copied_to_their_places_on_the_canvas_and_nothing_else_changes() {
    let Some(kernels) = Kernels::get() else { return };
    for factor in 1..=4 {
        scatter::<f32>(kernels, factor);
        scatter::<f16>(kernels, factor);
    }
}
