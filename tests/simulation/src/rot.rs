//! Bytes that rot on a folder at rest, in which all that was acknowledged has a witness.
//!
//! What is damaged must be refused by name, and the rest served: never cut in silence. Without
//! marks and seals the last frame could not be told from one that was torn.

use std::collections::BTreeSet;

use fastrand::Rng;
use storage::frame::{FrameHeader, FrameKind, HEADER_BYTES};

use crate::autopsy::{self, Chain, Place};
use crate::world::World;

/// What was damaged.
#[derive(Clone, Debug)]
pub enum Rot {
    /// A byte of a frame of the catalog.
    Catalog,
    /// A byte of a frame with records, or of two in a row.
    Frame {
        /// Whose.
        log: u16,
        /// The shards that have records in them.
        shards: BTreeSet<u64>,
        /// What is left still says which these are.
        names_shards: bool,
    },
}

impl Rot {
    /// Whether a shard may be refused for it.
    pub fn excuses(&self, of_log: usize, shard: u64) -> bool {
        match self {
            Rot::Catalog => false,
            Rot::Frame { log, shards, names_shards } => {
                usize::from(*log) == of_log && (shards.contains(&shard) || !names_shards)
            }
        }
    }
}

/// Whether the catalog was damaged.
pub fn has_struck_catalog(world: &World) -> bool {
    matches!(*world.rot.borrow(), Some(Rot::Catalog))
}

/// Whether a log was damaged.
pub fn has_struck_log(world: &World, of_log: u16) -> bool {
    matches!(&*world.rot.borrow(), Some(Rot::Frame { log, .. }) if *log == of_log)
}

/// Whether any log was damaged.
pub fn has_struck_a_log(world: &World) -> bool {
    matches!(*world.rot.borrow(), Some(Rot::Frame { .. }))
}

/// In one of four folders it is the catalog that rots.
pub fn strike_catalog(world: &World, random: &mut Rng) {
    if world.rot.borrow().is_some() || random.u8(0..4) != 0 {
        return;
    }
    let places = autopsy::examine_catalog(world);
    if places.is_empty() {
        return;
    }
    let place = &places[random.usize(..places.len())];
    let at = random.usize(..place.header.content_bytes()) as u64;
    world.disk.flip_byte(&place.path, place.position + at);
    world.tell(|| format!("byte {at} rots of {place:?}"));
    *world.rot.borrow_mut() = Some(Rot::Catalog);
}

/// Damages one or two frames of one log, unless something is damaged already.
pub fn strike_log(world: &World, random: &mut Rng, chains: &[Chain]) {
    if world.rot.borrow().is_some() {
        return;
    }
    let chain = &chains[random.usize(..chains.len())];
    let frames = chain.frames.iter().filter(|place| place.header.kind == FrameKind::Records);
    let frames: Vec<_> = frames.collect();
    if frames.is_empty() {
        return;
    }
    let first = draw_frame(random, &frames);
    let next = frames.get(first + 1).filter(|_| random.u8(0..4) == 0);
    let struck: Vec<_> = std::iter::once(&frames[first]).chain(next).collect();
    // Of two missing frames in a row nobody can say whose the second was.
    let mut names_shards = struck.len() == 1;
    for place in &struck {
        let (at, is_named) = draw_byte(random, &place.header);
        names_shards &= is_named;
        world.disk.flip_byte(&place.path, place.position + at as u64);
        world.tell(|| format!("byte {at} rots of {place:?}"));
    }
    let shards = struck.iter().flat_map(|place| place.shards.iter().copied()).collect();
    *world.rot.borrow_mut() = Some(Rot::Frame { log: chain.log, shards, names_shards });
}

/// The last one, for which only a mark or a seal can speak; the last of a segment, for which the next
/// segment speaks; or any.
fn draw_frame(random: &mut Rng, frames: &[&Place]) -> usize {
    let ends = frames.windows(2).enumerate().filter(|(_, two)| two[0].segment != two[1].segment);
    let ends: Vec<usize> = ends.map(|(at, _)| at).collect();
    match random.u8(0..4) {
        0 | 1 => frames.len() - 1,
        2 if !ends.is_empty() => ends[random.usize(..ends.len())],
        _ => random.usize(..frames.len()),
    }
}

/// A byte that a checksum covers, and whether header and directory stay whole.
fn draw_byte(random: &mut Rng, header: &FrameHeader) -> (usize, bool) {
    match random.u8(0..4) {
        0 => (random.usize(..HEADER_BYTES), false),
        1 => (random.usize(HEADER_BYTES..header.payload_start()), false),
        _ => (random.usize(header.payload_start()..header.content_bytes()), true),
    }
}
