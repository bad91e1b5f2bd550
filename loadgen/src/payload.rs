//! The data of a record: a header that tells which record it is, and a body that nobody can guess.
//!
//! ```text
//! full form, 48 bytes or more, little-endian
//!   0 magic  4 run        12 producer  16 sequence  24 intended ns  32 body bytes  36 xxh3  44 0
//!   |  "GYRE"| u64        | u32        | u64        | since t0, u64 | u32          | u64    | u32 |
//! short form, 16 to 47 bytes
//!   0 run u16   2 producer u16   4 sequence u48   10 xxh3 u48   16 body
//! below 16 bytes: a body alone. Such records are only counted.
//! ```
//!
//! The checksum covers everything but itself. A body is a stretch of one seeded buffer, at an offset
//! that the record's identity draws: a copy, no generator runs per byte. The header is 48 bytes and
//! offsets are multiples of 3 so that both stay whole groups of base64.

use crate::random::{Random, mix, scramble};
use crate::record::Identity;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the full form's header.
pub const HEADER_BYTES: usize = 48;

/// Bytes of the short form's header.
pub const SHORT_HEADER_BYTES: usize = 16;

/// Different offsets at which a body may start in the buffer.
const BODY_OFFSETS: u64 = 4096;
const BODY_OFFSET_STEP: usize = 3;
const BODY_BUFFER_EXTRA_BYTES: usize = 12_288;

const MAGIC: [u8; 4] = *b"GYRE";
const CHECKSUM_AT: usize = 36;
const CHECKSUM_END: usize = 44;
const SHORT_CHECKSUM_AT: usize = 10;
const SEQUENCE_48_BITS_MAX: u64 = (1 << 48) - 1;

const _: () = assert!(HEADER_BYTES.is_multiple_of(3));
const _: () = assert!((BODY_OFFSETS as usize - 1) * BODY_OFFSET_STEP <= BODY_BUFFER_EXTRA_BYTES);

/// What can be said of a record by its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Everything.
    Full,
    /// Who it is, with 16 bits of run and producer, and whether it is whole.
    Short,
    /// Nothing: records are counted.
    Counted,
}

impl Form {
    /// The form that fits so many bytes of data.
    #[must_use]
    pub const fn of(data_bytes: usize) -> Self {
        if data_bytes >= HEADER_BYTES {
            Self::Full
        } else if data_bytes >= SHORT_HEADER_BYTES {
            Self::Short
        } else {
            Self::Counted
        }
    }
}

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Which record it is.
    pub record: Identity,
    /// When it was meant to be sent, in nanoseconds since t0; the short form does not say.
    pub intended_ns: Option<u64>,
}

/// Why data is not a record of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// Of another length than the run's records.
    Length {
        /// Bytes that came back.
        bytes: usize,
    },
    /// The first four bytes are not ours.
    Magic,
    /// Whole, but of another run.
    ForeignRun,
    /// The header's length of the body is not the body's.
    BodyBytes,
    /// Checksum and content differ.
    Checksum,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { bytes } => write!(f, "came back with {bytes} bytes"),
            Self::Magic => f.write_str("does not start as our records do"),
            Self::ForeignRun => f.write_str("belongs to another run"),
            Self::BodyBytes => f.write_str("has a body of another length than its header says"),
            Self::Checksum => f.write_str("does not match its checksum"),
        }
    }
}

/// Makes and reads the data of one run's records.
#[derive(Clone, Debug)]
pub struct Payloads {
    seed: u64,
    run: u64,
    body: Vec<u8>,
}

impl Payloads {
    /// The payloads of a run for records of up to `record_bytes_max`. Two runs on one stream differ
    /// in `run`; the same seed gives the same bodies.
    #[must_use]
    pub fn new(seed: u64, run: u64, record_bytes_max: u32) -> Self {
        let bytes = usize::try_from(record_bytes_max).expect("usize has at least 32 bits here");
        let mut random = Random::new(seed ^ 0x626f_6479_626f_6479);
        let mut body = Vec::with_capacity(bytes + BODY_BUFFER_EXTRA_BYTES + 8);
        while body.len() < bytes + BODY_BUFFER_EXTRA_BYTES {
            body.extend_from_slice(&random.bits().to_le_bytes());
        }
        Self { seed, run, body }
    }

    /// Appends the data of a record, `data_bytes` long, to an arena that has room for it.
    #[inline]
    pub fn append(
        &self,
        record: Identity,
        intended_ns: u64,
        data_bytes: usize,
        arena: &mut Vec<u8>,
    ) {
        match Form::of(data_bytes) {
            Form::Full => self.append_full(record, intended_ns, data_bytes, arena),
            Form::Short => self.append_short(record, data_bytes, arena),
            Form::Counted => arena.extend_from_slice(self.body_of(record, data_bytes)),
        }
    }

    fn append_full(
        &self,
        record: Identity,
        intended_ns: u64,
        data_bytes: usize,
        arena: &mut Vec<u8>,
    ) {
        let body = self.body_of(record, data_bytes - HEADER_BYTES);
        let body_bytes = u32::try_from(body.len()).expect("a record has at most 10 MiB");
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4..12].copy_from_slice(&self.run.to_le_bytes());
        header[12..16].copy_from_slice(&record.producer.to_le_bytes());
        header[16..24].copy_from_slice(&record.sequence.to_le_bytes());
        header[24..32].copy_from_slice(&intended_ns.to_le_bytes());
        header[32..36].copy_from_slice(&body_bytes.to_le_bytes());
        let start = arena.len();
        arena.extend_from_slice(&header);
        arena.extend_from_slice(body);
        let data = &mut arena[start..];
        let sum = checksum(&data[..CHECKSUM_AT], &data[CHECKSUM_END..]);
        data[CHECKSUM_AT..CHECKSUM_END].copy_from_slice(&sum.to_le_bytes());
    }

    fn append_short(&self, record: Identity, data_bytes: usize, arena: &mut Vec<u8>) {
        let producer = u16::try_from(record.producer).expect("the plan has at most 65,536");
        assert!(record.sequence <= SEQUENCE_48_BITS_MAX, "a plan has at most 2^48 records");
        let mut header = [0; SHORT_HEADER_BYTES];
        header[..2].copy_from_slice(&self.run.to_le_bytes()[..2]);
        header[2..4].copy_from_slice(&producer.to_le_bytes());
        header[4..10].copy_from_slice(&record.sequence.to_le_bytes()[..6]);
        let body = self.body_of(record, data_bytes - SHORT_HEADER_BYTES);
        let sum = checksum(&header[..SHORT_CHECKSUM_AT], body);
        header[SHORT_CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes()[..6]);
        arena.extend_from_slice(&header);
        arena.extend_from_slice(body);
    }

    fn body_of(&self, record: Identity, bytes: usize) -> &[u8] {
        let draw = mix(self.seed, record.producer, record.sequence) % BODY_OFFSETS;
        let start = BODY_OFFSET_STEP * usize::try_from(draw).expect("below 4,096");
        &self.body[start..start + bytes]
    }

    /// Reads data back and checks every bit of it. Not for the counted form.
    ///
    /// # Errors
    /// Where it is not whole or not of this run.
    #[inline]
    pub fn decode(&self, data: &[u8]) -> Result<Decoded, Corruption> {
        match Form::of(data.len()) {
            Form::Full => self.decode_full(data),
            Form::Short => self.decode_short(data),
            Form::Counted => Err(Corruption::Length { bytes: data.len() }),
        }
    }

    /// The record that data says it is, whether or not it is whole; `None` where the form says
    /// nothing. For naming what is damaged.
    #[must_use]
    pub fn claimed(&self, data: &[u8]) -> Option<Identity> {
        match Form::of(data.len()) {
            Form::Full => Some(Identity { producer: u32_at(data, 12), sequence: u64_at(data, 16) }),
            Form::Short => Some(short_identity(data)),
            Form::Counted => None,
        }
    }

    fn decode_full(&self, data: &[u8]) -> Result<Decoded, Corruption> {
        if data[..4] != MAGIC {
            return Err(Corruption::Magic);
        }
        if checksum(&data[..CHECKSUM_AT], &data[CHECKSUM_END..]) != u64_at(data, CHECKSUM_AT) {
            return Err(Corruption::Checksum);
        }
        if usize::try_from(u32_at(data, 32)) != Ok(data.len() - HEADER_BYTES) {
            return Err(Corruption::BodyBytes);
        }
        if u64_at(data, 4) != self.run {
            return Err(Corruption::ForeignRun);
        }
        let record = Identity { producer: u32_at(data, 12), sequence: u64_at(data, 16) };
        Ok(Decoded { record, intended_ns: intended_ns(data) })
    }

    fn decode_short(&self, data: &[u8]) -> Result<Decoded, Corruption> {
        let (header, body) = data.split_at(SHORT_HEADER_BYTES);
        let sum = checksum(&header[..SHORT_CHECKSUM_AT], body);
        if sum.to_le_bytes()[..6] != header[SHORT_CHECKSUM_AT..] {
            return Err(Corruption::Checksum);
        }
        if header[..2] != self.run.to_le_bytes()[..2] {
            return Err(Corruption::ForeignRun);
        }
        Ok(Decoded { record: short_identity(data), intended_ns: None })
    }
}

/// When the full form says that its record was meant, in nanoseconds since t0; `None` where it does
/// not begin as our records do. Nothing else is checked.
#[inline]
#[must_use]
pub fn intended_ns(data: &[u8]) -> Option<u64> {
    (data[..4] == MAGIC).then(|| u64_at(data, 24))
}

/// The record that the short form says it is. Nothing is checked.
#[inline]
#[must_use]
pub fn short_identity(data: &[u8]) -> Identity {
    let producer = u32::from(u16::from_le_bytes([data[2], data[3]]));
    Identity { producer, sequence: u64_at(data, 2) >> 16 }
}

/// One checksum out of two stretches, so that the field between them need not be blanked.
#[inline]
fn checksum(head: &[u8], rest: &[u8]) -> u64 {
    scramble(xxh3_64(head)) ^ xxh3_64(rest)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Identity = Identity { producer: 3, sequence: 0x0102_0304_0506 };

    fn encode(payloads: &Payloads, record: Identity, data_bytes: usize) -> Vec<u8> {
        let mut arena = Vec::new();
        payloads.append(record, 1_234_567, data_bytes, &mut arena);
        arena
    }

    #[test]
    fn every_length_comes_back() {
        let payloads = Payloads::new(42, 0xfeed_beef, 2_000);
        for data_bytes in (16..200).chain([1_024, 2_000]) {
            let data = encode(&payloads, RECORD, data_bytes);
            assert_eq!(data.len(), data_bytes);
            let decoded = payloads.decode(&data).unwrap();
            assert_eq!(decoded.record, RECORD);
            let full = data_bytes >= HEADER_BYTES;
            assert_eq!(decoded.intended_ns, full.then_some(1_234_567));
        }
        for data_bytes in 0..16 {
            let data = encode(&payloads, RECORD, data_bytes);
            let length = Err(Corruption::Length { bytes: data_bytes });
            assert_eq!(payloads.decode(&data), length);
        }
    }

    #[test]
    fn the_layout_stays() {
        let payloads = Payloads::new(42, 0x1122_3344_5566_7788, 100);
        let data = encode(&payloads, RECORD, 100);
        assert_eq!(data[..4], *b"GYRE");
        assert_eq!(data[4..12], [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
        assert_eq!(data[12..16], [3, 0, 0, 0]);
        assert_eq!(data[16..24], [6, 5, 4, 3, 2, 1, 0, 0]);
        assert_eq!(data[24..32], [0x87, 0xd6, 0x12, 0, 0, 0, 0, 0]);
        assert_eq!(data[32..36], [52, 0, 0, 0]);
        assert_eq!(data[44..48], [0; 4]);
        let short = encode(&payloads, RECORD, 20);
        assert_eq!(short[..10], [0x88, 0x77, 3, 0, 6, 5, 4, 3, 2, 1]);
        assert_eq!(short[16..], data[48..52], "both bodies start at the record's offset");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let payloads = Payloads::new(42, 7, 120);
        for data_bytes in [16, 17, 47, 48, 49, 120] {
            let mut data = encode(&payloads, RECORD, data_bytes);
            for bit in 0..data.len() * 8 {
                data[bit / 8] ^= 1 << (bit % 8);
                assert!(payloads.decode(&data).is_err(), "bit {bit} of {data_bytes} bytes");
                data[bit / 8] ^= 1 << (bit % 8);
            }
            assert!(payloads.decode(&data).is_ok());
        }
    }

    #[test]
    fn another_run_and_another_length_are_told_apart() {
        let (ours, theirs) = (Payloads::new(42, 7, 120), Payloads::new(42, 8, 120));
        for data_bytes in [16, 48] {
            let data = encode(&theirs, RECORD, data_bytes);
            assert_eq!(ours.decode(&data), Err(Corruption::ForeignRun));
        }
        let data = encode(&ours, RECORD, 120);
        assert!(ours.decode(&data[..119]).is_err());
        assert!(ours.decode(&data[..30]).is_err());
        assert!(ours.decode(&[data.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn bytes_that_are_no_record_never_panic() {
        let payloads = Payloads::new(1, 1, 100);
        let mut random = Random::new(5);
        for _ in 0..20_000 {
            let bytes = random.below(130);
            let data: Vec<u8> = (0..bytes).map(|_| random.bits().to_le_bytes()[0]).collect();
            assert!(payloads.decode(&data).is_err());
        }
    }

    #[test]
    fn bodies_differ_by_record_and_seed() {
        let payloads = Payloads::new(42, 7, 100);
        let next = Identity { sequence: RECORD.sequence + 1, ..RECORD };
        let body = |payloads: &Payloads, record| encode(payloads, record, 100)[48..].to_vec();
        assert_ne!(body(&payloads, RECORD), body(&payloads, next));
        assert_ne!(body(&payloads, RECORD), body(&Payloads::new(43, 7, 100), RECORD));
        assert_eq!(body(&payloads, RECORD), body(&Payloads::new(42, 9, 100), RECORD));
    }
}
