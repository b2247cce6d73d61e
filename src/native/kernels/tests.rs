//! Every table of kernels gives the bits of the portable one, for every number of tiles and vectors.

use super::*;

/// Numbers from −1 to 1 from a fixed sequence.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }

    fn lanes(&mut self) -> Lanes {
        Lanes([(); LANES].map(|()| self.next()))
    }

    fn list(&mut self, count: usize) -> Vec<Lanes> {
        (0..count).map(|_| self.lanes()).collect()
    }

    /// Pairs of 16-bit numbers.
    fn pair(&mut self) -> i32 {
        (self.next() * 2_147_483_647.0) as i32
    }
}

/// What a table writes from `seed` with `tiles`, `inputs` and `outputs`, as bits.
fn results(kernels: &Kernels, seed: u32, [tiles, inputs, outputs]: [usize; 3]) -> Vec<u32> {
    let mut numbers = Numbers(seed);
    let mut bits: Vec<u32> = Vec::new();
    let note = |bits: &mut Vec<u32>, lanes: &[Lanes]| {
        bits.extend(lanes.iter().flat_map(|lanes| lanes.0.map(f32::to_bits)));
    };
    let width = 4 * tiles + 2;
    let source = numbers.list(7 * width);
    let places: Vec<Place> =
        (0..tiles).map(|tile| Place { tile, first: width + 4 * tile }).collect();
    let windows = Windows { source: &source, stride: width, tiles: &places };
    let layout = Layout { position: (tiles * inputs) | 1, tile: inputs };
    let bias = numbers.lanes();
    let slope = numbers.lanes();
    let mut plane = vec![Lanes::default(); 5 * width];

    // fp32.
    let mut transformed = numbers.list(POSITIONS * layout.position);
    (kernels.winograd_input)(&windows, &mut transformed, layout);
    note(&mut bits, &transformed);
    let weights = numbers.list(POSITIONS * inputs * LANES * outputs);
    let product = Product {
        transformed: &transformed,
        from: layout,
        weights: &weights,
        tiles,
        inputs,
        outputs,
    };
    let mut sums = vec![[Lanes::default(); POSITIONS]; tiles * outputs];
    (kernels.winograd_multiply)(&product, &mut sums);
    note(&mut bits, sums.as_flattened());
    let vector = outputs - 1;
    let job = Sums { sums: &sums, vector, vectors: outputs, bias: &bias, slope: &slope };
    let mut out = Pixels { planes: &mut [&mut plane], stride: width, tiles: &places };
    (kernels.winograd_output)(&job, &mut out);
    note(&mut bits, &plane);

    // Fixed point; some samples exceed their range.
    let scales = [(); POSITIONS].map(|()| Lanes(numbers.lanes().0.map(|v| v * 4e4)));
    let mut shorts = vec![Shorts::default(); POSITIONS * layout.position];
    let limited = (kernels.fixed_input)(&windows, &scales, &mut shorts, layout);
    bits.extend([limited as u32, (limited >> 32) as u32]);
    bits.extend(shorts.iter().flat_map(|shorts| shorts.0.map(i32::cast_unsigned)));
    let words: Vec<Words> = (0..POSITIONS * inputs * LANES / 2 * outputs)
        .map(|_| Words([(); LANES].map(|()| numbers.pair())))
        .collect();
    let product =
        Product { transformed: &shorts, from: layout, weights: &words, tiles, inputs, outputs };
    let mut sums = vec![[Words::default(); POSITIONS]; tiles * outputs];
    (kernels.fixed_multiply)(&product, &mut sums);
    bits.extend(sums.as_flattened().iter().flat_map(|words| words.0.map(i32::cast_unsigned)));
    let steps = [(); POSITIONS].map(|()| Lanes(numbers.lanes().0.map(|v| v * 1e-6)));
    let sums = Sums { sums: &sums, vector, vectors: outputs, bias: &bias, slope: &slope };
    let mut out = Pixels { planes: &mut [&mut plane], stride: width, tiles: &places };
    (kernels.fixed_output)(&FixedSums { sums, steps: &steps }, &mut out);
    note(&mut bits, &plane);

    // Direct.
    for (taps, channels) in [
        (Taps { height: 3, width: 3 }, 3),
        (Taps { height: 1, width: 5 }, 16),
        (Taps { height: 2, width: 1 }, 20),
    ] {
        let [down, across] = taps.window();
        let (pixel, blocks) = (channels.min(LANES), channels.div_ceil(LANES));
        let block = down * across * pixel;
        let samples: Vec<f32> = (0..tiles * blocks * block).map(|_| numbers.next()).collect();
        let starts: Vec<usize> = (0..tiles).map(|tile| tile * blocks * block).collect();
        let weights = numbers.list(taps.height * taps.width * channels * outputs);
        let bias = numbers.list(outputs);
        let slope = numbers.list(outputs);
        let job = Direct {
            taps,
            source: &samples,
            windows: &starts,
            row: across * pixel,
            pixel,
            block,
            channels,
            weights: &weights,
            bias: &bias,
            slope: &slope,
        };
        let mut planes = vec![vec![Lanes::default(); 5 * width]; outputs];
        let mut slices: Vec<&mut [Lanes]> = planes.iter_mut().map(Vec::as_mut_slice).collect();
        let mut out = Pixels { planes: &mut slices, stride: width, tiles: &places };
        (kernels.direct)(&job, &mut out);
        planes.iter().for_each(|plane| note(&mut bits, plane));
    }

    // Single samples, also large and special ones.
    let mut samples = numbers.list(4);
    samples[0].0[..6].copy_from_slice(&[0.0, -0.0, 1e30, -1e30, f32::INFINITY, f32::NAN]);
    let others = numbers.list(4);
    for apply in [kernels.add, kernels.subtract, kernels.multiply] {
        let mut to = samples.clone();
        apply(&mut to, &others);
        note(&mut bits, &to);
    }
    let mut to = samples.clone();
    (kernels.affine)(&mut to, &others[0], &others[1]);
    note(&mut bits, &to);
    for activation in [
        Activation::Leaky(others[2]),
        Activation::Clip { low: -0.5, high: 0.25 },
        Activation::Sigmoid,
        Activation::Tanh,
    ] {
        let mut to: Vec<Lanes> = samples.iter().map(|v| Lanes(v.0.map(|v| v * 9.0))).collect();
        (kernels.activate)(&mut to, &activation);
        note(&mut bits, &to);
    }
    // The payload of a NaN is not promised.
    let nan = |bits: u32| if f32::from_bits(bits).is_nan() { f32::NAN.to_bits() } else { bits };
    bits.into_iter().map(nan).collect()
}

#[test]
fn every_table_gives_the_bits_of_the_portable_one() {
    // Miri takes minutes for a tile.
    let (tiles, shapes) = if cfg!(miri) {
        (vec![2], &[(1, 1)][..])
    } else {
        ((1..14).collect(), &[(1, 1), (2, 2), (3, 3), (1, 4)][..])
    };
    for tiles in tiles {
        for &(inputs, outputs) in shapes {
            let shape = [tiles, inputs, outputs];
            let expected = results(&portable::KERNELS, tiles as u32, shape);
            for table in available().into_iter().filter(|table| table.group >= outputs) {
                assert!(results(table, tiles as u32, shape) == expected, "{table:?} {shape:?}");
            }
        }
    }
}
