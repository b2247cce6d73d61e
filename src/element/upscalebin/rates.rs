//! Frame rates in caps.

/// Replaces lists of frame rates that are adjacent ranges with one range. `deinterlace` divides the
/// range of all rates in two, and a source that prefers 30 frames/s finds that rate in one range
/// only: `gltestsrc` takes the first rate of such a list, 2³¹/2 frames/s.
pub(super) fn join(caps: &mut gst::Caps) {
    let structures = caps.make_mut().iter_mut();
    for structure in structures {
        if let Some(range) = structure.get::<gst::List>("framerate").ok().and_then(|it| joined(&it))
        {
            structure.set("framerate", range);
        }
    }
}

/// The range that consists of all ranges of a list. `None` if they are not adjacent.
fn joined(list: &gst::List) -> Option<gst::FractionRange> {
    let ranges = list.iter().map(|value| value.get::<gst::FractionRange>());
    let mut ranges = ranges.collect::<Result<Vec<_>, _>>().ok()?;
    ranges.sort_by_key(gst::FractionRange::min);
    let mut ranges = ranges.into_iter();
    let first = ranges.next()?;
    let last = ranges
        .try_fold(first.max(), |end, range| (range.min() <= end).then(|| range.max().max(end)))?;
    Some(gst::FractionRange::new(first.min(), last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join_text(rates: &str) -> gst::Caps {
        gst::init().unwrap();
        let parse = |rates: &str| -> gst::Caps {
            format!("video/x-raw,framerate=(fraction){rates}").parse().unwrap()
        };
        let mut caps = parse(rates);
        join(&mut caps);
        caps
    }

    #[test]
    fn adjacent_ranges_become_one_and_anything_else_stays() {
        let joined = join_text("{ [ 50/1, 100/1 ], [ 0/1, 50/1 ] }");
        assert_eq!(joined, join_text("[ 0/1, 100/1 ]"));
        for rates in ["{ [ 0/1, 10/1 ], [ 20/1, 30/1 ] }", "{ 25/1, 50/1 }", "30/1"] {
            assert!(join_text(rates).to_string().contains(rates), "{rates}");
        }
    }
}
