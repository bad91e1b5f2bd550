//! MD5 of one key and of many keys at once: where a partition key falls among the shards.
//!
//! MD5 is a chain of 64 dependent steps, so one key cannot be hashed faster by wider registers, but
//! sixteen (AVX-512F) or eight (AVX2) keys can be hashed side by side, one per 32-bit lane:
//!
//! ```text
//!              lane 0   lane 1   lane 2  ...        A key of at most 55 bytes fits one block
//!     row  0   key[0]   key[0]   key[0]             with its padding: those go into lanes.
//!     ...       ...      ...      ...               Longer ones (rare, at most 1,024 bytes)
//!     row 14   bits     bits     bits               are hashed one by one, where they stand,
//!     row 15   0        0        0                  by the `md-5` crate, the reference.
//! ```
//!
//! Nothing is allocated: a group of lanes lives on the stack, keys are read where they lie.
//! This crate never decides what a hash means; `model::HashKey` does.

#![deny(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lanes;

use lanes::{ONE_BLOCK_BYTES_MAX, State, Words};
use md5::{Digest, Md5};

/// Where one key lies in an arena. Its end is `start + bytes`, both counted in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte of the key.
    pub start: u32,
    /// Bytes of the key; 0 is a legal key for MD5.
    pub bytes: u32,
}

impl Span {
    /// The key's bytes. Panics where the span does not lie within the arena: the caller made both.
    #[must_use]
    pub fn of(self, arena: &[u8]) -> &[u8] {
        let start = usize::try_from(self.start).expect("usize has at least 32 bits here");
        let bytes = usize::try_from(self.bytes).expect("usize has at least 32 bits here");
        assert!(start <= arena.len(), "a span starts within its arena");
        assert!(bytes <= arena.len() - start, "a span ends within its arena");
        &arena[start..start + bytes]
    }
}

/// How many keys are hashed side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One by one with the `md-5` crate: any CPU, and the reference of the other two.
    Portable,
    /// Eight lanes of 32 bits.
    Avx2,
    /// Sixteen lanes of 32 bits, with one instruction for any function of three operands.
    Avx512,
}

impl Width {
    /// Every width there is, narrowest first; this CPU need not have it.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Whether this CPU has the instructions. The standard library asks the CPU once and keeps the
    /// answer, so that this costs one relaxed load.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Kernel::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Kernel::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The widest that this CPU has.
    #[must_use]
    pub fn widest() -> Self {
        let mut widest = Self::Portable;
        for width in Self::ALL {
            if width.is_available() {
                widest = width;
            }
        }
        widest
    }
}

/// MD5 of one key.
#[must_use]
pub fn md5(key: &[u8]) -> [u8; 16] {
    Md5::digest(key).into()
}

/// MD5 of many keys with the widest instructions of this CPU. `out[i]` becomes the digest of
/// `spans[i]` read as a big-endian number, which is what Kinesis calls the hash key.
///
/// Panics where a span lies outside of the arena, or `out` and `spans` differ in length.
pub fn md5_spans(arena: &[u8], spans: &[Span], out: &mut [u128]) {
    md5_spans_with(Width::widest(), arena, spans, out);
}

/// [`md5_spans`] with a width of the caller's choice, for tests and benchmarks.
///
/// Panics also where this CPU lacks the width: ask [`Width::is_available`].
pub fn md5_spans_with(width: Width, arena: &[u8], spans: &[Span], out: &mut [u128]) {
    assert!(spans.len() == out.len(), "one digest for each span");
    match width {
        Width::Portable => {
            for (span, hash) in spans.iter().zip(out) {
                *hash = md5_number(span.of(arena));
            }
        }
        #[cfg(target_arch = "x86_64")]
        Width::Avx2 => {
            let kernel = avx2::Kernel::detect().expect("the caller asked whether AVX2 is here");
            in_lanes(arena, spans, out, |words| kernel.digest(words));
        }
        #[cfg(target_arch = "x86_64")]
        Width::Avx512 => {
            let kernel =
                avx512::Kernel::detect().expect("the caller asked whether AVX-512 is here");
            in_lanes(arena, spans, out, |words| kernel.digest(words));
        }
        #[cfg(not(target_arch = "x86_64"))]
        Width::Avx2 | Width::Avx512 => panic!("the caller asked whether this CPU has {width:?}"),
    }
}

fn md5_number(key: &[u8]) -> u128 {
    u128::from_be_bytes(md5(key))
}

/// Collects the keys of one block into groups of `LANES`, whatever stands between them, and hashes
/// each group as soon as it is full.
fn in_lanes<const LANES: usize>(
    arena: &[u8],
    spans: &[Span],
    out: &mut [u128],
    digest: impl Fn(&Words<LANES>) -> State<LANES>,
) {
    let mut words = Words::<LANES>::new();
    let mut places = [0_usize; LANES];
    let mut filled = 0;
    for (place, span) in spans.iter().enumerate() {
        let key = span.of(arena);
        if key.len() > ONE_BLOCK_BYTES_MAX {
            out[place] = md5_number(key);
            continue;
        }
        words.put(filled, key);
        places[filled] = place;
        filled += 1;
        if filled == LANES {
            scatter(&digest(&words), &places, out);
            words.clear();
            filled = 0;
        }
    }
    match filled {
        0 => {}
        // The chain is as long for one lane as for all: alone, a key gains nothing from lanes.
        1 => out[places[0]] = md5_number(spans[places[0]].of(arena)),
        _ => scatter(&digest(&words), &places[..filled], out),
    }
}

/// Writes the lanes that were filled to their places.
fn scatter<const LANES: usize>(state: &State<LANES>, places: &[usize], out: &mut [u128]) {
    assert!(places.len() <= LANES);
    for (lane, place) in places.iter().enumerate() {
        // MD5 prints its four words little-endian; Kinesis reads those 16 bytes big-endian.
        let [a, b, c, d] =
            [0, 1, 2, 3].map(|word: usize| u128::from(state[word][lane].swap_bytes()));
        out[*place] = a << 96 | b << 64 | c << 32 | d;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinesis keys have at most 256 characters of at most 4 bytes.
    const KEY_BYTES_MAX: usize = 1024;

    /// splitmix64: a run is a function of its seed.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        fn below(&mut self, bound: usize) -> usize {
            usize::try_from(self.next() % bound as u64).unwrap()
        }

        fn bytes(&mut self, bytes: usize) -> Vec<u8> {
            (0..bytes).map(|_| self.next().to_le_bytes()[0]).collect()
        }
    }

    fn available() -> Vec<Width> {
        Width::ALL.into_iter().filter(|width| width.is_available()).collect()
    }

    /// Every available width gives what the `md-5` crate gives for keys of these lengths.
    fn check(random: &mut Random, lengths: &[usize]) {
        // A few stray bytes between the keys: a lane that reads past its key would show.
        let mut arena = random.bytes(3);
        let mut spans = Vec::new();
        for &bytes in lengths {
            let start = u32::try_from(arena.len()).unwrap();
            spans.push(Span { start, bytes: u32::try_from(bytes).unwrap() });
            arena.extend(random.bytes(bytes + 5));
        }
        let expected: Vec<u128> = spans.iter().map(|span| md5_number(span.of(&arena))).collect();
        for width in available() {
            let mut out = vec![u128::MAX; spans.len()];
            md5_spans_with(width, &arena, &spans, &mut out);
            assert_eq!(out, expected, "{width:?}, lengths {lengths:?}");
        }
        let mut out = vec![u128::MAX; spans.len()];
        md5_spans(&arena, &spans, &mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn rfc_1321_test_suite() {
        let suite: [(&[u8], u128); 7] = [
            (b"", 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e),
            (b"a", 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661),
            (b"abc", 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72),
            (b"message digest", 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0),
            (b"abcdefghijklmnopqrstuvwxyz", 0xc3fc_d3d7_6192_e400_7dfb_496c_ca67_e13b),
            (
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                0xd174_ab98_d277_d9f5_a561_1c2c_9f41_9d9f,
            ),
            (
                b"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                0x57ed_f4a2_2be3_c955_ac49_da2e_2107_b67a,
            ),
        ];
        let arena: Vec<u8> = suite.iter().flat_map(|(key, _)| key.iter().copied()).collect();
        let mut spans = Vec::new();
        let mut start = 0;
        for (key, expected) in suite {
            assert_eq!(md5(key), expected.to_be_bytes());
            let bytes = u32::try_from(key.len()).unwrap();
            spans.push(Span { start, bytes });
            start += bytes;
        }
        for width in available() {
            let mut out = [0; 7];
            md5_spans_with(width, &arena, &spans, &mut out);
            assert_eq!(out, suite.map(|(_, expected)| expected), "{width:?}");
        }
    }

    #[test]
    fn every_length_alone_and_in_a_group_of_its_own() {
        let mut random = Random(1);
        for bytes in 0..=KEY_BYTES_MAX {
            check(&mut random, &[bytes]);
            check(&mut random, &[bytes; 17]);
        }
    }

    #[test]
    fn every_batch_size_with_short_long_and_mixed_keys() {
        let mut random = Random(2);
        for count in 0..=40 {
            for _ in 0..25 {
                let short = |random: &mut Random| random.below(ONE_BLOCK_BYTES_MAX + 1);
                let lengths: Vec<usize> = (0..count).map(|_| short(&mut random)).collect();
                check(&mut random, &lengths);
                let lengths: Vec<usize> =
                    (0..count).map(|_| random.below(KEY_BYTES_MAX + 1)).collect();
                check(&mut random, &lengths);
                // One key in four is long: groups are interrupted at every lane.
                let mixed = |random: &mut Random| match random.below(4) {
                    0 => ONE_BLOCK_BYTES_MAX + random.below(66),
                    _ => short(random),
                };
                let lengths: Vec<usize> = (0..count).map(|_| mixed(&mut random)).collect();
                check(&mut random, &lengths);
            }
        }
    }

    #[test]
    fn the_widest_is_available() {
        assert!(Width::widest().is_available());
        assert!(Width::Portable.is_available());
        if Width::Avx512.is_available() {
            assert_eq!(Width::widest(), Width::Avx512);
            // What tests the narrower lanes on the wider machine.
            assert!(available().contains(&Width::Avx2));
        }
    }

    #[test]
    #[should_panic(expected = "a span ends within its arena")]
    fn a_span_past_the_arena_is_a_bug() {
        md5_spans(b"abc", &[Span { start: 2, bytes: 2 }], &mut [0]);
    }

    #[test]
    #[should_panic(expected = "one digest for each span")]
    fn a_missing_place_is_a_bug() {
        md5_spans(b"abc", &[Span { start: 0, bytes: 3 }], &mut []);
    }
}
