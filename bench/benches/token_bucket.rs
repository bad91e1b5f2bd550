//! Question: what does it cost to ask a shard's throttle whether one record may be written?
//!
//! Measured against: the same two buckets in floating point (tokens and seconds as `f64`), which is
//! how such a bucket is usually written, and which drifts. `one_shard` asks the same throttle again
//! and again; `4096_shards` asks in random order, as a batch over a whole stream does.

#![forbid(unsafe_code)]

use criterion::{Criterion, Throughput};
use model::ShardThrottle;
use model::limits::{Rate, ShardRates};
use std::hint::black_box;

const QUESTIONS: usize = 1 << 14;
/// 500 records of a call are asked about with one reading of the clock.
const CALL: usize = 500;
const CALL_NS: u64 = 200_000;
const RECORD_BYTES: u32 = 116;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion, "one_shard", 1);
    measure(&mut criterion, "4096_shards", 4096);
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, name: &str, shards: usize) {
    let order = order(shards);
    let mut group = criterion.benchmark_group(format!("token_bucket/{name}"));
    group.throughput(Throughput::Elements(QUESTIONS as u64));

    let mut throttles = vec![ShardThrottle::new(ShardRates::AWS, 0); shards];
    let mut start_ns = 0;
    group.bench_function("whole_numbers", |bencher| {
        bencher.iter(|| {
            ask(&order, &mut start_ns, |shard, now_ns| {
                throttles[shard].admit(now_ns, black_box(RECORD_BYTES))
            })
        });
    });

    let mut throttles = vec![FloatThrottle::new(ShardRates::AWS, 0); shards];
    let mut start_ns = 0;
    group.bench_function("floating_point", |bencher| {
        bencher.iter(|| {
            ask(&order, &mut start_ns, |shard, now_ns| {
                throttles[shard].admit(now_ns, black_box(RECORD_BYTES))
            })
        });
    });
    group.finish();
}

/// Asks once for every entry of `order`, call after call, and returns how many records may be
/// written.
fn ask(order: &[usize], start_ns: &mut u64, mut admit: impl FnMut(usize, u64) -> bool) -> usize {
    let mut admitted = 0;
    for call in order.chunks(CALL) {
        *start_ns += CALL_NS;
        admitted += call.iter().filter(|shard| admit(**shard, *start_ns)).count();
    }
    admitted
}

/// The alternative.
#[derive(Clone, Copy)]
struct FloatThrottle {
    records: FloatBucket,
    bytes: FloatBucket,
}

#[derive(Clone, Copy)]
struct FloatBucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    refilled_ns: u64,
}

impl FloatThrottle {
    fn new(rates: ShardRates, now_ns: u64) -> Self {
        let records = FloatBucket::new(rates.records, now_ns);
        Self { records, bytes: FloatBucket::new(rates.bytes, now_ns) }
    }

    fn admit(&mut self, now_ns: u64, record_bytes: u32) -> bool {
        self.records.refill(now_ns);
        self.bytes.refill(now_ns);
        let cost = f64::from(record_bytes);
        let admitted = self.records.tokens >= 1.0 && self.bytes.tokens >= cost;
        if admitted {
            self.records.tokens -= 1.0;
            self.bytes.tokens -= cost;
        }
        admitted
    }
}

impl FloatBucket {
    fn new(rate: Rate, now_ns: u64) -> Self {
        let (per_second, burst) = (f64::from(rate.per_second), f64::from(rate.burst));
        Self { per_second, burst, tokens: burst, refilled_ns: now_ns }
    }

    fn refill(&mut self, now_ns: u64) {
        let elapsed_s = now_ns.saturating_sub(self.refilled_ns) as f64 / 1e9;
        self.tokens = (self.tokens + elapsed_s * self.per_second).min(self.burst);
        self.refilled_ns = now_ns;
    }
}

/// A shard for each question, in an order that the CPU cannot foresee: splitmix64.
fn order(shards: usize) -> Vec<usize> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        usize::try_from((z ^ (z >> 27)) >> 33).expect("31 bits") % shards
    };
    (0..QUESTIONS).map(|_| next()).collect()
}
