//! What the fast paths read bodies with: one pass, spans, no tree.
//!
//! A scanner takes what everybody sends all day and gives `None` for anything else; then the plain
//! path reads the body. What it takes, the plain path takes too: this is what the tests of its users
//! compare.

pub(crate) mod cbor;
pub(crate) mod json;

use model::Span;

/// Largest body that has spans.
pub(crate) const BODY_BYTES_MAX: usize = u32::MAX as usize;

/// A body has at most [`BODY_BYTES_MAX`].
pub(crate) fn span(start: usize, bytes: usize) -> Span {
    let number = |count: usize| u32::try_from(count).expect("a body has less than 4 GiB");
    Span { start: number(start), bytes: number(bytes) }
}

/// Sets what was not set: a member that comes twice is not for a fast path.
pub(crate) fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}
