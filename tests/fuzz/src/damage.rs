//! Seeds, damaged.

use fastrand::Rng;

/// Pieces that mean something to one reader or another.
const PIECES: [&[u8]; 26] = [
    b"\"",
    b"\\",
    b"\\u0061",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"1e999",
    b"=",
    b"\xff",
    b"\xbf",
    b"\x9f",
    b"\xc1",
    b"\x5f",
    b"\x7f",
    b"\xfb",
    b"\x00\x00\x00\x00",
    b"/consumer/",
    b"stream/",
    b"%2",
    b"&X-Amz-Date=",
    b"\n",
];

/// The input of one round.
pub(crate) fn damaged(seeds: &[Vec<u8>], round: u64) -> Vec<u8> {
    // Neighbouring seeds of the generator start alike.
    let mut random = Rng::with_seed(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut input = random.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..random.usize(..6) {
        damage(&mut input, seeds, &mut random);
    }
    input
}

fn damage(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Rng) {
    if input.is_empty() {
        return input.push(random.u8(..));
    }
    let at = random.usize(..input.len());
    match random.u8(..8) {
        0 => input[at] = random.u8(..),
        1 => input[at] ^= 1 << random.u8(..8),
        2 => drop(input.remove(at)),
        3 => input.truncate(at),
        4 => insert(input, at, PIECES[random.usize(..PIECES.len())]),
        5 => {
            // A part again: names that come twice, lists that are longer.
            let part = input[at..random.usize(at..=input.len())].to_vec();
            insert(input, at, &part);
        }
        6 => {
            let other = random.choice(seeds).cloned().unwrap_or_default();
            let from = random.usize(..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => {
            let end = random.usize(at..=input.len());
            input.drain(at..end);
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}
