//! Looks before anything starts: what glommio needs, what the data directory can do, and for each
//! thing that is missing a sentence that says what it is and what to do about it.
//!
//! glommio itself panics or ends the process in most of these cases. Nothing here panics, and
//! nothing is changed but the soft limit of locked memory, which is raised as far as it may be.

mod device;
mod directory;
mod error;
mod uring;

pub use device::device_name;
pub(crate) use device::unreadable_device;
pub use directory::{DirectoryFacts, check_directory};
pub use error::{DirectoryRefusal, StartError, UringRefusal};
pub use uring::{UringFacts, check_io_uring};
