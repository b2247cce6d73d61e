//! A picture that shows the frame without the model on the left, and with it on the right.

use crate::frame::Rect;

/// Output columns of the line between both parts.
const LINE: u32 = 2;

/// Where the line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// The first column of the line. `None`: the model's picture is everywhere.
    line: Option<u32>,
}

/// What a part of a split picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Lanczos,
    Line,
    Model,
}

impl Split {
    /// After this share of the output's `width`; 0: nowhere.
    pub(crate) fn new(share: f64, width: u32) -> Self {
        let column = (f64::from(width) * share) as u32;
        // Pairs of columns share their chroma.
        Self { line: (share > 0.0).then_some(column / LINE * LINE) }
    }

    /// The parts of `rect` on both sides of the line, and of the line.
    pub(crate) fn sides(&self, rect: Rect) -> impl Iterator<Item = (Rect, Side)> + use<> {
        let (line, end) = self.line.map_or((0, 0), |line| (line, line + LINE));
        [(0, line, Side::Lanczos), (line, end, Side::Line), (end, u32::MAX, Side::Model)]
            .into_iter()
            .map(move |(from, to, side)| {
                let (from, to) = (from.max(rect.x), to.min(rect.right()));
                (Rect { x: from, width: to.saturating_sub(from), ..rect }, side)
            })
            .filter(|(part, _)| !part.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_divides_a_rectangle_at_a_line_of_two_columns() {
        let rect = Rect::new(10, 4, 100, 8);
        let part = |x, width| Rect { x, width, ..rect };
        let sides = |share| Split::new(share, 200).sides(rect).collect::<Vec<_>>();
        assert_eq!(sides(0.0), [(rect, Side::Model)]);
        assert_eq!(sides(1.0), [(rect, Side::Lanczos)]);
        let expected =
            [(part(10, 20), Side::Lanczos), (part(30, 2), Side::Line), (part(32, 78), Side::Model)];
        assert_eq!(sides(0.156), expected);
    }
}
