//! glommio's registered memory, made safe to reuse without clearing.
//!
//! glommio allocates the pool uninitialised and never clears it. Here every block of it is zeroed
//! once when the core starts; from then on all its bytes are initialised for as long as the pool
//! lives, whoever writes into it: the kernel, we, or the allocator's list of free blocks.

use std::fmt::Write;
use std::ops::Range;

use glommio::io::DmaBuffer;

use super::ALIGNMENT;
use crate::kernel;

/// Zeroes the whole pool of the executor that has just started on this thread, and returns its
/// addresses. It also touches the memory, so that no first write pays for it.
pub(crate) fn initialise_pool() -> Range<usize> {
    let mut blocks: Vec<DmaBuffer> = Vec::new();
    loop {
        // The smallest blocks there are: when none is left, the pool has been seen entirely, and
        // every later allocation from it consists of them.
        let mut block = glommio::allocate_dma_buffer(ALIGNMENT);
        if !is_registered(&block) {
            break;
        }
        clear(&mut block);
        blocks.push(block);
    }
    let starts = || blocks.iter().map(|block| block.as_ptr().addr());
    match (starts().min(), starts().max()) {
        // Nothing else can live between two blocks: the pool is one allocation.
        (Some(first), Some(last)) => first..last + ALIGNMENT,
        (None, _) | (_, None) => 0..0,
    }
}

/// A buffer of exactly `bytes`, all initialised, and whether it is all zero.
pub(super) fn allocate(bytes: usize) -> (DmaBuffer, bool) {
    assert!(bytes.is_multiple_of(ALIGNMENT));
    let mut buffer = glommio::allocate_dma_buffer(bytes);
    let address = buffer.as_ptr().addr();
    assert!(address.is_multiple_of(ALIGNMENT));
    if kernel::pool_contains(address, bytes) {
        return (buffer, false);
    }
    clear(&mut buffer);
    (buffer, true)
}

fn clear(buffer: &mut DmaBuffer) {
    let bytes = buffer.len();
    let start = buffer.as_mut_ptr();
    // SAFETY: `start` is the first of `bytes` bytes that the buffer owns (glommio's
    // sys/dma_buffer.rs: `trim` is 0 in a new buffer and `size` is what was allocated); the mutable
    // borrow excludes any other view. `write_bytes` reads nothing, so they may be uninitialised.
    unsafe { start.write_bytes(0, bytes) };
}

/// Whether the buffer lies in the registered pool. glommio tells it only to its own code, and in
/// the `Debug` form. Should that form change, no buffer counts as registered, and every one is
/// cleared: slower, never unsound.
fn is_registered(buffer: &DmaBuffer) -> bool {
    let mut text = String::new();
    write!(text, "{buffer:?}").expect("a String takes any text");
    text.contains("storage: Uring(")
}
