//! Question: what does it cost to find the shard of a hash key, with 1, 1,000 and 10,000 shards?
//!
//! Measured against: a plain binary search over the same shards' ends, one flat array. `uniform` is
//! a stream as it was created, `resharded` the same after its lowest tenth of shards was split:
//! there the guess of `ShardMap::locate` is wrong for most keys, and a search follows.

#![forbid(unsafe_code)]

use criterion::{Criterion, Throughput};
use model::{HashKey, ShardIndex, ShardMap};
use std::hint::black_box;

/// Enough that the branches of a search cannot be learned by heart.
const KEYS: usize = 1 << 14;
const CREATED_S: u64 = 1_700_000_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let keys = keys();
    for shards in [1, 1000, 10_000] {
        let uniform = ShardMap::uniform(shards, CREATED_S);
        measure(&mut criterion, &format!("uniform/{shards}"), &uniform, &keys);
        measure(&mut criterion, &format!("resharded/{shards}"), &resharded(uniform), &keys);
    }
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, name: &str, map: &ShardMap, keys: &[HashKey]) {
    let plain = Plain::new(map);
    for key in keys {
        assert!(map.locate(*key) == plain.locate(*key));
    }
    let mut group = criterion.benchmark_group(format!("shard_lookup/{name}"));
    group.throughput(Throughput::Elements(keys.len() as u64));
    group.bench_function("shard_map", |bencher| {
        bencher.iter(|| {
            black_box(keys).iter().map(|key| u64::from(map.locate(*key).get())).sum::<u64>()
        });
    });
    group.bench_function("plain_binary_search", |bencher| {
        bencher.iter(|| {
            black_box(keys).iter().map(|key| u64::from(plain.locate(*key).get())).sum::<u64>()
        });
    });
    group.finish();
}

/// The alternative: the ends of the open ranges, ascending, and whose they are.
struct Plain {
    ends: Vec<HashKey>,
    indices: Vec<ShardIndex>,
}

impl Plain {
    fn new(map: &ShardMap) -> Self {
        let end = |shard: &ShardIndex| map.get(*shard).expect("an open shard").range.end();
        Self { ends: map.open().iter().map(end).collect(), indices: map.open().to_vec() }
    }

    fn locate(&self, key: HashKey) -> ShardIndex {
        match self.ends.binary_search(&key) {
            Ok(place) | Err(place) => self.indices[place],
        }
    }
}

fn resharded(mut map: ShardMap) -> ShardMap {
    let tenth = map.open().len().div_ceil(10);
    let open = map.open()[..tenth].to_vec();
    for shard in open {
        let range = map.get(shard).expect("an open shard").range;
        let middle = HashKey(range.start().0 + (range.end().0 - range.start().0) / 2);
        map.split(shard, middle, CREATED_S + 1).expect("a wide range can be split");
    }
    map
}

/// MD5 of numbers: as even as the keys of a stream.
fn keys() -> Vec<HashKey> {
    (0..KEYS).map(|key| HashKey::from_partition_key(&key.to_le_bytes())).collect()
}
