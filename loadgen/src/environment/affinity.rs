//! Which CPUs the engine's and the generator's threads were bound to.

use serde::{Deserialize, Serialize};

/// `affinity` of run.json.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    /// CPUs of the engine's cores, one each; null where the server is not ours to place.
    pub server: Option<Vec<usize>>,
    /// CPUs of the generator's cores.
    pub generator: Option<Vec<usize>>,
}

impl Affinity {
    /// Whether a core of the engine and one of the generator share a CPU; then neither's figures
    /// are its own.
    #[must_use]
    pub fn overlaps(&self) -> bool {
        match (&self.server, &self.generator) {
            (Some(server), Some(generator)) => server.iter().any(|cpu| generator.contains(cpu)),
            (_, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_seen_and_unknown_is_none() {
        let check = |server: Option<Vec<usize>>, generator: Option<Vec<usize>>, expected| {
            assert_eq!(Affinity { server, generator }.overlaps(), expected);
        };
        check(Some(vec![0]), Some(vec![1]), false);
        check(Some(vec![0, 1]), Some(vec![1]), true);
        check(None, Some(vec![1]), false);
    }
}
