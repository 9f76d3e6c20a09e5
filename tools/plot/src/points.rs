//! Operations on the points of a curve: smoothing, thinning, clipping.

/// `(x, y)`; a y that is not finite is a gap.
pub type Point = (f64, f64);

/// The exponential moving average with `weight` on the past, without bias towards zero at the start (the correction
/// of Kingma and Ba, 2015, as TensorBoard smooths). Gaps stay gaps, and do not enter.
pub fn smoothed(points: &[Point], weight: f64) -> Vec<Point> {
    let (mut average, mut past) = (0.0, 1.0);
    let smooth = |&(x, y): &Point| {
        if !y.is_finite() {
            return (x, f64::NAN);
        }
        average = weight * average + (1.0 - weight) * y;
        past *= weight;
        (x, average / (1.0 - past))
    };
    points.iter().map(smooth).collect()
}

/// The mean distance of neighbours along x; `None` unless there are two different x.
pub fn spacing(points: &[Point]) -> Option<f64> {
    let (first, last) = (points.first()?.0, points.last()?.0);
    (last > first).then(|| (last - first) / (points.len() - 1) as f64)
}

/// Thins points to the first, minimum, maximum and last of each column of `width` pixels.
/// A line through what is left covers the same pixels. Points are in order of x.
pub fn decimated(points: &[Point], width: f64) -> Vec<Point> {
    let mut out = Vec::new();
    let same_column = |a: &Point, b: &Point| (a.0 / width).floor() == (b.0 / width).floor() && gap(a) == gap(b);
    for column in points.chunk_by(same_column) {
        if column.len() <= 4 {
            out.extend_from_slice(column);
            continue;
        }
        if gap(&column[0]) {
            out.push(column[0]);
            continue;
        }
        let by_y = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
        let extremes = [(0..column.len()).min_by(by_y), (0..column.len()).max_by(by_y)];
        let mut kept: Vec<usize> = extremes.into_iter().flatten().chain([0, column.len() - 1]).collect();
        kept.sort_unstable();
        kept.dedup();
        out.extend(kept.into_iter().map(|i| column[i]));
    }
    out
}

/// Clips a line to y within `[low, high]`; a gap follows where it leaves the range.
pub fn clipped(points: &[Point], low: f64, high: f64) -> Vec<Point> {
    let inside = |point: &Point| point.1 >= low && point.1 <= high;
    let mut out = Vec::new();
    let mut before: Option<Point> = None;
    for &point in points {
        if gap(&point) {
            out.push(point);
            before = None;
            continue;
        }
        if let Some(from) = before {
            // Where the line from the point before crosses a limit, in order.
            let at = |limit: f64| (limit - from.1) / (point.1 - from.1);
            let mut crossings: Vec<(f64, f64)> =
                [low, high].map(|limit| (at(limit), limit)).into_iter().filter(|(t, _)| *t > 0.0 && *t < 1.0).collect();
            crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
            out.extend(crossings.iter().map(|(t, limit)| (from.0 + (point.0 - from.0) * t, *limit)));
            if !crossings.is_empty() && !inside(&point) {
                out.push((point.0, f64::NAN));
            }
        }
        if inside(&point) {
            out.push(point);
        } else if before.is_some_and(|from| inside(&from)) {
            out.push((point.0, f64::NAN));
        }
        before = Some(point);
    }
    out
}

fn gap(point: &Point) -> bool {
    !point.1.is_finite()
}

/// The runs of points between gaps.
pub fn stretches(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    points.split(gap).filter(|stretch| !stretch.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_what_it_is_when_smoothed() {
        let points: Vec<Point> = (0..10).map(|i| (f64::from(i), 3.0)).collect();
        assert!(smoothed(&points, 0.9).iter().all(|point| (point.1 - 3.0).abs() < 1e-12));
    }

    #[test]
    fn the_average_is_that_of_the_formula() {
        let smooth = smoothed(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 2.0)], 0.5);
        assert_eq!(smooth[0], (0.0, 1.0));
        assert!(smooth[1].1.is_nan());
        // (0.5 * 0.5 * 1 + 0.5 * 2) / (1 - 0.25)
        assert!((smooth[2].1 - 5.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn spacing_is_the_mean_distance() {
        assert_eq!(spacing(&[(0.0, 1.0), (1.0, f64::NAN), (6.0, 2.0)]), Some(3.0));
        assert_eq!((spacing(&[]), spacing(&[(1.0, 1.0)]), spacing(&[(1.0, 1.0), (1.0, 2.0)])), (None, None, None));
    }

    #[test]
    fn thinning_keeps_the_extremes_and_ends_of_each_column() {
        let wave = |i: i32| (f64::from(i) / 100.0, f64::from((i * 37) % 101));
        let points: Vec<Point> = (0..1000).map(wave).collect();
        let thin = decimated(&points, 1.0);
        assert!(thin.len() <= 40);
        for column in 0..10 {
            let of = |points: &[Point]| -> Vec<f64> {
                points.iter().filter(|p| p.0.floor() == f64::from(column)).map(|p| p.1).collect()
            };
            let (all, kept) = (of(&points), of(&thin));
            let max = |ys: &[f64]| ys.iter().copied().fold(f64::MIN, f64::max);
            let min = |ys: &[f64]| ys.iter().copied().fold(f64::MAX, f64::min);
            assert_eq!((max(&all), min(&all)), (max(&kept), min(&kept)));
            assert_eq!((all.first(), all.last()), (kept.first(), kept.last()));
        }
    }

    #[test]
    fn a_line_ends_where_it_leaves_the_limits() {
        let clip = |ys: &[f64]| {
            let points: Vec<Point> = ys.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect();
            stretches(&clipped(&points, 0.0, 1.0)).map(<[Point]>::to_vec).collect::<Vec<_>>()
        };
        assert_eq!(clip(&[0.5, 0.0, 1.0]), [[(0.0, 0.5), (1.0, 0.0), (2.0, 1.0)]]);
        assert_eq!(clip(&[0.5, 1.5, 0.5]), [[(0.0, 0.5), (0.5, 1.0)], [(1.5, 1.0), (2.0, 0.5)]]);
        assert_eq!(clip(&[-1.0, 3.0]), [[(0.25, 0.0), (0.5, 1.0)]]);
        assert_eq!(clip(&[1.0, 2.0, 3.0, 1.0]), [vec![(0.0, 1.0)], vec![(3.0, 1.0)]]);
        assert_eq!(clip(&[0.5, f64::NAN, 0.5]).len(), 2);
        assert!(clip(&[2.0, 3.0]).is_empty() && clip(&[]).is_empty());
    }

    #[test]
    fn gaps_outlive_thinning() {
        let mut points: Vec<Point> = (0..100).map(|i| (0.0, f64::from(i))).collect();
        points[50].1 = f64::NAN;
        assert_eq!(stretches(&decimated(&points, 1.0)).count(), 2);
    }
}
