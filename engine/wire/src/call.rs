//! An operation with its request and its answer.

use crate::encoding::Encoding;
use crate::operation::Operation;
use crate::structure::{self, Structure, structure};

/// A request.
pub trait Call: Structure {
    /// Which operation it asks for.
    const OPERATION: Operation;
    /// What is answered.
    type Output: Structure;
}

structure! {
    /// The answer of an operation that gives nothing: an empty body. SubscribeToShard's answer is a
    /// stream of events (see [`crate::event_stream`]).
    Nothing {}
}

/// The body of an answer. Without members it is empty, not `{}`.
#[must_use]
pub fn encode_output<T: Structure>(output: &T, encoding: Encoding) -> Vec<u8> {
    if T::MEMBERS.is_empty() { Vec::new() } else { structure::encode(output, encoding) }
}

/// The answer in a body; `None` where it is another's.
#[must_use]
pub fn decode_output<T: Structure>(encoding: Encoding, body: &[u8]) -> Option<T> {
    if T::MEMBERS.is_empty() && body.is_empty() {
        return T::from_members(structure::Members::new(Vec::new()));
    }
    structure::decode(encoding, body)
}

/// Says what a request asks for and gets.
macro_rules! call {
    ($request:ident => $output:ty) => {
        impl $crate::call::Call for $request {
            const OPERATION: $crate::operation::Operation = $crate::operation::Operation::$request;
            type Output = $output;
        }
    };
}
pub(crate) use call;
