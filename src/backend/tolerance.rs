//! The smallest halo whose difference from the whole picture is invisible.

use std::{ops::RangeInclusive, path::Path};

use crate::{
    engine::{Error, Infer, distance, measured, test_picture::scene},
    frame::{Image, Rect},
};

/// Largest difference of a sample of 0..1 from the whole picture.
const MAX_DIFFERENCE: f32 = 1.0 / 255.0;
/// Multiply-adds that the search may take: some seconds on a small machine.
const MAX_MACS: f64 = 2e11;
/// Sides of the regions that are tried, in input pixels.
const SIDE: u32 = 16;
/// Regions along each side of the picture.
const PLACES: u32 = 3;

/// Finds the smallest halo, up to the `exact` one, with which regions differ from the whole
/// picture by at most 1/255 in any sample, at several places of a test picture. In input pixels;
/// `None` when the search would take minutes.
///
/// The result is stored in `cache_dir` under the engine's identity, so only the first call takes
/// time.
///
/// # Errors
/// The errors of the engine's runs.
pub fn tolerant_halo(
    engine: &mut dyn Infer,
    exact: u32,
    cache_dir: &Path,
) -> Result<Option<u32>, Error> {
    let folder = cache_dir.join("halos");
    let key = format!("exact {exact}: {}", engine.identity());
    let store = !engine.identity().is_empty();
    let is_possible = |halo: &Option<u32>| halo.is_none_or(|halo| possible(exact).contains(&halo));
    if let Some(halo) = measured::read(&folder, &key).filter(is_possible).filter(|_| store) {
        return Ok(halo);
    }
    let halo = search(engine, exact)?;
    if store {
        measured::write(&folder, &key, halo);
    }
    Ok(halo)
}

/// The halos that a search can find. Published models need more than a tenth of the exact halo.
fn possible(exact: u32) -> RangeInclusive<u32> {
    exact.div_ceil(32)..=exact
}

fn search(engine: &mut dyn Infer, exact: u32) -> Result<Option<u32>, Error> {
    let info = engine.info();
    if info.fixed_size.is_some() {
        return Ok(None);
    }
    // Fits the exact halo around every region.
    let side = (2 * exact + PLACES * SIDE).max(info.min_side).next_multiple_of(info.align.max(1));
    let trials = f64::from(PLACES * PLACES) * f64::from(exact.max(1)).log2().ceil();
    let pixels = f64::from(2 * exact + SIDE).powi(2) * trials + f64::from(side).powi(2);
    if pixels * info.macs_per_pixel.max(1.0) > MAX_MACS {
        return Ok(None);
    }
    let picture = scene(info.channels.count(), side as usize, side as usize, 3);
    let mut whole = Image::default();
    engine.run(&picture, &mut whole)?;
    // Bisection: the difference decreases with the halo. `short` is too short, `enough` is not.
    let (mut short, mut enough) = (None, exact);
    while enough > short.map_or(0, |short: u32| short + 1) {
        let halo = short.map_or(0, |short| short + 1).midpoint(enough - 1);
        if is_visible(engine, &picture, &whole, halo)? {
            short = Some(halo);
        } else {
            enough = halo;
        }
    }
    Ok(Some(enough.max(*possible(exact).start())))
}

/// Whether regions with `halo` differ visibly from the whole picture at any place.
fn is_visible(
    engine: &mut dyn Infer,
    picture: &Image,
    whole: &Image,
    halo: u32,
) -> Result<bool, Error> {
    let side = picture.width() as u32;
    let step = (side - SIDE) / (PLACES - 1);
    for place in 0..PLACES * PLACES {
        let region = Rect::new(place % PLACES * step, place / PLACES * step, SIDE, SIDE);
        if difference(engine, picture, whole, region, halo)? > MAX_DIFFERENCE {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The largest difference between `region`, run with its halo only, and the same part of `whole`.
fn difference(
    engine: &mut dyn Infer,
    picture: &Image,
    whole: &Image,
    region: Rect,
    halo: u32,
) -> Result<f32, Error> {
    let (side, info) = (picture.width() as u32, engine.info());
    let (channels, factor) = (picture.channels(), info.factor);
    let region = region.aligned_within(info.align, side, side);
    let outer = region.grown_within(halo, side, side).aligned_within(info.align, side, side);
    let mut input = Image::new(channels, outer.width as usize, outer.height as usize);
    input.copy_from(picture, outer, 0, 0);
    let mut output = Image::default();
    engine.run(&input, &mut output)?;
    let large = region.scaled(factor);
    let crop = |image: &Image, from: Rect| {
        let mut crop = Image::new(channels, large.width as usize, large.height as usize);
        crop.copy_from(image, from, 0, 0);
        crop
    };
    let inside = Rect { x: region.x - outer.x, y: region.y - outer.y, ..region };
    let (_, largest) = distance(&crop(&output, inside.scaled(factor)), &crop(whole, large));
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::Channels, model::ModelInfo};

    /// A horizontal window whose weights decrease from its centre; zero outside the picture.
    struct Glow {
        info: ModelInfo,
        identity: &'static str,
        runs: u32,
    }

    const RADIUS: i64 = 8;

    impl Glow {
        fn new(align: u32) -> Self {
            let info = ModelInfo {
                channels: Channels::Luma,
                factor: 2,
                halo: Some(RADIUS as u32),
                align,
                min_side: 1,
                fixed_size: None,
                batch: false,
                parameters: 3,
                macs_per_pixel: 17.0,
                peak_floats_per_pixel: 2.0,
            };
            Self { info, identity: "", runs: 0 }
        }
    }

    impl Infer for Glow {
        fn info(&self) -> &ModelInfo {
            &self.info
        }

        fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
            self.runs += 1;
            let (width, height) = (input.width() as i64, input.height() as i64);
            output.resize(1, input.width() * 2, input.height() * 2);
            for y in 0..height * 2 {
                for x in 0..width * 2 {
                    let window = (-RADIUS..=RADIUS).map(|d| {
                        let (x, y) = (x / 2 + d, y / 2 + d);
                        let inside = (0..width).contains(&x) && (0..height).contains(&y);
                        let row = if inside { input.row(0, y as usize) } else { &[] };
                        0.4 * 0.4f32.powi(d.abs() as i32) * row.get(x as usize).unwrap_or(&0.0)
                    });
                    output.row_mut(0, y as usize)[x as usize] = window.sum();
                }
            }
            Ok(())
        }

        fn identity(&self) -> &str {
            self.identity
        }
    }

    #[test]
    fn the_halo_found_is_the_smallest_without_a_visible_difference() {
        for align in [1, 2] {
            let mut model = Glow::new(align);
            let halo = search(&mut model, RADIUS as u32).unwrap().unwrap();
            assert!(halo > 0 && halo < RADIUS as u32, "{halo}");
            let side = (2 * RADIUS as u32 + PLACES * SIDE).next_multiple_of(align);
            let picture = scene(1, side as usize, side as usize, 3);
            let mut whole = Image::default();
            model.run(&picture, &mut whole).unwrap();
            assert!(!is_visible(&mut model, &picture, &whole, halo).unwrap());
            assert!(is_visible(&mut model, &picture, &whole, halo - 1).unwrap());
        }
    }

    #[test]
    fn the_halo_found_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let named = || Glow { identity: "glow", ..Glow::new(1) };
        let found = tolerant_halo(&mut named(), RADIUS as u32, folder.path()).unwrap();
        let mut again = named();
        assert_eq!(tolerant_halo(&mut again, RADIUS as u32, folder.path()).unwrap(), found);
        assert_eq!(again.runs, 0);
    }

    #[test]
    fn a_stored_halo_that_no_search_can_find_is_not_believed() {
        let named = || Glow { identity: "glow", ..Glow::new(1) };
        let exact = RADIUS as u32;
        for planted in [0, exact + 1, u32::MAX] {
            let folder = tempfile::tempdir().unwrap();
            let key = format!("exact {exact}: {}", named().identity());
            measured::write(&folder.path().join("halos"), &key, Some(planted));
            let found = tolerant_halo(&mut named(), exact, folder.path()).unwrap().unwrap();
            assert!(found > 1 && found < exact, "{planted}");
        }
    }

    #[test]
    fn a_search_that_would_take_minutes_is_not_started() {
        let mut model = Glow::new(1);
        model.info.macs_per_pixel = 1e7;
        assert_eq!(search(&mut model, 350).unwrap(), None);
        assert_eq!(model.runs, 0);
    }
}
