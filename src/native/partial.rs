//! Running only what a change of the input reaches, without features of the picture before: the
//! tiles of the output whose receptive field holds a changed pixel, and what these tiles need of
//! each layer.

use std::ops::Range;

use super::{
    Error,
    changes::Changes,
    engine::{Engine, Sizes},
    incremental::{cost, rectangles},
    input::Input,
    kernels::TILE,
    mask::Mask,
    source::Source,
    tile::Tile,
};
use crate::{
    engine::Update,
    frame::{Image, Rect},
};

impl Engine {
    /// Runs the model where its result may depend on the pixels `changed`, and writes those parts of
    /// `output`; the rest of it is undefined. Features that are kept stay as they are.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn run_changed(
        &mut self,
        input: &Image,
        changed: &[Rect],
        output: &mut Image,
    ) -> Result<Update, Error> {
        let sizes = self.sizes(input)?;
        self.shape(&sizes, output);
        let strips = self.strips(input)?;
        if strips.is_empty() {
            let rows = 0..sizes.last().map_or(0, |[height, _]| *height);
            return self.run_reached(input, changed, rows, output);
        }
        let factor = self.plan.shuffle;
        let (mut part, mut made) = <(Image, Image)>::default();
        let mut update = Update::default();
        for strip in &strips {
            let changed = strip.rectangles(changed);
            if changed.is_empty() {
                continue;
            }
            strip.cut(input, &mut part);
            let own = self.run_reached(&part, &changed, strip.made.clone(), &mut made)?;
            for rect in own.changed {
                let y = rect.y as usize - strip.made.start * factor + strip.first * factor;
                output.copy_from(&made, rect, rect.x as usize, y);
                update.changed.push(Rect { y: y as u32, ..rect });
            }
            update.work += own.work * strip.input.len() as f64 / input.height().max(1) as f64;
        }
        update.work = update.work.min(1.0);
        Ok(update)
    }

    /// [`Engine::run_changed`] for some rows of the last layer, in one piece.
    fn run_reached(
        &mut self,
        input: &Image,
        changed: &[Rect],
        rows: Range<usize>,
        output: &mut Image,
    ) -> Result<Update, Error> {
        let sizes = self.sizes(input)?;
        let tiles = self.reached(input, &sizes, changed, rows);
        let Some(last) = tiles.last().filter(|last| !last.is_empty()) else {
            return Ok(Update::default());
        };
        let size = sizes.last().copied().unwrap_or_default();
        let changed = rectangles(last, size, self.plan.shuffle);
        let (mut done, mut all) = (0.0, 0.0);
        for ((layer, &size), tiles) in self.plan.layers.iter().zip(&sizes).zip(&tiles) {
            let [down, across] = size.map(|side| side.div_ceil(TILE));
            let share = tiles.len() as f64 / (down * across).max(1) as f64;
            (done, all) = (done + share * cost(layer, size), all + cost(layer, size));
        }
        self.partial_run(input, output, Some(&tiles), None)?;
        Ok(Update { changed, work: if all > 0.0 { done / all } else { 0.0 } })
    }

    /// The tiles of each layer that are computed after pixels `changed`, for some rows of the last
    /// layer.
    fn reached(
        &self,
        input: &Image,
        sizes: &Sizes,
        changed: &[Rect],
        rows: Range<usize>,
    ) -> Vec<Vec<Tile>> {
        let (height, width) = (input.height(), input.width());
        let planes = self.outline(sizes);
        let cells = Input::sized(&self.plan, sizes, [input.channels(), height, width]);
        let source = Source { planes: &planes, input: &cells };

        let mut changes = Changes::new(sizes, [height, width]);
        for rect in changed {
            let [top, left] = [rect.y, rect.x].map(i64::from);
            let [bottom, right] = [rect.y + rect.height, rect.x + rect.width].map(i64::from);
            changes.input.mark([top, left, bottom, right]);
        }
        let layers = 0..self.plan.layers.len();
        self.mark_affected(layers.clone(), &mut changes, source, |_, _| {});

        let last = layers.len().saturating_sub(1);
        let mut reached = changes.take(last);
        reached.keep_rows(rows.start / TILE..rows.end.div_ceil(TILE));
        let mut required = Changes::new(sizes, [0; 2]);
        required.put(last, reached);
        self.mark_required(layers, &mut required, source, |_| false);
        required.layers.iter().map(Mask::tiles).collect()
    }
}
