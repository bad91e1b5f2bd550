//! A row of bars, one character each: how much of their limit the shards used.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// As wide as a terminal of 80 columns has room beside the label.
pub const CELLS_MAX: usize = 64;

/// Bars of shares from 0 to 1; more than that is a full bar. Of more than [`CELLS_MAX`] shares each
/// cell shows the highest that it covers, so that one hot shard of thousands stays visible.
#[must_use]
pub fn sparkline(shares: &[f64]) -> String {
    let cells = shares.len().min(CELLS_MAX);
    let highest = |cell: usize| {
        let (start, end) = (cell * shares.len() / cells, (cell + 1) * shares.len() / cells);
        shares[start..end].iter().copied().fold(0.0, f64::max)
    };
    (0..cells).map(highest).map(bar).collect()
}

fn bar(share: f64) -> char {
    // The lowest bar is what is next to nothing, the highest the limit and above.
    let step = (share.clamp(0.0, 1.0) * (BARS.len() - 1) as f64).round();
    BARS[step as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_with_the_share() {
        assert_eq!(sparkline(&[0.0, 0.5, 1.0, 3.0]), "▁▅██");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&[f64::NAN]), "▁");
    }

    #[test]
    fn the_hottest_of_many_is_seen() {
        let mut shares = vec![0.02; 4_096];
        shares[4_095] = 1.0;
        shares[64] = 0.6;
        let line: Vec<char> = sparkline(&shares).chars().collect();
        assert_eq!(line.len(), CELLS_MAX);
        assert_eq!((line[0], line[1], line[2], line[63]), ('▁', '▅', '▁', '█'));
        assert_eq!(sparkline(&[0.0; 100]).chars().count(), CELLS_MAX);
    }
}
