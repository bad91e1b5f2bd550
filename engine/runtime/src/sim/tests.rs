//! Tests of the model itself: a simulation that forgives too much proves nothing.
//!
//! "May" is tested over seeds: both outcomes must occur. "Must" is tested over the same seeds.

mod doors;
mod faults;
mod names;
mod power;
mod schedule;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::rc::Rc;

use super::disk::{self, SimFile};
use super::{Disk, Options, Outcome, run};
use crate::buffer::Buffer;
use crate::file::Access;

const PAGE: usize = 4096;
/// Enough to see an outcome with a chance of 5 %: 0.95^300 is 2e-7. The seeds are always the same
/// ones, so a test that passes passes always.
const SEEDS: u64 = 300;

/// Runs to the end.
fn finish<T: 'static>(seed: u64, disk: &Disk, main: impl Future<Output = T> + 'static) -> T {
    let outcome = run(seed, disk, &Options::default(), main);
    outcome.done().expect("nothing in this run waits for ever")
}

/// Runs until `main` calls [`lose_power`], then cuts the power.
fn crash(seed: u64, disk: &Disk, main: impl Future<Output = ()> + 'static) {
    assert_eq!(run(seed, disk, &Options::default(), main), Outcome::Crashed);
    disk.crash();
}

async fn lose_power() {
    super::crash_after(0);
    std::future::pending().await
}

/// Pages of one letter each.
fn letters(text: &str) -> Rc<Buffer> {
    let mut buffer = Buffer::zeroed(text.len() * PAGE);
    for (page, letter) in buffer.chunks_mut(PAGE).zip(text.bytes()) {
        page.fill(letter);
    }
    Rc::new(buffer)
}

/// The letter of each 512-byte sector; '.' for zeros.
fn sectors(bytes: &[u8]) -> String {
    let letter = |sector: &[u8]| {
        assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is written whole");
        if sector[0] == 0 { '.' } else { char::from(sector[0]) }
    };
    bytes.chunks(512).map(letter).collect()
}

/// The letter of each page; '?' for a page with sectors of several.
fn pages(bytes: &[u8]) -> String {
    let page = |page: &[u8]| {
        let letters: BTreeSet<char> = sectors(page).chars().collect();
        if letters.len() == 1 { sectors(page).chars().next().unwrap() } else { '?' }
    };
    bytes.chunks(PAGE).map(page).collect()
}

fn file() -> &'static Path {
    Path::new("/log")
}

/// A durable file of this many pages of zeros.
fn disk_with_file(seed: u64, pages: usize) -> Disk {
    let disk = Disk::new(seed);
    disk.create_raw(file(), &vec![0; pages * PAGE]);
    disk
}

async fn open() -> SimFile {
    disk::open(file(), Access::ReadWrite).await.unwrap()
}

/// What a test sees for each of many seeds.
fn outcomes<T: Ord>(test: impl Fn(u64) -> T) -> BTreeSet<T> {
    (0..SEEDS).map(test).collect()
}
