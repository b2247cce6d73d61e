//! What numbers say about an enlarged picture where no original exists to compare it with.

use image::GrayImage;

/// Sharpness: the mean of the largest differences of neighbouring pixels, in 8-bit steps.
pub fn sharpness(picture: &GrayImage) -> f64 {
    /// The share of all differences that are the largest: those of edges.
    const EDGES: f64 = 0.02;
    let samples = picture.as_raw();
    let stride = picture.width().max(1) as usize;
    let mut counts = [0u64; 256];
    let mut count = |pair: (&u8, &u8)| {
        if let Some(count) = counts.get_mut(usize::from(pair.0.abs_diff(*pair.1))) {
            *count += 1;
        }
    };
    samples
        .chunks_exact(stride)
        .for_each(|row| row.iter().zip(row.iter().skip(1)).for_each(&mut count));
    samples.iter().zip(samples.iter().skip(stride)).for_each(&mut count);
    let all: u64 = counts.iter().sum();
    let wanted = ((all as f64 * EDGES).ceil() as u64).max(1);
    let (mut taken, mut sum) = (0u64, 0u64);
    for (difference, &count) in counts.iter().enumerate().rev() {
        let more = count.min(wanted - taken);
        (taken, sum) = (taken + more, sum + more * difference as u64);
    }
    sum as f64 / wanted as f64
}

/// The mean absolute difference of horizontal neighbours, in 8-bit steps: how much there is to see.
pub fn detail(picture: &GrayImage) -> f64 {
    let rows = picture.as_raw().chunks_exact(picture.width().max(1) as usize);
    let along = |row: &[u8]| -> u64 {
        row.iter().zip(row.iter().skip(1)).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
    };
    rows.map(along).sum::<u64>() as f64 / picture.as_raw().len().max(1) as f64
}

/// Flicker: the mean absolute change, in 8-bit steps, of enlarged pixels between two frames where the
/// input changes by at most 3. `None` if no such place exists.
pub fn flicker(input: [&GrayImage; 2], output: [&GrayImage; 2]) -> Option<f64> {
    /// The noise of a camera, in 8-bit steps.
    const STILL: u8 = 3;
    let [before, after] = input;
    let (width, height) = output[0].dimensions();
    let (columns, rows) = before.dimensions();
    if output[1].dimensions() != (width, height) || after.dimensions() != (columns, rows) {
        return None;
    }
    let (mut sum, mut count) = (0u64, 0u64);
    for (x, y, pixel) in output[0].enumerate_pixels() {
        let from =
            |at: u32, side: u32, of: u32| (u64::from(at) * u64::from(side) / u64::from(of)) as u32;
        let (column, row) = (from(x, columns, width), from(y, rows, height));
        let still = before.get_pixel(column, row).0[0].abs_diff(after.get_pixel(column, row).0[0]);
        if still <= STILL {
            sum += u64::from(pixel.0[0].abs_diff(output[1].get_pixel(x, y).0[0]));
            count += 1;
        }
    }
    (count > 0).then(|| sum as f64 / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> GrayImage {
        GrayImage::from_fn(width, height, |x, y| image::Luma([value(x, y)]))
    }

    #[test]
    fn hard_edges_are_sharper_than_soft_ones_however_many_there_are() {
        let hard = picture(64, 64, |x, _| if x < 32 { 0 } else { 200 });
        let soft = picture(64, 64, |x, _| if x < 30 { 0 } else { (x - 30).min(4) as u8 * 50 });
        assert!(sharpness(&hard) > 1.5 * sharpness(&soft));
        assert_eq!(sharpness(&picture(32, 32, |_, _| 7)), 0.0);
        assert_eq!(sharpness(&picture(1, 1, |_, _| 7)), 0.0);
        assert!(detail(&picture(64, 64, |x, _| (x % 2 * 99) as u8)) > detail(&hard));
    }

    #[test]
    fn flicker_counts_where_the_input_is_still() {
        let still = picture(8, 8, |x, y| (x + y) as u8);
        let moved = picture(8, 8, |x, y| if x < 4 { (x + y) as u8 } else { 250 });
        let calm = picture(16, 16, |_, _| 100);
        let busy = picture(16, 16, |x, _| if x < 8 { 110 } else { 0 });
        assert_eq!(flicker([&still, &moved], [&calm, &busy]), Some(10.0));
        assert_eq!(flicker([&still, &still], [&calm, &calm]), Some(0.0));
        let other = picture(8, 8, |_, _| 250);
        assert_eq!(flicker([&picture(8, 8, |_, _| 0), &other], [&calm, &busy]), None);
    }
}
