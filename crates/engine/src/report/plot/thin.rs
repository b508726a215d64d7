//! Fewer points, the same picture.

/// A value of a series at a time, in seconds and in the series' unit. `None` is a gap: nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Seconds since the record's clock was started.
    pub(crate) at: f64,
    /// The value, or that there is none.
    pub(crate) value: Option<f64>,
}

/// At most `most` of the points, in order, among them the highest and the lowest of every stretch of time: a peak of a
/// single sample is what a report must not lose, and what averaging would flatten.
///
/// A gap stays a gap where a stretch holds nothing else.
pub(crate) fn thin(points: &[Point], most: usize) -> Vec<Point> {
    if points.len() <= most || most < 2 {
        return points.to_vec();
    }
    // Two points are kept of every stretch, so there are half as many stretches as points.
    let per_stretch = points.len().div_ceil(most / 2);
    let mut kept = Vec::with_capacity(most);
    for stretch in points.chunks(per_stretch) {
        let valued = || stretch.iter().enumerate().filter_map(|(at, point)| point.value.map(|value| (at, value)));
        let lowest = valued().min_by(|one, other| one.1.total_cmp(&other.1));
        let highest = valued().max_by(|one, other| one.1.total_cmp(&other.1));
        match (lowest, highest) {
            (Some((low, _)), Some((high, _))) if low == high => kept.push(stretch[low]),
            (Some((low, _)), Some((high, _))) => kept.extend([stretch[low.min(high)], stretch[low.max(high)]]),
            _ => kept.extend(stretch.first()),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn peaks_survive_and_nothing_is_invented(
            values in prop::collection::vec(prop::option::weighted(0.9, -1e6_f64..1e6), 0..3000),
            most in 2_usize..700,
        ) {
            let points: Vec<Point> =
                (0_u32..).zip(&values).map(|(at, value)| Point { at: f64::from(at), value: *value }).collect();
            let kept = thin(&points, most);
            prop_assert!(kept.len() <= points.len().min(most.max(2)));
            prop_assert!(kept.windows(2).all(|pair| pair[0].at < pair[1].at));
            prop_assert!(kept.iter().all(|point| points.contains(point)));
            let top = |points: &[Point]| points.iter().filter_map(|point| point.value).fold(f64::MIN, f64::max);
            let bottom = |points: &[Point]| points.iter().filter_map(|point| point.value).fold(f64::MAX, f64::min);
            prop_assert_eq!((top(&kept), bottom(&kept)), (top(&points), bottom(&points)));
        }
    }
}
