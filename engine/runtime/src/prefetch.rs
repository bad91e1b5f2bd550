//! Asks the CPU to bring memory near before it is needed.
//!
//! A call's records belong to shards all over: each waits for a line of memory or two, one after the
//! other, because what is done with a line is long enough to fill the CPU's window. Asked for in a
//! pass ahead, the lines come side by side. Pays where the states of all shards exceed the second
//! level cache, and costs about a nanosecond a line where they do not.

/// Bytes of a cache line on the machines that we know.
const LINE_BYTES: usize = 64;

/// Asks for all lines of `value`. Changes nothing that a program can see.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(LINE_BYTES) {
        line(start.wrapping_add(offset));
    }
    if !align_of::<T>().is_multiple_of(LINE_BYTES) {
        // The value may begin in the middle of a line, and then ends in one more.
        line(start.wrapping_add(size_of::<T>().saturating_sub(1)));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint: it reads nothing that the program sees and faults nowhere.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn line(address: *const u8) {
    // SAFETY: as on x86-64; the instruction changes no register, flag or memory.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{address}]",
            address = in(reg) address,
            options(nostack, preserves_flags, readonly),
        );
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
fn line(_: *const u8) {}
