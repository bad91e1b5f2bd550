//! The Kinesis API between bytes and values: requests, answers, errors, signatures, events, tokens.
//!
//! This crate opens no socket and reads no clock: every rule of the protocol is a function of bytes
//! and of the time it is given, and is tested with byte strings. How the wire looks, and what was
//! chosen where AWS does not say, is in PROTOCOL.md.
//!
//! ```text
//!     head::Head::read             which operation, in which encoding
//!     sigv4::Authorization::read   who signs, for which region; verify it with that one's key
//!     operations::Request::read    bytes -> tree -> types -> constraints -> a struct
//!     (the operation)
//!     call::encode_output          a struct -> bytes
//!     refusal::Refusal::encode     an error -> bytes
//! ```
//! A client goes the other way: `structure::encode`, `sigv4::sign`, `call::decode_output`.

#![forbid(unsafe_code)]

pub mod arn;
pub mod call;
pub mod constraint;
pub mod encoding;
pub mod event_stream;
pub mod head;
pub mod names;
pub mod next_token;
pub mod operation;
pub mod operations;
pub mod pattern;
pub mod records;
pub mod refusal;
pub mod schema;
pub mod shapes;
pub mod shard_iterator;
pub mod sigv4;
pub mod structure;
pub mod structures;
pub mod timestamp;
pub mod token;
pub mod typed;
pub mod value;

mod cbor;
mod json;
mod request;
mod scan;

pub use encoding::Encoding;
pub use operation::Operation;
pub use operations::Request;
pub use refusal::Refusal;
pub use timestamp::Timestamp;
