//! Aligned memory for direct I/O: always initialised, never of another core.
//!
//! ```text
//!   kernel's driver   memory of this core's earlier buffers, as it is, at most twice as much as is
//!                     wanted; else zeroed memory from the allocator, at most a quarter more, so
//!                     that it fits the next one, too
//!   elsewhere         zeroed memory, just as much as is wanted
//! ```
//!
//! A core keeps at most the `io_memory_bytes` of its CoreConfig for new buffers. Size it for the
//! writes and reads in flight: then a steady stream of frames neither allocates nor clears anything.
//! What does not fit works, but costs a memset and an allocation. Who bounds memory counts
//! [`Buffer::taken_bytes`], not the length.

mod memory;
mod pool;

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::driver::{self, Driver};
pub(crate) use memory::Memory;
pub(crate) use pool::{close_pool, open_pool};

/// Of addresses, positions and lengths in direct I/O, in bytes. `environment::check_directory`
/// refuses devices that want more.
pub const ALIGNMENT: usize = 4096;

/// Memory that starts on a multiple of [`ALIGNMENT`] and has a multiple of it as its length.
pub struct Buffer {
    /// `None` only while it is dropped.
    memory: Option<Memory>,
    /// The first bytes of the memory.
    bytes: usize,
    /// Whether the memory goes back to the pool.
    pooled: bool,
}

impl Buffer {
    /// A buffer of zeros; `bytes` is rounded up to a multiple of [`ALIGNMENT`].
    ///
    /// # Panics
    /// When `bytes` is 0, or memory is exhausted.
    pub fn zeroed(bytes: usize) -> Self {
        let (mut buffer, fresh) = Self::allocate(bytes);
        if !fresh {
            buffer.fill(0);
        }
        buffer
    }

    /// A buffer that may hold bytes of this core's earlier buffers, never of anything else. The
    /// caller overwrites all of it, padding included, before it writes it to a file.
    ///
    /// Under the simulation it holds rubbish, so that forgotten padding is found.
    ///
    /// # Panics
    /// When `bytes` is 0, or memory is exhausted.
    pub fn reused(bytes: usize) -> Self {
        /// Unlikely as a length, a count or a text.
        const RUBBISH: u8 = 0xdb;

        let (mut buffer, _) = Self::allocate(bytes);
        if driver::current() == Driver::Sim {
            buffer.fill(RUBBISH);
        }
        buffer
    }

    /// The buffer, and whether all of it is zero.
    fn allocate(bytes: usize) -> (Self, bool) {
        assert!(bytes > 0);
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        let (memory, fresh, pooled) = match driver::current() {
            Driver::Kernel => {
                let (memory, fresh) = pool::take(bytes);
                (memory, fresh, true)
            }
            Driver::Sim | Driver::Outside => (Memory::zeroed(bytes), true, false),
        };
        assert!(memory.len() >= bytes);
        (Self { memory: Some(memory), bytes, pooled }, fresh)
    }

    /// Bytes of memory that it keeps from others: its length and what the pool has rounded up.
    pub fn taken_bytes(&self) -> usize {
        self.memory().len()
    }

    fn memory(&self) -> &Memory {
        self.memory.as_ref().expect("only the drop takes it out")
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory()[..self.bytes]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let memory = self.memory.as_mut().expect("only the drop takes it out");
        &mut memory[..self.bytes]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        match self.memory.take() {
            Some(memory) if self.pooled => pool::give_back(memory),
            memory => drop(memory),
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Buffer")
            .field("bytes", &self.bytes)
            .field("pooled", &self.pooled)
            .finish_non_exhaustive()
    }
}

/// The state of this core's memory for buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolBytes {
    /// Held by live buffers: the sum of their [`Buffer::taken_bytes`].
    pub used: usize,
    /// What is kept at most for new ones. 0 where there is no pool.
    pub capacity: usize,
}

/// How much memory this core's buffers take.
pub fn pool_bytes() -> PoolBytes {
    let (used, capacity) = pool::used_and_capacity();
    PoolBytes { used, capacity }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: usize, expected: usize) {
        for mut buffer in [Buffer::zeroed(bytes), Buffer::reused(bytes)] {
            assert_eq!((buffer.len(), buffer.taken_bytes()), (expected, expected));
            assert!(buffer.as_ptr().addr().is_multiple_of(ALIGNMENT));
            assert!(buffer.iter().all(|byte| *byte == 0));
            buffer.fill(1);
            assert!(buffer.iter().all(|byte| *byte == 1));
        }
    }

    #[test]
    fn lengths_are_rounded_up_and_memory_is_aligned() {
        check(1, 4096);
        check(4096, 4096);
        check(4097, 8192);
        check(256 << 10, 256 << 10);
        assert_eq!(pool_bytes(), PoolBytes { used: 0, capacity: 0 });
    }

    #[test]
    #[should_panic(expected = "bytes > 0")]
    fn an_empty_buffer_is_refused() {
        drop(Buffer::zeroed(0));
    }
}
