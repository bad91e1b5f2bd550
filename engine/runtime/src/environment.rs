//! Looks before anything starts: what the cores need of io_uring, what the data directory can do,
//! and for each thing that is missing a sentence that says what it is and what to do about it.
//!
//! Nothing here panics, and nothing is changed but the limit of descriptors, for who asks for it.

mod descriptors;
mod device;
mod directory;
mod error;
mod uring;

pub use descriptors::raise_descriptor_limit;
pub use device::device_name;
pub use directory::{DirectoryFacts, check_directory};
pub use error::{DirectoryRefusal, StartError, UringRefusal};
pub(crate) use uring::while_memory_is_freed;
pub use uring::{UringFacts, check_io_uring};
