//! Memory of buffers that are gone, kept for the next ones of this core.
//!
//! ```text
//!   pages of a class   1 2 3 4  5 6 7 8  10 12 14 16  20 24 28 32  40 ..      four for each doubling
//! ```
//! New memory is of a buffer's own class, less than a quarter more than was asked for. Where that
//! class has nothing free, memory of one of the next classes is taken, at most twice as much, for
//! fresh memory costs more. Memory is zeroed when it comes from the allocator and stays initialised
//! for as long as it lives, whoever writes into it, so that it is reused without being cleared.
//!
//! What would go beyond the bound makes room only by what nobody has needed lately, else it goes
//! back to the allocator itself: so sizes may change, and a crowd of small buffers does not drive
//! out the few large ones that are in use.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::{ALIGNMENT, Memory};

/// Up to 4 GiB, more than an operation can name. Larger memory is not kept.
const CLASSES: usize = 4 * 19;

/// "Lately" is one to two times so many buffers ago: often enough that a change of sizes is soon
/// followed, seldom enough that a look through all classes costs nothing.
const EPOCH_TAKES: u64 = 1024;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::closed()) };
}

struct Pool {
    /// Empty before the first core of the thread.
    classes: Vec<Class>,
    /// Numbers of the classes that had something to spare at the end of the last epoch.
    sparing: Vec<usize>,
    free_bytes: usize,
    /// The bound of `free_bytes`. 0 where there is no core.
    capacity_bytes: usize,
    /// Taken by live buffers.
    used_bytes: usize,
    takes: u64,
}

#[derive(Default)]
struct Class {
    /// Taken from the back, where the memory is that was in use last.
    free: VecDeque<Memory>,
    /// The fewest that were free in this epoch: so many nobody has needed.
    fewest_free: usize,
    /// How many of `free` nobody has needed in the epoch before.
    spare: usize,
}

impl Class {
    fn take(&mut self) -> Option<Memory> {
        let memory = self.free.pop_back();
        self.fewest_free = self.fewest_free.min(self.free.len());
        memory
    }

    /// Gives up what has been free the longest, if it can be spared.
    fn spare(&mut self) -> Option<Memory> {
        self.spare = self.spare.checked_sub(1)?;
        let memory = self.free.pop_front();
        self.fewest_free = self.fewest_free.min(self.free.len());
        memory
    }
}

impl Pool {
    const fn closed() -> Self {
        Self {
            classes: Vec::new(),
            sparing: Vec::new(),
            free_bytes: 0,
            capacity_bytes: 0,
            used_bytes: 0,
            takes: 0,
        }
    }

    /// Memory that is kept for a size, of its own class or one that is at most twice as large.
    fn take(&mut self, size: Size) -> Option<Memory> {
        self.takes += 1;
        if self.takes.is_multiple_of(EPOCH_TAKES) {
            self.end_epoch();
        }
        let fits = |class: &&mut Class| {
            class.free.back().is_some_and(|memory| memory.len() <= 2 * size.bytes)
        };
        // A class has twice the size of the fourth before it, or more.
        let memory = self.classes.iter_mut().skip(size.class).take(5).find(fits)?.take()?;
        self.free_bytes -= memory.len();
        Some(memory)
    }

    fn end_epoch(&mut self) {
        self.sparing.clear();
        for (number, class) in self.classes.iter_mut().enumerate() {
            class.spare = class.fewest_free;
            class.fewest_free = class.free.len();
            if class.spare > 0 {
                self.sparing.push(number);
            }
        }
    }

    /// Makes room for more memory of a size, by what others can spare; false if they cannot.
    fn make_room(&mut self, size: Size) -> bool {
        while self.free_bytes + size.bytes > self.capacity_bytes {
            let Some(number) = self.sparing.last().copied() else { return false };
            if number == size.class {
                // One that is spared for another of its kind makes no difference.
                return false;
            }
            match self.classes[number].spare() {
                Some(memory) => self.free_bytes -= memory.len(),
                None => drop(self.sparing.pop()),
            }
        }
        true
    }

    /// Keeps memory, or gives it back to the caller.
    fn keep(&mut self, memory: Memory) -> Option<Memory> {
        let size = Size::of(memory.len());
        assert_eq!(size.bytes, memory.len());
        let may_fit = size.bytes <= self.capacity_bytes && size.class < self.classes.len();
        if !may_fit || !self.make_room(size) {
            return Some(memory);
        }
        self.classes[size.class].free.push_back(memory);
        self.free_bytes += size.bytes;
        None
    }
}

/// The thread is a core that keeps up to so many bytes.
pub(crate) fn open_pool(capacity_bytes: usize) {
    POOL.with_borrow_mut(|pool| {
        assert_eq!(pool.free_bytes, 0);
        pool.classes.resize_with(CLASSES, Class::default);
        pool.capacity_bytes = capacity_bytes;
    });
}

/// The core has ended; memory that comes back later is not kept.
pub(crate) fn close_pool() {
    POOL.with_borrow_mut(|pool| {
        pool.classes.clear();
        pool.sparing.clear();
        pool.free_bytes = 0;
        pool.capacity_bytes = 0;
    });
}

/// Memory for a buffer, and whether all of it is zero.
pub(super) fn take(bytes: usize) -> (Memory, bool) {
    let size = Size::of(bytes);
    let kept = POOL.with_borrow_mut(|pool| pool.take(size));
    let is_fresh = kept.is_none();
    let memory = kept.unwrap_or_else(|| Memory::zeroed(size.bytes));
    POOL.with_borrow_mut(|pool| pool.used_bytes += memory.len());
    (memory, is_fresh)
}

/// Takes memory back that `take` has handed out on this thread.
pub(super) fn give_back(memory: Memory) {
    let mut memory = Some(memory);
    let given = POOL.try_with(|pool| {
        let memory = memory.take()?;
        let mut pool = pool.borrow_mut();
        pool.used_bytes -= memory.len();
        pool.keep(memory)
    });
    match given {
        // It goes to the allocator when the pool is not borrowed any more, for that may take long.
        Ok(not_kept) => drop(not_kept),
        // The thread is ending.
        Err(_) => drop(memory),
    }
}

/// Taken by live buffers of this thread, and how much is kept for new ones at most, in bytes.
pub(super) fn used_and_capacity() -> (usize, usize) {
    POOL.with_borrow(|pool| (pool.used_bytes, pool.capacity_bytes))
}

/// A class and the bytes of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    class: usize,
    bytes: usize,
}

impl Size {
    /// The smallest class whose members hold so many bytes.
    fn of(bytes: usize) -> Self {
        assert!(bytes > 0);
        let pages = bytes.div_ceil(ALIGNMENT);
        if pages <= 4 {
            return Self { class: pages - 1, bytes: pages * ALIGNMENT };
        }
        // The doubling begins behind four steps and ends with the eighth.
        let doubling = (pages - 1).ilog2() as usize;
        let step = 1 << (doubling - 2);
        let steps = pages.div_ceil(step);
        assert!((5..=8).contains(&steps));
        Self { class: (doubling - 1) * 4 + (steps - 5), bytes: steps * step * ALIGNMENT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    fn kept() -> usize {
        POOL.with_borrow(|pool| pool.free_bytes)
    }

    fn take_all(bytes: usize, count: usize) -> Vec<Memory> {
        (0..count).map(|_| take(bytes).0).collect()
    }

    /// Takes and gives back one at a time, for two epochs.
    fn use_lately(bytes: usize) {
        for _ in 0..2 * EPOCH_TAKES {
            give_back(take(bytes).0);
        }
    }

    #[test]
    fn classes_waste_less_than_a_quarter() {
        let mut before = Size { class: 0, bytes: ALIGNMENT };
        for pages in 1..5000 {
            let size = Size::of(pages * ALIGNMENT);
            assert!(size.bytes >= pages * ALIGNMENT);
            assert!(size.bytes * 4 < pages * ALIGNMENT * 5, "{pages} pages are {size:?}");
            assert_eq!(Size::of(size.bytes), size, "a member is of its own class");
            assert_eq!(size.class > before.class, size.bytes > before.bytes);
            assert!(size.class <= before.class + 1);
            before = size;
        }
        assert_eq!(Size::of(256 * KIB).bytes, 256 * KIB);
        assert_eq!(Size::of(1028 * KIB).bytes, 1280 * KIB);
        assert_eq!(Size::of(4 << 30).class, CLASSES - 1);
    }

    #[test]
    fn memory_is_kept_up_to_the_bound_and_not_beyond() {
        open_pool(64 * KIB);
        take_all(8000, 9).into_iter().for_each(give_back);
        assert_eq!(kept(), 64 * KIB, "one of the nine was beyond the bound");
        let (again, fresh) = take(8192);
        assert!(!fresh);
        give_back(again);
        give_back(take(128 * KIB).0);
        assert_eq!(kept(), 64 * KIB, "more than the bound is never kept");
        close_pool();
        assert_eq!(kept(), 0);
    }

    #[test]
    fn an_empty_class_takes_from_the_next_up_to_twice_its_size() {
        open_pool(1 << 20);
        take_all(16 * KIB, 2).into_iter().for_each(give_back);
        let (memory, fresh) = take(8 * KIB);
        assert!(!fresh);
        assert_eq!((memory.len(), used_and_capacity().0), (16 * KIB, 16 * KIB));
        let (small, fresh) = take(4 * KIB);
        assert!(fresh, "four times as much would be a waste");
        give_back(memory);
        give_back(small);
        assert_eq!((kept(), used_and_capacity().0), (36 * KIB, 0));
        close_pool();
    }

    #[test]
    fn what_nobody_has_needed_lately_makes_room() {
        open_pool(64 * KIB);
        take_all(4 * KIB, 16).into_iter().for_each(give_back);
        assert_eq!(kept(), 64 * KIB);
        give_back(take(32 * KIB).0);
        assert!(take(32 * KIB).1, "the small ones have been in use lately");
        use_lately(32 * KIB);
        let (large, fresh) = take(32 * KIB);
        assert!(!fresh, "the small ones have made room");
        give_back(large);
        assert_eq!(kept(), 64 * KIB);
        close_pool();
    }

    #[test]
    fn small_buffers_do_not_drive_out_a_large_one_in_use() {
        open_pool(64 * KIB);
        give_back(take(64 * KIB).0);
        for _ in 0..2 * EPOCH_TAKES {
            take_all(4 * KIB, 2).into_iter().for_each(give_back);
            let (large, fresh) = take(64 * KIB);
            assert!(!fresh);
            give_back(large);
        }
        // Nobody wants it any more.
        for _ in 0..EPOCH_TAKES {
            take_all(4 * KIB, 2).into_iter().for_each(give_back);
        }
        assert_eq!(kept(), 8 * KIB);
        close_pool();
    }
}
