//! Two bits for each record of a producer: what may be found of it.

/// What may be found of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// Nothing: it was never sent, or refused.
    Absent = 0,
    /// Exactly one copy, which has not been read yet.
    Acked = 1,
    /// One copy or none: no answer says what became of it.
    Unknown = 2,
    /// No more: its copy has been read.
    Read = 3,
}

const PER_WORD: u64 = 32;
/// The low bit of every record's two.
const LOW_BITS: u64 = 0x5555_5555_5555_5555;

/// The states of the records `0..capacity`.
#[derive(Clone, Debug)]
pub(super) struct States {
    words: Vec<u64>,
    capacity: u64,
}

impl States {
    /// All absent; every page is written.
    pub(super) fn new(capacity: u64) -> States {
        let words = usize::try_from(capacity.div_ceil(PER_WORD)).expect("a plan fits memory");
        let mut words = vec![1; words];
        words.fill(0);
        States { words, capacity }
    }

    pub(super) const fn capacity(&self) -> u64 {
        self.capacity
    }

    #[inline]
    pub(super) fn get(&self, at: u64) -> State {
        debug_assert!(at < self.capacity);
        let (word, shift) = place(at);
        match self.words[word] >> shift & 3 {
            0 => State::Absent,
            1 => State::Acked,
            2 => State::Unknown,
            _ => State::Read,
        }
    }

    #[inline]
    pub(super) fn set(&mut self, at: u64, state: State) {
        debug_assert!(at < self.capacity);
        let (word, shift) = place(at);
        let word = &mut self.words[word];
        *word = *word & !(3 << shift) | (state as u64) << shift;
    }

    /// The same for `count` records from `first` on, a word at a time.
    pub(super) fn fill(&mut self, first: u64, count: u64, state: State) {
        assert!(first + count <= self.capacity);
        let pattern = LOW_BITS * state as u64;
        let (mut at, end) = (first, first + count);
        while at < end {
            let (word, shift) = place(at);
            let here = (PER_WORD - at % PER_WORD).min(end - at);
            let mask = if here == PER_WORD { u64::MAX } else { ((1 << (2 * here)) - 1) << shift };
            let word = &mut self.words[word];
            *word = *word & !mask | pattern & mask;
            at += here;
        }
    }

    /// Records that are in a state, in order.
    pub(super) fn all(&self, state: State) -> impl Iterator<Item = u64> {
        let pattern = LOW_BITS * state as u64;
        let words = (0_u64..).step_by(32).zip(&self.words);
        words.flat_map(move |(first, word)| {
            let differs = word ^ pattern;
            let mut found = !(differs | differs >> 1) & LOW_BITS;
            let next = move || {
                let bit = u64::from(found.trailing_zeros());
                (found != 0).then(|| {
                    found &= found - 1;
                    first + bit / 2
                })
            };
            std::iter::from_fn(next)
        })
    }
}

fn place(at: u64) -> (usize, u64) {
    let word = usize::try_from(at / PER_WORD).expect("within the allocated words");
    (word, at % PER_WORD * 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn states_are_kept_one_by_one_and_in_stretches() {
        let mut states = States::new(1_000);
        let mut plain = [State::Absent; 1_000];
        let mut random = Random::new(1);
        let kinds = [State::Absent, State::Acked, State::Unknown, State::Read];
        for _ in 0..2_000 {
            let state = kinds[usize::try_from(random.below(4)).unwrap()];
            let first = random.below(1_000);
            let count = random.below(1_000 - first + 1);
            if random.below(2) == 0 {
                states.fill(first, count, state);
                let stretch =
                    usize::try_from(first).unwrap()..usize::try_from(first + count).unwrap();
                plain[stretch].fill(state);
            } else {
                states.set(first, state);
                plain[usize::try_from(first).unwrap()] = state;
            }
        }
        for (at, state) in (0..).zip(plain) {
            assert_eq!(states.get(at), state, "{at}");
        }
        for kind in [State::Acked, State::Unknown, State::Read] {
            let expected: Vec<u64> =
                (0..).zip(plain).filter(|(_, state)| *state == kind).map(|(at, _)| at).collect();
            assert_eq!(states.all(kind).collect::<Vec<_>>(), expected);
        }
    }
}
