//! Operators that join, split and pick channels; they move no samples.

use super::{
    super::{super::Error, Border, operands::unsupported},
    Lowering,
    value::Value,
};
use crate::model::Node;

impl<'a> Lowering<'a> {
    pub(super) fn concat(&mut self, node: &Node) -> Result<Value, Error> {
        let mut parts = Vec::new();
        for index in 0..node.inputs.len() {
            parts.push(self.operand(node, index)?);
        }
        if !matches!(node.int("axis"), Some(1 | -3)) {
            return Err(unsupported(node, "it joins along an axis other than the channels"));
        }
        let mixed = parts.windows(2).any(|pair| match pair {
            [a, b] => a.shuffle != b.shuffle,
            _ => false,
        });
        if mixed {
            let plain = parts.into_iter().map(|part| self.plain(node, part));
            parts = plain.collect::<Result<_, _>>()?;
        }
        let mut parts = parts.into_iter();
        let mut all = parts.next().ok_or_else(|| unsupported(node, "it joins nothing"))?;
        for part in parts {
            if part.size != all.size {
                return Err(unsupported(node, "its operands differ in size"));
            }
            all = all.joined(part);
        }
        Ok(all)
    }

    pub(super) fn split(&mut self, node: &'a Node) -> Result<(), Error> {
        let x = self.operand(node, 0)?;
        if !matches!(node.int("axis"), Some(1 | -3)) {
            return Err(unsupported(node, "it splits along an axis other than the channels"));
        }
        let (channels, parts) = (x.channels(), node.outputs.len().max(1));
        let given = match node.input(1) {
            Some(name) => self.constants.get(Some(name)).and_then(|t| t.to_i64()),
            None => node.ints("split").map(<[i64]>::to_vec),
        };
        let size = channels.div_ceil(parts);
        let counts: Vec<usize> = match given {
            Some(counts) => counts.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect(),
            None => (0..parts).map(|p| size.min(channels.saturating_sub(p * size))).collect(),
        };
        let mut first = 0usize;
        for (name, count) in node.outputs.iter().zip(counts) {
            let part = x.select(first..first.saturating_add(count)).filter(|_| count > 0);
            let part = part.ok_or_else(|| unsupported(node, "its sizes do not fit"))?;
            first += count;
            self.values.insert(name, part);
        }
        Ok(())
    }

    pub(super) fn slice(&mut self, node: &Node) -> Result<Value, Error> {
        let mut x = self.operand(node, 0)?;
        let unknown = || unsupported(node, "its bounds are not constant");
        let starts = self.list(node, 1, "starts").ok_or_else(unknown)?;
        let ends = self.list(node, 2, "ends").ok_or_else(unknown)?;
        let axes = self.list(node, 3, "axes");
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.list(node, 4, "steps").unwrap_or_else(|| vec![1; starts.len()]);
        if steps.iter().any(|&step| step != 1)
            || [ends.len(), axes.len(), steps.len()] != [starts.len(); 3]
        {
            return Err(unsupported(node, "it has steps, or its bounds do not fit"));
        }
        let (mut before, mut behind) = ([0; 2], [0; 2]);
        for ((&start, &end), &axis) in starts.iter().zip(&ends).zip(&axes) {
            match if axis < 0 { axis + 4 } else { axis } {
                1 => {
                    let count = x.channels() as i64;
                    let at = |at: i64| (if at < 0 { at + count } else { at }).clamp(0, count);
                    let part = x.select(at(start) as usize..at(end) as usize);
                    let part = part.filter(|part| !part.lanes.is_empty());
                    x = part.ok_or_else(|| unsupported(node, "it leaves no channel"))?;
                }
                axis @ 2..=3 => {
                    // An end that is counted from the start would need the size.
                    let end = if end >= i64::from(i32::MAX) { 0 } else { end };
                    if start < 0 || end > 0 || start > 1 << 16 || end < -(1 << 16) {
                        return Err(unsupported(node, "its bounds depend on the size"));
                    }
                    let axis = axis as usize - 2;
                    if let (Some(before), Some(behind)) =
                        (before.get_mut(axis), behind.get_mut(axis))
                    {
                        (*before, *behind) = (-start, end);
                    }
                }
                _ => return Err(unsupported(node, "it cuts the batch")),
            }
        }
        self.padded(node, x, before, behind, Border::Zero)
    }

    pub(super) fn gather(&mut self, node: &Node) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let indices = self.constants.get(node.input(1));
        let one = indices.is_some_and(|indices| indices.dims.len() == 1);
        let (Some(1 | -3), Some(indices), true) =
            (node.int("axis"), indices.and_then(|indices| indices.to_i64()), one)
        else {
            return Err(unsupported(node, "it does not gather channels by a constant list"));
        };
        let count = x.channels() as i64;
        let channel = |&at: &i64| usize::try_from(if at < 0 { at + count } else { at }).ok();
        let channels: Option<Vec<usize>> = indices.iter().map(channel).collect();
        let taken = channels.and_then(|channels| x.select(channels));
        taken.ok_or_else(|| unsupported(node, "its indices do not fit"))
    }
}
