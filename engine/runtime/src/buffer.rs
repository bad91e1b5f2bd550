//! Aligned memory for direct I/O: always initialised, never of another core.
//!
//! ```text
//!   kernel's driver   a part of the core's registered pool (io_memory_bytes of its CoreConfig),
//!                     every byte of which was zeroed at the core's start; beyond the pool plain
//!                     memory that is zeroed each time
//!   elsewhere         plain memory, zeroed each time
//! ```
//!
//! glommio cuts the pool into powers of two from 4 KiB up and keeps the free ones itself, so a
//! steady stream of frames neither allocates nor clears anything. Size the pool for the writes and
//! reads in flight: what does not fit works, but costs a memset and an allocation.

mod memory;
mod pool;

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use glommio::io::{DmaBuffer, ReadResult};

use crate::driver::{self, Driver};
use crate::kernel;
pub(crate) use memory::Memory;
pub(crate) use pool::initialise_pool;

/// Of addresses, positions and lengths in direct I/O, in bytes. `environment::check_directory`
/// refuses devices that want more.
pub const ALIGNMENT: usize = 4096;

thread_local! {
    static POOL_USED: Cell<usize> = const { Cell::new(0) };
}

/// Memory that starts on a multiple of [`ALIGNMENT`] and has a multiple of it as its length.
pub struct Buffer {
    storage: Storage,
    /// What it takes from the pool; 0 for plain memory.
    pool_bytes: usize,
}

enum Storage {
    /// Shared only with a write in flight, which holds the whole `Buffer` too.
    Dma(Rc<DmaBuffer>),
    /// What the kernel has read. Copied at the first change.
    Read(ReadResult),
    Plain(Memory),
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
        match driver::current() {
            Driver::Kernel => {
                let (buffer, fresh) = pool::allocate(bytes);
                (Self::of_dma(buffer), fresh)
            }
            Driver::Sim | Driver::Outside => {
                let storage = Storage::Plain(Memory::zeroed(bytes));
                (Self { storage, pool_bytes: 0 }, true)
            }
        }
    }

    fn of_dma(buffer: DmaBuffer) -> Self {
        let pool_bytes = take_from_pool(buffer.as_ptr().addr(), buffer.len());
        Self { storage: Storage::Dma(Rc::new(buffer)), pool_bytes }
    }

    /// What a read of the kernel's driver has yielded.
    pub(crate) fn of_read(read: ReadResult) -> Self {
        assert!(!read.is_empty());
        assert!(read.len().is_multiple_of(ALIGNMENT));
        let pool_bytes = take_from_pool(read.as_ptr().addr(), read.len());
        Self { storage: Storage::Read(read), pool_bytes }
    }

    /// The memory in the form that glommio writes, which shares it, or a copy in that form.
    pub(crate) fn to_dma(&self) -> Rc<DmaBuffer> {
        match &self.storage {
            Storage::Dma(buffer) => Rc::clone(buffer),
            Storage::Read(_) | Storage::Plain(_) => {
                let (mut copy, _) = pool::allocate(self.len());
                copy.as_bytes_mut().copy_from_slice(self);
                Rc::new(copy)
            }
        }
    }

    /// The same bytes in memory that can be changed.
    fn make_writable(&mut self) {
        if let Storage::Read(read) = &self.storage {
            let (mut copy, _) = Self::allocate(read.len());
            copy.copy_from_slice(read);
            *self = copy;
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.storage {
            Storage::Dma(buffer) => buffer.as_bytes(),
            Storage::Read(read) => read,
            Storage::Plain(memory) => memory,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.make_writable();
        match &mut self.storage {
            Storage::Dma(buffer) => Rc::get_mut(buffer)
                .expect("a write in flight holds the whole buffer, so nobody can change it")
                .as_bytes_mut(),
            Storage::Plain(memory) => memory,
            Storage::Read(_) => unreachable!("it was just made writable"),
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        POOL_USED.set(POOL_USED.get() - self.pool_bytes);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let storage = match &self.storage {
            Storage::Dma(_) => "dma",
            Storage::Read(_) => "read",
            Storage::Plain(_) => "plain",
        };
        formatter
            .debug_struct("Buffer")
            .field("bytes", &self.len())
            .field("storage", &storage)
            .finish()
    }
}

fn take_from_pool(address: usize, bytes: usize) -> usize {
    if !kernel::pool_contains(address, bytes) {
        return 0;
    }
    // The pool hands out powers of two.
    let taken = bytes.next_power_of_two().max(ALIGNMENT);
    POOL_USED.set(POOL_USED.get() + taken);
    taken
}

/// The state of this core's pool of registered memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolBytes {
    /// Held by live buffers, as the pool rounds them: up to powers of two.
    pub used: usize,
    /// All there is. 0 where there is no pool.
    pub capacity: usize,
}

/// How full this core's pool is.
pub fn pool_bytes() -> PoolBytes {
    PoolBytes { used: POOL_USED.get(), capacity: kernel::pool_capacity() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: usize, expected: usize) {
        for mut buffer in [Buffer::zeroed(bytes), Buffer::reused(bytes)] {
            assert_eq!(buffer.len(), expected);
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
