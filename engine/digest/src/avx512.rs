//! Sixteen lanes with AVX-512F: `vpternlogd` is any of MD5's functions, `vprold` its rotation.
//!
//! The only instructions used are those of AVX-512F itself. Nothing here runs without a [`Kernel`].

#![allow(unsafe_code, reason = "vector loads, stores and the call into AVX-512F code")]

use crate::lanes::{State, Words, md5_block};
use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32,
};

const LANES: usize = 16;

const _: () = assert!(size_of::<[u32; LANES]>() == size_of::<__m512i>());

/// Proof that this CPU and its operating system have AVX-512F. Only [`Kernel::detect`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct Kernel(());

impl Kernel {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    /// MD5 of the block in each of the sixteen lanes.
    pub(crate) fn digest(self, words: &Words<LANES>) -> State<LANES> {
        // SAFETY: `digest` needs AVX-512F and nothing else. `self` exists, so `detect` has found
        // AVX-512F, and a CPU does not lose it while a process runs.
        unsafe { digest(words) }
    }
}

#[target_feature(enable = "avx512f")]
fn digest(words: &Words<LANES>) -> State<LANES> {
    md5_block!(words)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(row: &[u32; LANES]) -> __m512i {
    // SAFETY: the load reads 64 bytes, exactly the row's size (asserted above), which are
    // initialised and borrowed for the call; it asks for no alignment; any bits are a valid vector.
    unsafe { _mm512_loadu_si512(row.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(lanes: __m512i) -> [u32; LANES] {
    let mut row = [0; LANES];
    // SAFETY: the store writes 64 bytes, exactly the row's size (asserted above), into an array
    // that this function owns alone; it asks for no alignment; any bits are valid `u32`s.
    unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), lanes) };
    row
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add(x: __m512i, y: __m512i) -> __m512i {
    _mm512_add_epi32(x, y)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m512i) -> __m512i {
    const { assert!(LEFT + RIGHT == 32) };
    _mm512_rol_epi32::<LEFT>(x)
}

// The constants below are truth tables: bit `4x + 2y + z` is the function's value at (x, y, z).

/// RFC 1321's F: where x has a one y, else z.
#[target_feature(enable = "avx512f")]
#[inline]
fn f(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1100_1010>(x, y, z)
}

/// RFC 1321's G: where z has a one x, else y.
#[target_feature(enable = "avx512f")]
#[inline]
fn g(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1110_0100>(x, y, z)
}

/// RFC 1321's H: parity.
#[target_feature(enable = "avx512f")]
#[inline]
fn h(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b1001_0110>(x, y, z)
}

/// RFC 1321's I: `y ^ (x | !z)`.
#[target_feature(enable = "avx512f")]
#[inline]
fn i(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b0011_1001>(x, y, z)
}
