//! MD5 over lanes: the padded blocks of several keys, transposed, and the 64 steps as a macro.
//!
//! RFC 1321's steps stand here once; `avx2` and `avx512` bring the operations on their registers.
//! This file never reads a CPU's features.

/// The longest key whose padding (one byte 0x80 and eight of length) fits the same 64-byte block.
pub(crate) const ONE_BLOCK_BYTES_MAX: usize = 64 - 9;

/// Row of a block that holds the low half of its length in bits. The high half, row 15, stays zero:
/// a key has fewer than 2^32 bits.
const LENGTH_ROW: usize = 14;

const _: () = assert!(ONE_BLOCK_BYTES_MAX / 4 < LENGTH_ROW);

/// The four words of MD5's state for each lane.
pub(crate) type State<const LANES: usize> = [[u32; LANES]; 4];

/// One padded block for each lane, transposed: row `i` holds the `i`th little-endian word of all
/// blocks. Lanes that were not filled are zero and give a digest that nobody reads.
#[repr(align(64))]
pub(crate) struct Words<const LANES: usize> {
    pub(crate) rows: [[u32; LANES]; 16],
}

impl<const LANES: usize> Words<LANES> {
    pub(crate) fn new() -> Self {
        Self { rows: [[0; LANES]; 16] }
    }

    pub(crate) fn clear(&mut self) {
        self.rows = [[0; LANES]; 16];
    }

    /// Writes a key and its padding into a lane that is zero.
    pub(crate) fn put(&mut self, lane: usize, key: &[u8]) {
        assert!(lane < LANES);
        assert!(key.len() <= ONE_BLOCK_BYTES_MAX);
        let (quads, rest) = key.as_chunks::<4>();
        for (row, quad) in self.rows.iter_mut().zip(quads) {
            row[lane] = u32::from_le_bytes(*quad);
        }
        let mut last = 0x80_u32 << (8 * rest.len());
        for (index, byte) in rest.iter().enumerate() {
            last |= u32::from(*byte) << (8 * index);
        }
        self.rows[quads.len()][lane] = last;
        let bytes = u32::try_from(key.len()).expect("a key of one block has at most 55 bytes");
        self.rows[LENGTH_ROW][lane] = bytes * 8;
    }
}

/// A, B, C and D before the first block (RFC 1321, 3.3).
pub(crate) const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// T[n] = floor(2^32 * abs(sin(n + 1))) for step n counted from 0 (RFC 1321, 3.4), four a row.
pub(crate) const SINES: [[u32; 4]; 16] = [
    [0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee],
    [0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501],
    [0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be],
    [0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821],
    [0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa],
    [0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8],
    [0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed],
    [0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a],
    [0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c],
    [0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70],
    [0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05],
    [0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665],
    [0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039],
    [0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1],
    [0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1],
    [0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391],
];

/// One of the 64 steps: `a = b + rotate(a + f(b, c, d) + word + sine, left)`. The sum of what is
/// known beforehand comes first, so that it is off the chain of dependent operations.
macro_rules! md5_step {
    ($f:ident, $a:ident, $b:ident, $c:ident, $d:ident, $row:expr, $sine:expr, $left:literal) => {
        let known = add(load(&$row), splat($sine));
        let sum = add(add($a, known), $f($b, $c, $d));
        $a = add($b, rotate::<$left, { 32 - $left }>(sum));
    };
}

/// MD5 of one block per lane as a [`State`]. An expression, not a function, because the operations
/// must be inlined into a function that is allowed the instructions. The place where it stands
/// names `load`, `splat`, `store`, `add`, `rotate::<LEFT, RIGHT>` and RFC 1321's `f`, `g`, `h`,
/// `i`.
macro_rules! md5_block {
    ($words:expr) => {{
        use crate::lanes::{INITIAL, SINES, md5_step};
        let rows = &$words.rows;
        let [mut a, mut b, mut c, mut d] = INITIAL.map(|word| splat(word));
        for n in [0, 4, 8, 12] {
            md5_step!(f, a, b, c, d, rows[n], SINES[n / 4][0], 7);
            md5_step!(f, d, a, b, c, rows[n + 1], SINES[n / 4][1], 12);
            md5_step!(f, c, d, a, b, rows[n + 2], SINES[n / 4][2], 17);
            md5_step!(f, b, c, d, a, rows[n + 3], SINES[n / 4][3], 22);
        }
        for n in [16, 20, 24, 28] {
            md5_step!(g, a, b, c, d, rows[(5 * n + 1) % 16], SINES[n / 4][0], 5);
            md5_step!(g, d, a, b, c, rows[(5 * n + 6) % 16], SINES[n / 4][1], 9);
            md5_step!(g, c, d, a, b, rows[(5 * n + 11) % 16], SINES[n / 4][2], 14);
            md5_step!(g, b, c, d, a, rows[(5 * n + 16) % 16], SINES[n / 4][3], 20);
        }
        for n in [32, 36, 40, 44] {
            md5_step!(h, a, b, c, d, rows[(3 * n + 5) % 16], SINES[n / 4][0], 4);
            md5_step!(h, d, a, b, c, rows[(3 * n + 8) % 16], SINES[n / 4][1], 11);
            md5_step!(h, c, d, a, b, rows[(3 * n + 11) % 16], SINES[n / 4][2], 16);
            md5_step!(h, b, c, d, a, rows[(3 * n + 14) % 16], SINES[n / 4][3], 23);
        }
        for n in [48, 52, 56, 60] {
            md5_step!(i, a, b, c, d, rows[(7 * n) % 16], SINES[n / 4][0], 6);
            md5_step!(i, d, a, b, c, rows[(7 * n + 7) % 16], SINES[n / 4][1], 10);
            md5_step!(i, c, d, a, b, rows[(7 * n + 14) % 16], SINES[n / 4][2], 15);
            md5_step!(i, b, c, d, a, rows[(7 * n + 21) % 16], SINES[n / 4][3], 21);
        }
        [
            store(add(a, splat(INITIAL[0]))),
            store(add(b, splat(INITIAL[1]))),
            store(add(c, splat(INITIAL[2]))),
            store(add(d, splat(INITIAL[3]))),
        ]
    }};
}

pub(crate) use {md5_block, md5_step};
