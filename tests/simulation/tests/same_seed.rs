//! A seed is its whole history: a witness that could not be repeated would be none.
#![forbid(unsafe_code)]

use simulation::seed::play;

#[test]
fn the_same_seed_gives_the_same_decisions_and_the_same_bytes() {
    let mut fingerprints = Vec::new();
    for seed in 0..12 {
        let (first, second) = (play(seed, false), play(seed, false));
        assert_eq!(first.fingerprint(), second.fingerprint(), "seed {seed}");
        assert_eq!(first.coverage, second.coverage, "seed {seed}");
        assert_eq!(first.violation, second.violation, "seed {seed}");
        fingerprints.push(first.fingerprint());
    }
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 12, "another seed is another history");
}
