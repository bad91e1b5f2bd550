//! How much a child writes, and in what portions: a function of the run's seed and the life.

use crate::record::mix;
use fastrand::Rng;

/// The batches of one producer in one life.
#[derive(Debug)]
pub struct Workload {
    rng: Rng,
    /// This life's taste: a kill in the middle of large batches meets other states than one
    /// between single records.
    batch_records_max: u64,
}

impl Workload {
    /// The producer's first batch is next.
    #[must_use]
    pub fn new(run: u64, life: u32, producer: u32) -> Workload {
        let mut taste = Rng::with_seed(mix(run ^ mix(u64::from(life))));
        let batch_records_max = [1, 8, 64, 500][taste.usize(0..4)];
        let rng = Rng::with_seed(mix(taste.u64(..) ^ u64::from(producer)));
        Workload { rng, batch_records_max }
    }

    /// Records in the next batch.
    pub fn next_batch_records(&mut self) -> u64 {
        self.rng.u64(1..=self.batch_records_max)
    }
}

/// Records that a life writes at most, all producers together; then it stays idle until it is
/// killed. A small bound makes the kill fall on an idle engine, and every bound keeps listings,
/// which hold all lives of a folder, short.
#[must_use]
pub fn life_records_max(run: u64, life: u32) -> u64 {
    let mut rng = Rng::with_seed(mix(run ^ u64::from(life)));
    match rng.u8(0..4) {
        0 => rng.u64(1..400),
        _ => rng.u64(2_000..20_000),
    }
}
