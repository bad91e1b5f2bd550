//! The bytes of one simulated file: what a reader sees, and what a power cut leaves.
//!
//! ```text
//!   write submitted        in_flight   on no page yet; a crash may leave any part of it
//!   write completed        current     readers see it
//!                          pending     in the device's volatile cache, in order of completion
//!   flush completed        durable     exactly the pending writes completed before its submission
//!   flush failed           doubtful    what it covered: no later flush ever makes it durable
//!   O_DSYNC completed      current and durable
//! ```
//!
//! Pages are shared by reference between these states, so a flush and a crash move references and
//! copy no bytes, but for the torn pages. A page that was never written, or holds zeros only, is
//! `None`: files are sparse, and a fresh file reads zeros whatever its blocks held before.
//!
//! After a crash each 512-byte sector holds the durable value or that of any one write to it that
//! was not durable, whatever their order: a device may write its cache back at any moment.

use std::collections::VecDeque;
use std::rc::Rc;

use super::faults::Counts;
use super::random::{Generator, mix};
use crate::buffer::Buffer;

pub(super) const PAGE_BYTES: usize = 4096;
/// What a device writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;
const PAGE_SECTORS: usize = PAGE_BYTES / SECTOR_BYTES;
const _: () = assert!(PAGE_BYTES == crate::buffer::ALIGNMENT);
const _: () = assert!(PAGE_SECTORS == 8, "a set of a page's sectors is a u8");

/// One page; `None` is a page of zeros.
type Page = Option<Rc<[u8]>>;

/// Which sectors of a write reach the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Landed {
    All,
    Nothing,
    /// The first so many sectors.
    Prefix(usize),
    /// All but the first so many sectors.
    Suffix(usize),
    /// All but one sector.
    Without(usize),
    /// A random half of the sectors, chosen by this seed.
    Half(u64),
}

impl Landed {
    /// A write of `sectors` sectors that was interrupted.
    pub(super) fn torn(random: &mut Generator, sectors: usize) -> Self {
        match random.below(4) {
            0 => Self::Prefix(random.index(sectors)),
            1 => Self::Suffix(random.index(sectors)),
            2 => Self::Without(random.index(sectors)),
            _ => Self::Half(random.next()),
        }
    }

    fn holds(self, sector: usize) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Prefix(count) => sector < count,
            Self::Suffix(count) => sector >= count,
            Self::Without(one) => sector != one,
            Self::Half(seed) => mix(seed.wrapping_add(sector as u64)) & 1 == 1,
        }
    }
}

/// How much a crash loses; drawn once a crash, so that "all kept" and "all lost" occur as well as
/// every mixture between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Severity {
    pub(super) drop_chance: f64,
    pub(super) tear_chance: f64,
}

impl Severity {
    pub(super) fn draw(random: &mut Generator) -> Self {
        const DROP_CHANCES: [f64; 6] = [0.0, 0.1, 0.3, 0.5, 0.8, 1.0];
        const TEAR_CHANCES: [f64; 4] = [0.0, 0.2, 0.5, 1.0];
        let drop_chance = DROP_CHANCES[random.index(DROP_CHANCES.len())];
        let tear_chance = TEAR_CHANCES[random.index(TEAR_CHANCES.len())];
        Self { drop_chance, tear_chance }
    }
}

#[derive(Clone, Default)]
struct Pages(Vec<Page>);

impl Pages {
    fn get(&self, index: usize) -> &Page {
        self.0.get(index).unwrap_or(&None)
    }

    fn set(&mut self, index: usize, page: Page) {
        if index >= self.0.len() {
            if page.is_none() {
                return;
            }
            self.0.resize(index + 1, None);
        }
        self.0[index] = page;
    }

    /// Writes what has landed of `source` over the pages from `first` on.
    fn lay(&mut self, first: usize, source: &[Page], landed: Landed) {
        for (offset, page) in source.iter().enumerate() {
            if landed == Landed::All {
                self.set(first + offset, page.clone());
                continue;
            }
            let sectors = (0..PAGE_SECTORS)
                .filter(|sector| landed.holds(offset * PAGE_SECTORS + sector))
                .fold(0u8, |set, sector| set | 1 << sector);
            match sectors {
                0 => {}
                u8::MAX => self.set(first + offset, page.clone()),
                _ => {
                    let mixed = mixed(self.get(first + offset), page, sectors);
                    self.set(first + offset, mixed);
                }
            }
        }
    }

    fn truncate(&mut self, bytes: u64) {
        self.0.truncate(page_index(bytes));
    }
}

fn page_index(position: u64) -> usize {
    assert!(position.is_multiple_of(PAGE_BYTES as u64), "direct I/O is aligned: {position}");
    usize::try_from(position).expect("simulated files fit in memory") / PAGE_BYTES
}

fn page_of(bytes: &[u8]) -> Page {
    assert!(bytes.len() == PAGE_BYTES);
    let (words, rest) = bytes.as_chunks::<64>();
    assert!(rest.is_empty());
    let zeros = words.iter().all(|word| word.iter().fold(0, |all, byte| all | byte) == 0);
    if zeros { None } else { Some(Rc::from(bytes)) }
}

fn pages_of(bytes: &[u8]) -> Box<[Page]> {
    assert!(!bytes.is_empty());
    bytes.chunks(PAGE_BYTES).map(page_of).collect()
}

/// `over`'s sectors where the set has them, `base`'s elsewhere.
fn mixed(base: &Page, over: &Page, sectors: u8) -> Page {
    let mut bytes = [0; PAGE_BYTES];
    if let Some(base) = base {
        bytes.copy_from_slice(base);
    }
    for sector in (0..PAGE_SECTORS).filter(|sector| sectors & 1 << sector != 0) {
        let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
        match over {
            Some(over) => bytes[range.clone()].copy_from_slice(&over[range]),
            None => bytes[range].fill(0),
        }
    }
    page_of(&bytes)
}

struct InFlight {
    ticket: u64,
    position: u64,
    /// Held as the kernel holds it: the pages are copied only when the write completes.
    buffer: Rc<Buffer>,
}

/// A write that completed and is not durable.
struct Pending {
    order: u64,
    first: usize,
    pages: Box<[Page]>,
}

impl Pending {
    /// Newer durable pages have replaced these: nothing older may come back at a crash.
    fn supersede(&mut self, first: usize, pages: &[Page]) {
        for (offset, page) in pages.iter().enumerate() {
            let index = (first + offset).checked_sub(self.first);
            if let Some(own) = index.and_then(|index| self.pages.get_mut(index)) {
                own.clone_from(page);
            }
        }
    }
}

/// What a flush that is submitted now will make durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    /// The writes whose order of completion is below this.
    order: u64,
    bytes: u64,
}

/// The bytes of one file in all their states.
pub(super) struct Content {
    bytes: u64,
    bytes_durable: u64,
    current: Pages,
    durable: Pages,
    /// Writes submitted so far; the next ticket.
    tickets: u64,
    in_flight: Vec<InFlight>,
    /// Writes completed so far; the next order.
    completed: u64,
    pending: VecDeque<Pending>,
    doubtful: Vec<Pending>,
}

impl Content {
    /// An allocated file: `bytes` of zeros, of which not even the size is durable yet.
    pub(super) fn new(bytes: u64) -> Self {
        assert!(bytes.is_multiple_of(PAGE_BYTES as u64));
        Self {
            bytes,
            bytes_durable: 0,
            current: Pages::default(),
            durable: Pages::default(),
            tickets: 0,
            in_flight: Vec::new(),
            completed: 0,
            pending: VecDeque::new(),
            doubtful: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether writes are in flight.
    pub(super) fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    pub(super) fn submit(&mut self, position: u64, buffer: Rc<Buffer>) -> u64 {
        assert!(position.is_multiple_of(PAGE_BYTES as u64), "direct I/O is aligned: {position}");
        assert!(!buffer.is_empty());
        assert!(position + buffer.len() as u64 <= self.bytes, "files do not grow");
        let ticket = self.tickets;
        self.tickets += 1;
        self.in_flight.push(InFlight { ticket, position, buffer });
        ticket
    }

    /// The write completes: readers see what has landed of it.
    pub(super) fn complete(&mut self, ticket: u64, landed: Landed) {
        let write = self.take_in_flight(ticket);
        if landed == Landed::Nothing {
            return;
        }
        let first = page_index(write.position);
        let mut pages = pages_of(&write.buffer);
        self.current.lay(first, &pages, landed);
        if landed != Landed::All {
            // What readers now see is what a flush makes durable, old sectors included.
            for (offset, page) in pages.iter_mut().enumerate() {
                page.clone_from(self.current.get(first + offset));
            }
        }
        self.pending.push_back(Pending { order: self.completed, first, pages });
        self.completed += 1;
    }

    /// An O_DSYNC write completes: it and the file's size are durable.
    pub(super) fn complete_durable(&mut self, ticket: u64) {
        let write = self.take_in_flight(ticket);
        let first = page_index(write.position);
        let pages = pages_of(&write.buffer);
        self.bytes_durable = self.bytes;
        self.current.lay(first, &pages, Landed::All);
        self.durable.lay(first, &pages, Landed::All);
        for older in self.pending.iter_mut().chain(&mut self.doubtful) {
            older.supersede(first, &pages);
        }
    }

    fn take_in_flight(&mut self, ticket: u64) -> InFlight {
        let index = self.in_flight.iter().position(|write| write.ticket == ticket);
        self.in_flight.swap_remove(index.expect("a write completes once"))
    }

    /// What a flush submitted now covers.
    pub(super) fn credit(&self) -> Credit {
        Credit { order: self.completed, bytes: self.bytes }
    }

    pub(super) fn make_durable(&mut self, credit: Credit) {
        self.bytes_durable = self.bytes_durable.max(credit.bytes);
        while let Some(write) = self.pending.pop_front_if(|write| write.order < credit.order) {
            for older in &mut self.doubtful {
                older.supersede(write.first, &write.pages);
            }
            self.durable.lay(write.first, &write.pages, Landed::All);
        }
    }

    /// The flush failed, and the kernel has forgotten that these pages were dirty.
    pub(super) fn flush_failed(&mut self, credit: Credit) {
        while let Some(write) = self.pending.pop_front_if(|write| write.order < credit.order) {
            self.doubtful.push(write);
        }
    }

    /// Fills `out` with what a reader sees. Sectors that a write in flight covers may already show
    /// it.
    pub(super) fn read(&self, position: u64, out: &mut [u8], random: &mut Generator) {
        self.read_completed(position, out);
        for write in &self.in_flight {
            let start = write.position.max(position);
            let end = (write.position + write.buffer.len() as u64).min(position + out.len() as u64);
            if start >= end || random.coin() {
                continue;
            }
            let landed = Landed::Half(random.next());
            for at in (start..end).step_by(SECTOR_BYTES) {
                let from = usize::try_from(at - write.position).expect("within the buffer");
                let to = usize::try_from(at - position).expect("within the buffer");
                if landed.holds(from / SECTOR_BYTES) {
                    let sector = &write.buffer[from..from + SECTOR_BYTES];
                    out[to..to + SECTOR_BYTES].copy_from_slice(sector);
                }
            }
        }
    }

    fn read_completed(&self, position: u64, out: &mut [u8]) {
        let first = page_index(position);
        for (offset, out) in out.chunks_mut(PAGE_BYTES).enumerate() {
            match self.current.get(first + offset) {
                Some(page) => out.copy_from_slice(&page[..out.len()]),
                None => out.fill(0),
            }
        }
    }

    /// Everything that readers see, without writes in flight.
    pub(super) fn read_all(&self) -> Vec<u8> {
        let bytes = usize::try_from(self.bytes).expect("simulated files fit in memory");
        let mut out = vec![0; bytes];
        self.read_completed(0, &mut out);
        out
    }

    /// Changes bytes behind everybody's back, in every state they are in: on the medium, in the
    /// cache, and below what is not yet durable. `change` is given parts of the range, with their
    /// distance from its start.
    pub(super) fn change(
        &mut self,
        position: u64,
        bytes: usize,
        change: impl Fn(usize, &mut [u8]),
    ) {
        let start = usize::try_from(position).expect("simulated files fit in memory");
        let end = start + bytes;
        assert!(end as u64 <= self.bytes, "{end} is past the end");
        for pages in [&mut self.current.0, &mut self.durable.0] {
            pages.resize(pages.len().max(end.div_ceil(PAGE_BYTES)), None);
        }
        let waiting = self.pending.iter_mut().chain(&mut self.doubtful);
        let waiting = waiting.map(|write| (write.first, &mut *write.pages));
        let settled = [(0, &mut *self.current.0), (0, &mut *self.durable.0)];
        for (first, pages) in waiting.chain(settled) {
            for (index, page) in pages.iter_mut().enumerate() {
                let page_start = (first + index) * PAGE_BYTES;
                let range = start.max(page_start)..end.min(page_start + PAGE_BYTES);
                if range.is_empty() {
                    continue;
                }
                let mut copy = [0; PAGE_BYTES];
                if let Some(old) = page {
                    copy.copy_from_slice(old);
                }
                let within = range.start - page_start..range.end - page_start;
                change(range.start - start, &mut copy[within]);
                *page = page_of(&copy);
            }
        }
    }

    /// The process has died, the machine goes on: writes in flight complete, or do not, or in part.
    pub(super) fn kill(&mut self, random: &mut Generator) {
        let mut tickets: Vec<u64> = self.in_flight.iter().map(|write| write.ticket).collect();
        random.shuffle(&mut tickets);
        for ticket in tickets {
            let landed = match random.below(3) {
                0 => Landed::Nothing,
                1 => Landed::All,
                _ => {
                    let write = self.in_flight.iter().find(|write| write.ticket == ticket);
                    let bytes = write.expect("listed just now").buffer.len();
                    Landed::torn(random, bytes / SECTOR_BYTES)
                }
            };
            self.complete(ticket, landed);
        }
    }

    /// The power has failed: decides what is left of every write that was not durable.
    pub(super) fn crash(
        &mut self,
        severity: Severity,
        random: &mut Generator,
        counts: &mut Counts,
    ) {
        let in_flight = self.in_flight.drain(..).map(|write| Pending {
            order: u64::MAX,
            first: page_index(write.position),
            pages: pages_of(&write.buffer),
        });
        let mut writes: Vec<Pending> =
            self.doubtful.drain(..).chain(self.pending.drain(..)).collect();
        writes.extend(in_flight);
        random.shuffle(&mut writes);
        self.crash_size(random, counts);
        for write in &writes {
            let landed = if random.chance(severity.drop_chance) {
                counts.crash_writes_dropped += 1;
                Landed::Nothing
            } else if random.chance(severity.tear_chance) {
                counts.crash_writes_torn += 1;
                Landed::torn(random, write.pages.len() * PAGE_SECTORS)
            } else {
                counts.crash_writes_kept += 1;
                Landed::All
            };
            self.durable.lay(write.first, &write.pages, landed);
        }
        // Only these pages can differ between what was seen and what is left.
        for write in &writes {
            for index in write.first..write.first + write.pages.len() {
                self.current.set(index, self.durable.get(index).clone());
            }
        }
        self.durable.truncate(self.bytes);
        self.current.truncate(self.bytes);
    }

    /// A size that was not durable is kept, or lost, or, as a large allocation is several
    /// transactions, anything between.
    fn crash_size(&mut self, random: &mut Generator, counts: &mut Counts) {
        if self.bytes > self.bytes_durable {
            const PAGE: u64 = PAGE_BYTES as u64;
            let allocated = self.bytes;
            self.bytes = match random.below(4) {
                0 => self.bytes_durable,
                1 => random.between(self.bytes_durable / PAGE, allocated / PAGE) * PAGE,
                _ => allocated,
            };
            counts.crash_sizes_lost += u64::from(self.bytes < allocated);
            self.bytes_durable = self.bytes;
        }
    }
}
