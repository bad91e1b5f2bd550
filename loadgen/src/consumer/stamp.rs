//! When a record that arrives was meant to be sent.
//!
//! The full form of the data says so in its header; the short form says which record it is, and the
//! schedule of an open loop when that was meant. Other records are counted and have no latency.

use crate::payload::{Form, intended_ns, short_identity};
use crate::schedule::{Lane, Schedule};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    data_bytes: usize,
    form: Form,
    /// The ticks of an open loop, and how many producers share them.
    plan: Option<(Schedule, u32)>,
}

/// What a record's data says, as far as that is known by a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// It was meant then, ns since the start.
    At(u64),
    /// Nothing.
    Untimed,
    /// It is not one of ours.
    Foreign,
}

impl Stamps {
    /// Of a run whose records have `data_bytes` each; `plan` is the schedule of an open loop and the
    /// number of its producers.
    #[must_use]
    pub const fn new(data_bytes: usize, plan: Option<(Schedule, u32)>) -> Stamps {
        Stamps { data_bytes, form: Form::of(data_bytes), plan }
    }

    /// Checksum and body are not looked at: that is for reading back.
    #[inline]
    pub(super) fn of(&self, data: &[u8]) -> Stamp {
        if data.len() != self.data_bytes {
            return Stamp::Foreign;
        }
        match (self.form, self.plan) {
            (Form::Full, _) => intended_ns(data).map_or(Stamp::Foreign, Stamp::At),
            (Form::Short, Some((schedule, producers))) => {
                let record = short_identity(data);
                if record.producer >= producers {
                    return Stamp::Foreign;
                }
                let lane = Lane { producer: record.producer, producers };
                Stamp::At(schedule.offset_ns(lane.tick(record.sequence)))
            }
            (Form::Short | Form::Counted, _) => Stamp::Untimed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Payloads;
    use crate::record::Identity;

    #[test]
    fn a_record_says_when_it_was_meant() {
        let schedule = Schedule::fixed(1_000.try_into().unwrap());
        let payloads = Payloads::new(1, 2, 100);
        let record = Identity { producer: 1, sequence: 30 };
        let check = |bytes: usize, plan, expected| {
            let mut data = Vec::new();
            payloads.append(record, 61_000_000, bytes, &mut data);
            let stamps = Stamps::new(bytes, plan);
            assert_eq!(stamps.of(&data), expected, "{bytes} {plan:?}");
            assert_eq!(stamps.of(&data[..bytes - 1]), Stamp::Foreign);
        };
        let open = Some((schedule, 2));
        check(100, open, Stamp::At(61_000_000));
        check(48, None, Stamp::At(61_000_000));
        check(47, open, Stamp::At(61_000_000));
        check(47, Some((schedule, 1)), Stamp::Foreign);
        check(16, None, Stamp::Untimed);
        check(15, open, Stamp::Untimed);
        assert_eq!(Stamps::new(100, open).of(&[0; 100]), Stamp::Foreign);
    }
}
