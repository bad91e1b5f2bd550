//! Eight lanes with AVX2: plain logic, and rotations out of two shifts.
//!
//! Nothing here runs without a [`Kernel`].

#![allow(unsafe_code, reason = "vector loads, stores and the call into AVX2 code")]

use crate::lanes::{State, Words, md5_block};
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_loadu_si256,
    _mm256_or_si256, _mm256_set1_epi32, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256,
    _mm256_xor_si256,
};

const LANES: usize = 8;

const _: () = assert!(size_of::<[u32; LANES]>() == size_of::<__m256i>());

/// Proof that this CPU and its operating system have AVX2. Only [`Kernel::detect`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct Kernel(());

impl Kernel {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// MD5 of the block in each of the eight lanes.
    pub(crate) fn digest(self, words: &Words<LANES>) -> State<LANES> {
        // SAFETY: `digest` needs AVX2 and nothing else. `self` exists, so `detect` has found AVX2,
        // and a CPU does not lose it while a process runs.
        unsafe { digest(words) }
    }
}

#[target_feature(enable = "avx2")]
fn digest(words: &Words<LANES>) -> State<LANES> {
    md5_block!(words)
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(row: &[u32; LANES]) -> __m256i {
    // SAFETY: the load reads 32 bytes, exactly the row's size (asserted above), which are
    // initialised and borrowed for the call; it asks for no alignment; any bits are a valid vector.
    unsafe { _mm256_loadu_si256(row.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(lanes: __m256i) -> [u32; LANES] {
    let mut row = [0; LANES];
    // SAFETY: the store writes 32 bytes, exactly the row's size (asserted above), into an array
    // that this function owns alone; it asks for no alignment; any bits are valid `u32`s.
    unsafe { _mm256_storeu_si256(row.as_mut_ptr().cast(), lanes) };
    row
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn add(x: __m256i, y: __m256i) -> __m256i {
    _mm256_add_epi32(x, y)
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m256i) -> __m256i {
    const { assert!(LEFT + RIGHT == 32) };
    _mm256_or_si256(_mm256_slli_epi32::<LEFT>(x), _mm256_srli_epi32::<RIGHT>(x))
}

// In a step `x` is the newest word. What does not depend on it stands where it can be done early,
// so that the chain from `x` to the result is as short as it can be.

/// RFC 1321's F: where x has a one y, else z.
#[target_feature(enable = "avx2")]
#[inline]
fn f(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    let difference = _mm256_xor_si256(y, z);
    _mm256_xor_si256(_mm256_and_si256(x, difference), z)
}

/// RFC 1321's G: where z has a one x, else y.
#[target_feature(enable = "avx2")]
#[inline]
fn g(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    let of_y = _mm256_andnot_si256(z, y);
    _mm256_or_si256(_mm256_and_si256(z, x), of_y)
}

/// RFC 1321's H: parity.
#[target_feature(enable = "avx2")]
#[inline]
fn h(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    _mm256_xor_si256(x, _mm256_xor_si256(y, z))
}

/// RFC 1321's I: `y ^ (x | !z)`.
#[target_feature(enable = "avx2")]
#[inline]
fn i(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    let not_z = _mm256_xor_si256(z, _mm256_set1_epi32(-1));
    _mm256_xor_si256(_mm256_or_si256(x, not_z), y)
}
