//! Memory of buffers that are gone, kept for the next ones of this core.
//!
//! A buffer takes a power of two. Memory is zeroed when it comes from the allocator and stays
//! initialised for as long as it lives, whoever writes into it, so that it is reused without being
//! cleared. What would go beyond the bound goes back to the allocator; where sizes change, what
//! most is kept of goes first, so that buffers that nobody wants do not block those that are wanted.

use std::cell::RefCell;

use super::{ALIGNMENT, Memory};

/// By the logarithm of their size.
const CLASSES: usize = usize::BITS as usize;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::closed()) };
}

struct Pool {
    /// Empty before the first core of the thread.
    free: Vec<Vec<Memory>>,
    free_bytes: usize,
    /// The bound of `free_bytes`. 0 where there is no core.
    capacity_bytes: usize,
    /// Taken by live buffers.
    used_bytes: usize,
}

impl Pool {
    const fn closed() -> Self {
        Self { free: Vec::new(), free_bytes: 0, capacity_bytes: 0, used_bytes: 0 }
    }

    /// What is kept of a class, in bytes.
    fn kept_bytes(&self, class: usize) -> usize {
        self.free[class].len() << class
    }

    /// Makes room for as much as `class` takes; false where only its own kind could go.
    fn make_room(&mut self, class: usize) -> bool {
        let bytes = 1 << class;
        while self.free_bytes + bytes > self.capacity_bytes {
            let others = (0..CLASSES).filter(|other| *other != class);
            let Some(most) = others.max_by_key(|other| self.kept_bytes(*other)) else {
                return false;
            };
            let Some(memory) = self.free[most].pop() else { return false };
            self.free_bytes -= memory.len();
        }
        true
    }
}

/// The thread is a core that keeps up to so many bytes.
pub(crate) fn open_pool(capacity_bytes: usize) {
    POOL.with_borrow_mut(|pool| {
        assert_eq!(pool.free_bytes, 0);
        pool.free.resize_with(CLASSES, Vec::new);
        pool.capacity_bytes = capacity_bytes;
    });
}

/// The core has ended; memory that comes back later is not kept.
pub(crate) fn close_pool() {
    POOL.with_borrow_mut(|pool| {
        pool.free.clear();
        pool.free_bytes = 0;
        pool.capacity_bytes = 0;
    });
}

/// Memory for a buffer, and whether all of it is zero.
pub(super) fn take(bytes: usize) -> (Memory, bool) {
    assert!(bytes > 0);
    let taken = bytes.checked_next_power_of_two().expect("a buffer is far smaller").max(ALIGNMENT);
    let class = class_of(taken);
    let kept = POOL.with_borrow_mut(|pool| {
        pool.used_bytes += taken;
        let memory = pool.free.get_mut(class)?.pop()?;
        pool.free_bytes -= taken;
        Some(memory)
    });
    match kept {
        Some(memory) => (memory, false),
        None => (Memory::zeroed(taken), true),
    }
}

/// Takes memory back that `take` has handed out on this thread.
pub(super) fn give_back(memory: Memory) {
    let class = class_of(memory.len());
    let bytes = memory.len();
    let mut memory = Some(memory);
    let given = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        pool.used_bytes -= bytes;
        if bytes <= pool.capacity_bytes
            && pool.make_room(class)
            && let Some(memory) = memory.take()
        {
            pool.free[class].push(memory);
            pool.free_bytes += bytes;
        }
    });
    match given {
        // Not kept, or the thread is ending: it goes to the allocator.
        Ok(()) | Err(_) => drop(memory),
    }
}

/// Taken by live buffers of this thread, and how much is kept for new ones at most, in bytes.
pub(super) fn used_and_capacity() -> (usize, usize) {
    POOL.with_borrow(|pool| (pool.used_bytes, pool.capacity_bytes))
}

fn class_of(bytes: usize) -> usize {
    assert!(bytes.is_power_of_two());
    bytes.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        POOL.with_borrow(|pool| pool.free_bytes)
    }

    #[test]
    fn memory_is_kept_up_to_the_bound_and_for_the_sizes_in_use() {
        open_pool(64 << 10);
        let take_all = |bytes: usize, count: usize| -> Vec<Memory> {
            (0..count).map(|_| take(bytes).0).collect()
        };
        take_all(5000, 9).into_iter().for_each(give_back);
        assert_eq!(kept(), 64 << 10, "one of the nine was beyond the bound");
        let (again, fresh) = take(8192);
        assert!(!fresh);
        give_back(again);
        take_all(32 << 10, 2).into_iter().for_each(give_back);
        assert_eq!(kept(), 64 << 10);
        assert!(!take_all(32 << 10, 1).is_empty());
        assert_eq!(kept(), 32 << 10, "the small ones have made room for both large ones");
        give_back(take(128 << 10).0);
        assert_eq!(kept(), 32 << 10, "more than the bound is never kept");
        close_pool();
        assert_eq!(kept(), 0);
    }
}
