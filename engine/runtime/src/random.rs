//! Chance enters here: seeds for whatever generator a user keeps, never the numbers themselves.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::driver::{self, Driver};
use crate::sim;

/// 64 bits of the system's entropy, or the next of the simulation's seed stream.
///
/// # Panics
/// When the system has no entropy source (kernels before 3.17, which cannot run the rest either).
pub fn seed() -> u64 {
    match driver::current() {
        Driver::Sim => sim::executor::seed(),
        Driver::Kernel | Driver::Outside => {
            let mut bytes = [0; 8];
            // Up to 256 bytes come whole and without EINTR once the pool is ready: getrandom(2).
            let read = getrandom(&mut bytes, GetRandomFlags::empty())
                .expect("getrandom exists since Linux 3.17");
            assert_eq!(read, bytes.len());
            u64::from_le_bytes(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_seeds_differ() {
        assert_ne!(super::seed(), super::seed());
    }
}
