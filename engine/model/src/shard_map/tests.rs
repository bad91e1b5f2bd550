//! Routing against a plain search, reshards against the tiling rule, and damaged maps.

use super::*;
use crate::random::Random;

const NOW_S: u64 = 1_700_000_000;

fn index(index: u32) -> ShardIndex {
    ShardIndex::new(index)
}

/// The shard of a key, the plain way.
fn scan(map: &ShardMap, key: HashKey) -> ShardIndex {
    let mut holders = map.shards().iter().filter(|s| s.is_open() && s.range.contains(key));
    let holder = holders.next().expect("every key has a shard");
    assert!(holders.next().is_none(), "a key has one shard");
    holder.index
}

/// Random keys, and the edges of every open range.
fn check_routing(map: &ShardMap, random: &mut Random) {
    for shard in map.open() {
        let range = map.get(*shard).unwrap().range;
        assert_eq!(map.locate(range.start()), *shard);
        assert_eq!(map.locate(range.end()), *shard);
    }
    for _ in 0..50 {
        let key = HashKey(random.u128());
        assert_eq!(map.locate(key), scan(map, key));
    }
    let mut starts = map.open().iter().map(|shard| map.get(*shard).unwrap().range.start());
    assert!(starts.next() == Some(HashKey::MIN) && starts.is_sorted());
}

#[test]
fn uniform_maps_start_where_aws_says() {
    let check = |count: u32, shard: u32, start: &str, end: &str| {
        let map = ShardMap::uniform(count, NOW_S);
        let range = map.get(index(shard)).unwrap().range;
        assert_eq!(range.start().to_string(), start, "{count}");
        assert_eq!(range.end().to_string(), end, "{count}");
    };
    check(1, 0, "0", "340282366920938463463374607431768211455");
    check(2, 0, "0", "170141183460469231731687303715884105727");
    check(2, 1, "170141183460469231731687303715884105728", &u128::MAX.to_string());
    // The examples of AWS's guides for three shards.
    check(3, 0, "0", "113427455640312821154458202477256070484");
    check(
        3,
        1,
        "113427455640312821154458202477256070485",
        "226854911280625642308916404954512140969",
    );
    check(3, 2, "226854911280625642308916404954512140970", &u128::MAX.to_string());
}

#[test]
fn uniform_maps_of_many_sizes_route_as_a_plain_search() {
    let mut random = Random::new(1);
    for count in (1..=70).chain([127, 128, 129, 1000, 4096, 10_000]) {
        let map = ShardMap::uniform(count, NOW_S);
        assert_eq!(map.open().len(), usize::try_from(count).unwrap());
        check_routing(&map, &mut random);
    }
}

#[test]
fn a_split_closes_the_parent_and_numbers_rise_across_it() {
    let mut map = ShardMap::uniform(2, NOW_S);
    let new_start = HashKey(1 << 126);
    let children = map.split(index(0), new_start, NOW_S + 60).unwrap();
    assert_eq!(children, [index(2), index(3)]);
    assert_eq!(map.open(), [index(2), index(3), index(1)]);
    let parent = *map.get(index(0)).unwrap();
    assert!(!parent.is_open());
    assert_eq!(map.children(index(0)).map(|s| s.index).collect::<Vec<_>>(), children);
    assert_eq!(map.children(index(1)).count(), 0);
    assert_eq!(map.children(index(9)).count(), 0);
    let low = map.get(index(2)).unwrap();
    assert_eq!(low.parents, Parents::Split(index(0)));
    assert_eq!(low.range.end(), HashKey(new_start.0 - 1));
    assert_eq!(map.locate(new_start), index(3));
    let end = parent.ending_sequence_number().unwrap();
    assert!(end.to_digits() < low.starting_sequence_number().to_digits());
    assert_eq!(low.ending_sequence_number(), None);
}

#[test]
fn a_merge_has_both_parents() {
    let mut map = ShardMap::uniform(4, NOW_S);
    let child = map.merge([index(1), index(2)], NOW_S + 60).unwrap();
    assert_eq!(child, index(4));
    assert_eq!(map.open(), [index(0), index(4), index(3)]);
    let parents = map.get(child).unwrap().parents;
    assert_eq!(parents, Parents::Merge { parent: index(1), adjacent: index(2) });
    for parent in [1, 2] {
        assert_eq!(map.children(index(parent)).map(|s| s.index).collect::<Vec<_>>(), [child]);
    }
}

#[test]
fn what_cannot_be_resharded_leaves_the_map_as_it_was() {
    let mut map = ShardMap::uniform(4, NOW_S);
    map.split(index(0), HashKey(5), NOW_S).unwrap();
    let before = map.clone();
    let range = map.get(index(1)).unwrap().range;
    let mut check_split = |shard: u32, new_start: u128, expected: ReshardError| {
        assert_eq!(map.split(index(shard), HashKey(new_start), NOW_S), Err(expected));
        assert_eq!(map, before);
    };
    check_split(9, 5, ReshardError::Unknown(index(9)));
    check_split(0, 3, ReshardError::Closed(index(0)));
    for new_start in [0, range.start().0, range.start().0 + 1, range.end().0, u128::MAX] {
        let (shard, new_start) = (index(1), HashKey(new_start));
        check_split(1, new_start.0, ReshardError::StartOutOfRange { shard, new_start, range });
    }
    let mut check_merge = |pair: [u32; 2], expected: ReshardError| {
        assert_eq!(map.merge(pair.map(index), NOW_S), Err(expected));
        assert_eq!(map, before);
    };
    check_merge([1, 9], ReshardError::Unknown(index(9)));
    check_merge([0, 1], ReshardError::Closed(index(0)));
    for pair in [[2, 1], [1, 3], [1, 1], [3, 4]] {
        check_merge(pair, ReshardError::NotAdjacent(pair.map(index)));
    }
}

#[test]
fn a_clock_that_jumps_back_does_not_lower_sequence_numbers() {
    let mut map = ShardMap::uniform(1, NOW_S);
    let [low, high] = map.split(index(0), HashKey(1 << 127), 5).unwrap();
    let child = map.merge([low, high], 0).unwrap();
    let created_s = [index(0), low, child].map(|shard| map.get(shard).unwrap().created_s);
    assert_eq!(created_s, [NOW_S, NOW_S + 1, NOW_S + 2]);
}

/// Random splits, merges and removals: after each the map routes as a plain search and can be built
/// from its shards.
#[test]
fn reshards_keep_the_space_tiled() {
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let count = 1 + u32::try_from(random.below(20)).unwrap();
        let mut map = ShardMap::uniform(count, NOW_S);
        for step in 0..60 {
            let now_s = NOW_S + step;
            let place = usize::try_from(random.below(map.open().len() as u64)).unwrap();
            let shard = map.open()[place];
            let next_index = map.shards().last().unwrap().index.get() + 1;
            match random.below(5) {
                0 | 1 => {
                    let range = map.get(shard).unwrap().range;
                    let width = range.end().0 - range.start().0;
                    let new_start = HashKey(range.start().0 + random.u128() % width.max(1));
                    let split = map.split(shard, new_start, now_s);
                    assert_eq!(split.is_ok(), range.split(new_start).is_some());
                    assert!(split.is_err() || split == Ok([next_index, next_index + 1].map(index)));
                }
                2 | 3 => {
                    let Some(next) = map.open().get(place + 1).copied() else { continue };
                    assert_eq!(map.merge([shard, next], now_s), Ok(index(next_index)));
                }
                _ => {
                    let oldest = map.shards().iter().find(|shard| !shard.is_open());
                    let Some(oldest) = oldest.map(|shard| shard.index) else { continue };
                    map.remove(oldest);
                    assert!(map.get(oldest).is_none());
                    assert_eq!(map.children(oldest).count(), 0);
                }
            }
            check_routing(&map, &mut random);
            assert_eq!(ShardMap::from_shards(map.shards().to_vec()).as_ref(), Ok(&map));
        }
    }
}

#[test]
fn damaged_maps_are_refused() {
    let mut map = ShardMap::uniform(3, NOW_S);
    map.split(index(0), HashKey(1 << 100), NOW_S).unwrap();
    map.merge([index(4), index(1)], NOW_S).unwrap();
    let shards = map.shards().to_vec();
    let check = |damage: &dyn Fn(&mut Vec<Shard>), expected: ShardMapError| {
        let mut damaged = shards.clone();
        damage(&mut damaged);
        assert_eq!(ShardMap::from_shards(damaged), Err(expected));
    };
    check(&|shards| shards.clear(), ShardMapError::NotTiled(HashKey::MIN));
    check(&|shards| shards.swap(1, 2), ShardMapError::NotAscending(index(1)));
    check(&|shards| shards[1].index = index(0), ShardMapError::NotAscending(index(0)));
    // An open shard is missing, or open beside its children.
    check(
        &|shards| {
            shards.remove(3);
        },
        ShardMapError::NotTiled(HashKey::MIN),
    );
    check(&|shards| shards[0].state = ShardState::Open, ShardMapError::NotTiled(HashKey::MIN));
    let end = map.get(index(2)).unwrap().range.end();
    check(
        &|shards| {
            let start = shards[2].range.start();
            shards[2].range = HashKeyRange::new(start, HashKey(end.0 - 1)).unwrap();
        },
        ShardMapError::NotTiled(HashKey(end.0 - 1)),
    );
    // Families that contradict each other.
    check(&|shards| shards[3].parents = Parents::None, ShardMapError::WrongFamily(index(0)));
    check(
        &|shards| shards[2].parents = Parents::Split(index(1)),
        ShardMapError::WrongFamily(index(2)),
    );
    check(&|shards| shards[3].created_s = NOW_S, ShardMapError::WrongFamily(index(0)));
    check(
        &|shards| shards[1].state = ShardState::Merged { at_s: NOW_S, child: index(99) },
        ShardMapError::WrongFamily(index(1)),
    );
}

#[test]
#[should_panic(expected = "an open shard takes records")]
fn an_open_shard_is_not_removed() {
    ShardMap::uniform(1, NOW_S).remove(index(0));
}

#[test]
#[should_panic(expected = "readers of a parent must find its children")]
fn a_child_is_not_removed_before_its_parent() {
    let mut map = ShardMap::uniform(1, NOW_S);
    let [low, _] = map.split(index(0), HashKey(1 << 127), NOW_S).unwrap();
    map.split(low, HashKey(1 << 126), NOW_S).unwrap();
    map.remove(low);
}

#[test]
#[should_panic(expected = "a stream has at least one shard")]
fn no_shard_is_no_stream() {
    let _map = ShardMap::uniform(0, NOW_S);
}
