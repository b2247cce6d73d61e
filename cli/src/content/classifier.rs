//! The network that tells drawn pictures from photographs, `cli/models/content.safetensors`. Its structure and
//! training are described in `cli/models/content.md`.

use image::{RgbImage, imageops};
use safetensors::SafeTensors;

/// Pictures are reduced so that their shorter side has this many pixels. Smaller ones stay as they are.
const SHORT_SIDE: u32 = 224;

/// The strides of the convolutions. The statistics of all but the first go to the last layer.
const STRIDES: [usize; 4] = [2, 1, 2, 2];

/// Added to variances, as in training.
const EPSILON: f64 = 1e-4;

/// Why the weights are no network.
#[derive(Debug, thiserror::Error)]
#[error("the weights of the content classifier are invalid: {0}")]
pub struct Error(String);

/// One convolution of 3×3 with a border of zeros, followed by ReLU.
#[derive(Debug)]
struct Layer {
    stride: usize,
    /// Output channels × input channels × 3 × 3.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// Channels of equal size; each has its rows one after the other.
struct Planes {
    width: usize,
    height: usize,
    channels: Vec<Vec<f32>>,
}

/// The network.
#[derive(Debug)]
pub struct Classifier {
    layers: Vec<Layer>,
    /// For each layer but the first: means of its channels, then their standard deviations.
    weights: Vec<f32>,
    bias: f32,
}

impl Classifier {
    /// The network that belongs to the command.
    ///
    /// # Errors
    /// The weights are invalid, which a test excludes.
    pub fn built_in() -> Result<Self, Error> {
        Self::parse(include_bytes!("../../models/content.safetensors"))
    }

    fn parse(file: &[u8]) -> Result<Self, Error> {
        let file = SafeTensors::deserialize(file).map_err(|error| Error(error.to_string()))?;
        let tensor = |name: &str| {
            let view = file.tensor(name).map_err(|error| Error(error.to_string()))?;
            Ok(bytemuck::pod_collect_to_vec::<u8, f32>(view.data()))
        };
        let mut layers = Vec::new();
        let (mut inputs, mut statistics) = (3, 0);
        for (index, stride) in STRIDES.into_iter().enumerate() {
            let weights = tensor(&format!("layer{index}.weight"))?;
            let bias = tensor(&format!("layer{index}.bias"))?;
            if bias.is_empty() || weights.len() != bias.len() * inputs * 9 {
                return Err(Error(format!("layer {index} has {} weights", weights.len())));
            }
            inputs = bias.len();
            statistics += if index > 0 { 2 * inputs } else { 0 };
            layers.push(Layer { stride, weights, bias });
        }
        let (weights, bias) = (tensor("last.weight")?, tensor("last.bias")?);
        match bias.as_slice() {
            &[bias] if weights.len() == statistics => Ok(Self { layers, weights, bias }),
            _ => Err(Error(format!("the last layer has {} weights", weights.len()))),
        }
    }

    /// How likely it is that the picture is drawn, as the logarithm of the odds: above 0 it is rather drawn,
    /// below 0 rather photographed.
    pub fn score(&self, picture: &RgbImage) -> f64 {
        let mut planes = Planes::of(picture);
        let mut score = f64::from(self.bias);
        let mut weights = self.weights.iter();
        for (index, layer) in self.layers.iter().enumerate() {
            planes = layer.run(&planes);
            if index > 0 {
                let (means, deviations): (Vec<_>, Vec<_>) =
                    planes.channels.iter().map(|samples| statistics(samples)).unzip();
                let values = means.into_iter().chain(deviations);
                score += values.zip(&mut weights).map(|(it, &w)| it * f64::from(w)).sum::<f64>();
            }
        }
        score
    }
}

/// Mean and standard deviation.
fn statistics(samples: &[f32]) -> (f64, f64) {
    let count = samples.len().max(1) as f64;
    let mean = samples.iter().map(|&it| f64::from(it)).sum::<f64>() / count;
    let squares = samples.iter().map(|&it| (f64::from(it) - mean).powi(2)).sum::<f64>();
    (mean, (squares / (count - 1.0).max(1.0) + EPSILON).sqrt())
}

impl Planes {
    /// The reduced picture in −1..1.
    fn of(picture: &RgbImage) -> Self {
        let (width, height) = picture.dimensions();
        let short = width.min(height);
        let reduced = (short > SHORT_SIDE).then(|| {
            let side = |pixels: u32| {
                let exact = f64::from(pixels) * f64::from(SHORT_SIDE) / f64::from(short);
                (exact.round() as u32).max(1)
            };
            imageops::resize(picture, side(width), side(height), imageops::FilterType::Triangle)
        });
        let picture = reduced.as_ref().unwrap_or(picture);
        let channel = |index: usize| {
            let sample = |pixel: &image::Rgb<u8>| pixel.0.get(index).copied().unwrap_or_default();
            picture.pixels().map(|pixel| f32::from(sample(pixel)) / 127.5 - 1.0).collect()
        };
        Self {
            width: picture.width() as usize,
            height: picture.height() as usize,
            channels: (0..3).map(channel).collect(),
        }
    }
}

impl Layer {
    fn run(&self, input: &Planes) -> Planes {
        let (width, height) =
            (input.width.div_ceil(self.stride), input.height.div_ceil(self.stride));
        let kernels = self.weights.chunks_exact(9 * input.channels.len().max(1));
        let channels = kernels.zip(&self.bias).map(|(kernel, &bias)| {
            let mut sums = vec![bias; width * height];
            for (samples, taps) in input.channels.iter().zip(kernel.chunks_exact(9)) {
                for (row, sums) in sums.chunks_exact_mut(width.max(1)).enumerate() {
                    for (down, taps) in taps.chunks_exact(3).enumerate() {
                        // One row above, the same one and one below.
                        let Some(above) = (row * self.stride + down).checked_sub(1) else {
                            continue;
                        };
                        let line = samples.get(above * input.width..(above + 1) * input.width);
                        if let (Some(line), &[left, centre, right]) = (line, taps) {
                            add(sums, line, self.stride, [left, centre, right]);
                        }
                    }
                }
            }
            sums.iter_mut().for_each(|sum| *sum = sum.max(0.0));
            sums
        });
        Planes { width, height, channels: channels.collect() }
    }
}

/// Adds a row of samples, filtered with three taps, to every sum.
fn add(sums: &mut [f32], line: &[f32], stride: usize, [left, centre, right]: [f32; 3]) {
    let sample = |at: Option<usize>| at.and_then(|at| line.get(at)).copied().unwrap_or_default();
    for (column, sum) in sums.iter_mut().enumerate() {
        let at = column * stride;
        *sum += left * sample(at.checked_sub(1))
            + centre * sample(Some(at))
            + right * sample(Some(at + 1));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use image::Rgb;

    use super::*;

    #[test]
    fn the_score_equals_that_of_the_trained_network() {
        let sample = |x: u32, y: u32| {
            Rgb([x * 7 + y * 3, x * y, x * x + 5 * y].map(|value| (value % 256) as u8))
        };
        let score = Classifier::built_in().unwrap().score(&RgbImage::from_fn(100, 75, sample));
        // By PyTorch, see models/train/content.py.
        assert!((score - -0.379_065_6).abs() < 1e-4, "{score}");
    }

    #[test]
    fn pictures_of_one_pixel_and_of_one_row_have_a_score() {
        let classifier = Classifier::built_in().unwrap();
        for (width, height) in [(1, 1), (500, 1), (1, 2)] {
            assert!(classifier.score(&RgbImage::new(width, height)).is_finite());
        }
    }

    #[test]
    fn damaged_weights_are_refused() {
        let file = include_bytes!("../../models/content.safetensors");
        assert!(Classifier::parse(&file[..1000]).is_err());
        assert!(Classifier::parse(&[]).is_err());
    }

    #[test]
    fn nine_in_ten_pictures_are_classified_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/val");
        let Ok(files) = fs::read_dir(&folder) else {
            warn!("skipped: no test data at {}", folder.display());
            return;
        };
        let classifier = Classifier::built_in().unwrap();
        let (mut wrong, mut total) = (Vec::new(), 0);
        for file in files.map(|file| file.unwrap().path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let drawn = ["pc_", "tenniel_", "ui_"].iter().any(|start| name.starts_with(start));
            let score = classifier.score(&image::open(&file).unwrap().to_rgb8());
            total += 1;
            if (score > 0.0) != drawn {
                wrong.push((name, score));
            }
        }
        assert!(total >= 20 && 10 * wrong.len() <= total, "{wrong:?} of {total}");
    }
}
