//! How many file descriptors this process may have: each connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the process may, and returns what it is then. The soft limit of most
/// shells, 1,024, is there for programs that use select(2).
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused the old limit is in force, and is what the second look finds.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let Some(maximum) = before.maximum else { return };
        // Only one lower: other tests of this process open files.
        let lower = Rlimit { current: Some(maximum - 1), ..before };
        setrlimit(Resource::Nofile, lower).expect("lowering is never refused");
        assert_eq!(raise_descriptor_limit(), maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    }
}
