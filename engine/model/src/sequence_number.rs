//! The sequence number that clients see: 186 bits, always 56 decimal digits.
//!
//! It is a view of what the engine knows anyway (when the shard was created, which shard, which
//! record, when it arrived) in the shape of Kinesis's own, because clients look inside: KCL checks
//! the bit length, the top nibble and the shard. Decoded from public records of 2014 to 2023:
//!
//! ```text
//!     bits   185..184  183..148   147..144      143..80    79..72  71..36    35..4   3..0
//!            2         created s  shard, low 4  record     0       arrival s shard   2
//! ```
//!
//! As 47 hexadecimal digits, the example of the tests: `2 058b52fc9 0 000000002786e5e1 00 058e7d17e
//! 00000000 2`. Within a shard numbers rise with the record's index, and a shard created later has
//! the higher numbers. Nothing inside the engine sorts, stores or compares this text.

mod decimal;

use crate::record::RecordIndex;
use crate::shard_id::ShardIndex;
use decimal::{DIGITS, Wide};
use std::fmt;

/// Shards "created" at or past this Unix second (in 2477) are refused by AWS (recorded by
/// kinesalite 3.3.3).
pub const SHARD_CREATED_S_LIMIT: u64 = 16_025_175_000;

/// Arrival times have 36 bits of seconds, which end in 4147.
const ARRIVAL_S_LIMIT: u64 = 1 << 36;

const VERSION: u128 = 2;
const TOP: u64 = 2;
const SHARD_SHIFT: u32 = 4;
const ARRIVAL_SHIFT: u32 = 36;
const RESERVED_SHIFT: u32 = 72;
const RECORD_SHIFT: u32 = 80;
/// Shifts within the high limb, bits 128 and up.
const RECORD_HIGH_SHIFT: u32 = 128 - RECORD_SHIFT;
const NIBBLE_HIGH_SHIFT: u32 = 144 - 128;
const CREATED_HIGH_SHIFT: u32 = 148 - 128;
const TOP_HIGH_SHIFT: u32 = 184 - 128;

const _: () = assert!(SHARD_CREATED_S_LIMIT < 1 << (TOP_HIGH_SHIFT - CREATED_HIGH_SHIFT));
const _: () = assert!(ARRIVAL_S_LIMIT == 1 << (RESERVED_SHIFT - ARRIVAL_SHIFT));

/// What a sequence number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber {
    /// When the shard was created: Unix seconds, below [`SHARD_CREATED_S_LIMIT`].
    pub shard_created_s: u64,
    /// The shard.
    pub shard: ShardIndex,
    /// The record's ordinal in the shard.
    pub record: RecordIndex,
    /// When the record arrived: Unix seconds of 36 bits.
    pub arrival_s: u64,
}

/// Why a text is not one of our sequence numbers. The server words its refusal by operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceNumberError {
    /// Not of the form `0|([1-9]\d{0,128})`: a constraint of the API's model is violated.
    NotDecimal,
    /// Well formed, but of AWS's layout 0 or 1, from before 2015, which we never gave out. AWS
    /// still takes these in `SequenceNumberForOrdering`; 0 is one of them.
    Historic {
        /// The layout.
        version: u8,
        /// The shard that it names.
        shard: u32,
    },
    /// Of no layout that is known.
    UnknownVersion,
    /// The shard is said to be created past [`SHARD_CREATED_S_LIMIT`].
    CreatedTooLate {
        /// When, in Unix seconds.
        created_s: u64,
    },
    /// The record's index has its 64th bit set.
    RecordTooHigh,
    /// The shard's index has its 32nd bit set.
    ShardTooHigh {
        /// That index.
        shard: u32,
    },
    /// The two places of the shard disagree, or the reserved bits are not zero.
    Inconsistent,
}

impl SequenceNumber {
    /// Digits of every sequence number.
    pub const DIGITS: usize = DIGITS;

    /// The number with which a shard's `SequenceNumberRange` starts.
    #[must_use]
    pub fn starting(shard: ShardIndex, created_s: u64) -> Self {
        let record = RecordIndex::ZERO;
        Self { shard_created_s: created_s, shard, record, arrival_s: created_s }
    }

    /// The number with which the range of a closed shard ends; higher than any record's.
    #[must_use]
    pub fn ending(shard: ShardIndex, created_s: u64, closed_s: u64) -> Self {
        let record = RecordIndex::MAX;
        Self { shard_created_s: created_s, shard, record, arrival_s: closed_s }
    }

    /// Writes the 56 digits. Panics where a time is past its bound: our clock, our bug.
    pub fn encode(self, text: &mut [u8; DIGITS]) {
        assert!(self.shard_created_s < SHARD_CREATED_S_LIMIT);
        assert!(self.arrival_s < ARRIVAL_S_LIMIT);
        let shard = self.shard.get();
        let record = self.record.get();
        let low = VERSION
            | u128::from(shard) << SHARD_SHIFT
            | u128::from(self.arrival_s) << ARRIVAL_SHIFT
            | u128::from(record) << RECORD_SHIFT;
        let high = record >> RECORD_HIGH_SHIFT
            | u64::from(shard & 0xf) << NIBBLE_HIGH_SHIFT
            | self.shard_created_s << CREATED_HIGH_SHIFT
            | TOP << TOP_HIGH_SHIFT;
        decimal::write(Wide { high, low }, text);
    }

    /// The 56 digits.
    #[must_use]
    pub fn to_digits(self) -> [u8; DIGITS] {
        let mut text = [0; DIGITS];
        self.encode(&mut text);
        text
    }

    /// Reads what [`SequenceNumber::encode`] writes, and nothing else: a text that is accepted is
    /// what encoding its parts gives.
    ///
    /// # Errors
    /// Says what the text is instead.
    pub fn parse(text: &[u8]) -> Result<Self, SequenceNumberError> {
        const DIGITS_MAX: usize = 129;
        let has_leading_zero = text.len() > 1 && text[0] == b'0';
        if text.is_empty() || text.len() > DIGITS_MAX || has_leading_zero {
            return Err(SequenceNumberError::NotDecimal);
        }
        if !text.iter().all(u8::is_ascii_digit) {
            return Err(SequenceNumberError::NotDecimal);
        }
        match text.try_into() {
            Ok(digits) => Self::from_wide(decimal::read(digits)),
            Err(_) => Err(short_or_foreign(text)),
        }
    }

    fn from_wide(number: Wide) -> Result<Self, SequenceNumberError> {
        let Wide { high, low } = number;
        let shard = low_32(low >> SHARD_SHIFT);
        match (high >> TOP_HIGH_SHIFT, low & 0xf) {
            (TOP, VERSION) => {}
            (TOP, 1) => return Err(SequenceNumberError::Historic { version: 1, shard }),
            _ => return Err(SequenceNumberError::UnknownVersion),
        }
        let record = low_64(low >> RECORD_SHIFT) | high << RECORD_HIGH_SHIFT;
        if record > RecordIndex::MAX.get() {
            return Err(SequenceNumberError::RecordTooHigh);
        }
        let shard_created_s = high >> CREATED_HIGH_SHIFT & ((1 << 36) - 1);
        if shard_created_s >= SHARD_CREATED_S_LIMIT {
            let created_s = shard_created_s;
            return Err(SequenceNumberError::CreatedTooLate { created_s });
        }
        if shard > ShardIndex::MAX.get() {
            return Err(SequenceNumberError::ShardTooHigh { shard });
        }
        let nibble = high >> NIBBLE_HIGH_SHIFT & 0xf;
        let reserved = low >> RESERVED_SHIFT & 0xff;
        if nibble != u64::from(shard & 0xf) || reserved != 0 {
            return Err(SequenceNumberError::Inconsistent);
        }
        Ok(Self {
            shard_created_s,
            shard: ShardIndex::new(shard),
            record: RecordIndex::new(record),
            arrival_s: low_64(low >> ARRIVAL_SHIFT) & (ARRIVAL_S_LIMIT - 1),
        })
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.to_digits();
        f.write_str(str::from_utf8(&digits).expect("digits are ASCII"))
    }
}

/// What a decimal text of other than 56 digits is. Layout 0 is a 1 and 31 more hexadecimal digits,
/// of which 9 are the shard's creation and the last 4 the shard; the 1 may be missing.
fn short_or_foreign(text: &[u8]) -> SequenceNumberError {
    const ONE: u128 = 1 << 124;
    let text = str::from_utf8(text).expect("the caller has seen digits only");
    let Ok(number) = text.parse::<u128>() else {
        return SequenceNumberError::UnknownVersion;
    };
    if number >= 2 * ONE {
        return SequenceNumberError::UnknownVersion;
    }
    let created_s = low_64((number % ONE) >> 88);
    if created_s >= SHARD_CREATED_S_LIMIT {
        return SequenceNumberError::CreatedTooLate { created_s };
    }
    SequenceNumberError::Historic { version: 0, shard: low_32(number) & 0xffff }
}

fn low_64(number: u128) -> u64 {
    u64::try_from(number & u128::from(u64::MAX)).expect("masked to 64 bits")
}

fn low_32(number: u128) -> u32 {
    u32::try_from(number & u128::from(u32::MAX)).expect("masked to 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The 47 hexadecimal digits of a layout as decimal text, the slow and plain way.
    fn decimal_of(hex: &str) -> String {
        let mut digits = vec![0_u32];
        for nibble in hex.chars() {
            let mut carry = nibble.to_digit(16).unwrap();
            for digit in &mut digits {
                carry += *digit * 16;
                *digit = carry % 10;
                carry /= 10;
            }
            if carry > 0 {
                digits.extend([carry % 10, carry / 10]);
            }
            while digits.len() > 1 && digits.last() == Some(&0) {
                digits.pop();
            }
        }
        digits.iter().rev().map(|digit| char::from_digit(*digit, 10).unwrap()).collect()
    }

    #[test]
    fn numbers_that_aws_gave_out() {
        let check = |text: &str, created_s: u64, shard: u32, record: u64, arrival_s: u64| {
            let number = SequenceNumber {
                shard_created_s: created_s,
                shard: ShardIndex::new(shard),
                record: RecordIndex::new(record),
                arrival_s,
            };
            assert_eq!(SequenceNumber::parse(text.as_bytes()), Ok(number));
            assert_eq!(number.to_string(), text);
        };
        check(
            "49570889523503059275381512478863820069782211031140925442",
            1_488_269_257,
            0,
            663_152_097,
            1_491_587_454,
        );
        // AWS Lambda's guide to Kinesis events: shardId-000000000006, arrived at 1545084650.987
        // and 1545084711.166.
        check(
            "49590338271490256608559692538361571095921575989136588898",
            1_542_776_258,
            6,
            1_734_642_199,
            1_545_084_650,
        );
        check(
            "49590338271490256608559692540925702759324208523137515618",
            1_542_776_258,
            6,
            1_734_644_320,
            1_545_084_709,
        );
        // The examples of the API reference's PutRecords and of the guide to Lambda functions for
        // Kinesis Data Analytics.
        check(
            "49543463076548007577105092703039560359975228518395019266",
            1_411_403_981,
            0,
            5_501,
            1_411_431_220,
        );
        check(
            "49543463076570308322303623326179887152428262250726293522",
            1_411_403_981,
            1,
            5_500,
            1_411_431_220,
        );
        check(
            "49572672223665514422805246926656954630972486059535892482",
            1_493_265_447,
            0,
            34,
            1_493_276_937,
        );
    }

    #[test]
    fn texts_of_kcl_and_kinesalite() {
        let check = |text: &str, expected: SequenceNumberError| {
            assert_eq!(SequenceNumber::parse(text.as_bytes()), Err(expected), "{text}");
        };
        // KCL 3's SequenceNumberValidatorTest: another version, one digit less, one digit more.
        let kcl = [
            "74107425965128755728308386687147091174006956590945533954",
            "4958538998331216244379665794487200811415489956897252969",
            "495874973112745339945748342527421442361071306360078991381",
        ];
        for text in kcl {
            check(text, SequenceNumberError::UnknownVersion);
        }
        // What kinesalite's tests asked of AWS.
        check("0", SequenceNumberError::Historic { version: 0, shard: 0 });
        check("5", SequenceNumberError::Historic { version: 0, shard: 5 });
        let hex = |hex: &str, expected: SequenceNumberError| check(&decimal_of(hex), expected);
        hex(
            "13bb2cc3d80000000000000000000000",
            SequenceNumberError::CreatedTooLate { created_s: 16_025_175_000 },
        );
        hex("20000000000000000000000000000000000000000000000", SequenceNumberError::UnknownVersion);
        hex(
            "20000000000000000000000000000000000000000000001",
            SequenceNumberError::Historic { version: 1, shard: 0 },
        );
        hex("20000000000000000000000000000000000000000000003", SequenceNumberError::UnknownVersion);
        hex("20000000000000000000000000000000000000000000004", SequenceNumberError::UnknownVersion);
        hex("30000000000000000000000000000000000000000000002", SequenceNumberError::UnknownVersion);
        hex("1ffffffffff7fffffffffffffff000000000007fffffff2", SequenceNumberError::UnknownVersion);
        hex("20000000000800000000000000000000000000000000002", SequenceNumberError::RecordTooHigh);
        hex(
            "20000000000000000000000000000000000000800000002",
            SequenceNumberError::ShardTooHigh { shard: 1 << 31 },
        );
        hex(
            "2fffffffff07fffffffffffffff000000000000000000f2",
            SequenceNumberError::CreatedTooLate { created_s: 0xf_ffff_ffff },
        );
        // Numbers that nobody gave out: nibble and shard disagree, reserved bits set.
        hex("20000000001000000000000000000000000000000000002", SequenceNumberError::Inconsistent);
        hex("20000000000000000000000000001000000000000000002", SequenceNumberError::Inconsistent);
        let all_zero = decimal_of("20000000000000000000000000000000000000000000002");
        let expected = SequenceNumber::starting(ShardIndex::new(0), 0);
        assert_eq!(SequenceNumber::parse(all_zero.as_bytes()), Ok(expected));
    }

    #[test]
    fn texts_that_are_no_numbers() {
        let long = "1".repeat(130);
        for text in ["", "00", "01", "-1", "1 ", "LATEST", "SHARD_END", "1.0", long.as_str()] {
            let expected = Err(SequenceNumberError::NotDecimal);
            assert_eq!(SequenceNumber::parse(text.as_bytes()), expected, "{text}");
        }
        let expected = Err(SequenceNumberError::UnknownVersion);
        assert_eq!(SequenceNumber::parse("1".repeat(129).as_bytes()), expected);
    }

    fn any(random: &mut Random) -> SequenceNumber {
        SequenceNumber {
            shard_created_s: random.of_bits(36) % SHARD_CREATED_S_LIMIT,
            shard: ShardIndex::new(u32::try_from(random.of_bits(31)).unwrap()),
            record: RecordIndex::new(random.of_bits(63)),
            arrival_s: random.of_bits(36),
        }
    }

    #[test]
    fn encode_then_parse_and_the_layout_by_hand() {
        let mut random = Random::new(1);
        for _ in 0..50_000 {
            let number = any(&mut random);
            let text = number.to_digits();
            assert_eq!(SequenceNumber::parse(&text), Ok(number));
            let hex = format!(
                "2{:09x}{:x}{:016x}00{:09x}{:08x}2",
                number.shard_created_s,
                number.shard.get() & 0xf,
                number.record.get(),
                number.arrival_s,
                number.shard.get(),
            );
            assert_eq!(number.to_string(), decimal_of(&hex));
        }
    }

    #[test]
    fn any_bytes_never_panic_and_what_is_accepted_is_canonical() {
        let mut random = Random::new(2);
        for _ in 0..50_000 {
            // A right text with up to three bytes changed, or digits without rhyme.
            let mut text = any(&mut random).to_digits().to_vec();
            for _ in 0..random.below(4) {
                let place = usize::try_from(random.below(text.len() as u64)).unwrap();
                text[place] = b"0123456789x\xff"[usize::try_from(random.below(12)).unwrap()];
            }
            text.truncate(usize::try_from(random.below(200)).unwrap());
            if let Ok(number) = SequenceNumber::parse(&text) {
                assert_eq!(number.to_digits().as_slice(), text);
            }
        }
    }

    #[test]
    fn numbers_rise_within_a_shard_and_end_above_all_records() {
        let mut random = Random::new(3);
        for _ in 0..10_000 {
            let number = any(&mut random);
            let record = RecordIndex::new(random.of_bits(63));
            let other = SequenceNumber { record, arrival_s: random.of_bits(36), ..number };
            if number.record != other.record {
                let by_text = number.to_digits().cmp(&other.to_digits());
                assert_eq!(by_text, number.record.cmp(&other.record));
            }
            let (shard, created_s) = (number.shard, number.shard_created_s);
            let start = SequenceNumber::starting(shard, created_s);
            let end = SequenceNumber::ending(shard, created_s, number.arrival_s);
            assert!(start.to_digits() < end.to_digits());
            assert!(number.to_digits() <= end.to_digits());
        }
    }
}
