//! What is fed: everything of the wire that reads bytes from outside.

mod cbor;
mod event_stream;
mod request;
mod signature;
mod token;

use crate::Target;

/// Every target.
pub const TARGETS: [Target; 5] = [
    Target { name: "request", feed: request::feed, seeds: request::seeds },
    Target { name: "cbor", feed: cbor::feed, seeds: cbor::seeds },
    Target { name: "event-stream", feed: event_stream::feed, seeds: event_stream::seeds },
    Target { name: "token", feed: token::feed, seeds: token::seeds },
    Target { name: "signature", feed: signature::feed, seeds: signature::seeds },
];
