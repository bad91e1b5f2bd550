//! How uneven the shards' loads are.

/// The figures of `skew`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skew {
    /// The highest load over the mean: 1 is even.
    pub max_over_mean: f64,
    /// Gini's coefficient: 0 is even, near 1 is everything on one shard.
    pub gini: f64,
    /// The place of the highest load.
    pub hottest: usize,
}

/// The skew of loads; `None` where there is no load.
#[must_use]
pub fn skew(loads: &[u64]) -> Option<Skew> {
    let total: u128 = loads.iter().map(|load| u128::from(*load)).sum();
    if total == 0 {
        return None;
    }
    let hottest = (0..loads.len()).max_by_key(|place| (loads[*place], usize::MAX - place))?;
    let mean = total as f64 / loads.len() as f64;
    let mut sorted = loads.to_vec();
    sorted.sort_unstable();
    let count = loads.len() as f64;
    let ranked = |(place, load): (usize, &u64)| (place as f64 + 1.0) * *load as f64;
    let weighted: f64 = sorted.iter().enumerate().map(ranked).sum();
    let gini = 2.0 * weighted / (count * total as f64) - (count + 1.0) / count;
    Some(Skew { max_over_mean: loads[hottest] as f64 / mean, gini: gini.max(0.0), hottest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_skews() {
        let check = |loads: &[u64], expected: (f64, f64, usize)| {
            let found = skew(loads).unwrap();
            assert!((found.max_over_mean - expected.0).abs() < 1e-9, "{loads:?}: {found:?}");
            assert!((found.gini - expected.1).abs() < 1e-9, "{loads:?}: {found:?}");
            assert_eq!(found.hottest, expected.2);
        };
        check(&[5, 5, 5, 5], (1.0, 0.0, 0));
        check(&[0, 0, 0, 8], (4.0, 0.75, 3));
        check(&[1, 3], (1.5, 0.25, 1));
        check(&[7], (1.0, 0.0, 0));
        assert_eq!(skew(&[0, 0]), None);
        assert_eq!(skew(&[]), None);
    }
}
