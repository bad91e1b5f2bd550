//! Records that say who they are: key and data follow from a number that no other record has.
//!
//! A reader's bytes are compared with what the number says, so that a lost, a doubled and an
//! altered record all show, down to a sector that stands in the wrong place.

/// Names one record of a seed; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId(pub u64);

/// The number's digits, with which every key starts; no key is shorter.
pub const KEY_BYTES_MIN: usize = 16;

/// Adds the record's key of `bytes` bytes to `out`.
pub fn push_key(out: &mut Vec<u8>, id: RecordId, bytes: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    assert!(bytes >= KEY_BYTES_MIN);
    let digit = |place: u32| DIGITS[(id.0 >> (60 - 4 * place) & 15) as usize];
    out.extend((0..16).map(digit));
    out.resize(out.len() + bytes - KEY_BYTES_MIN, b'k');
}

/// The record that a key names, if it is one of ours.
pub fn id_of(key: &[u8]) -> Option<RecordId> {
    let digits = std::str::from_utf8(key.get(..KEY_BYTES_MIN)?).ok()?;
    u64::from_str_radix(digits, 16).ok().map(RecordId)
}

/// Adds the record's data of `bytes` bytes to `out`.
pub fn push_data(out: &mut Vec<u8>, id: RecordId, bytes: usize) {
    let start = out.len();
    out.resize(start + bytes, 0);
    for (ordinal, part) in out[start..].chunks_mut(8).enumerate() {
        part.copy_from_slice(&word(id, ordinal)[..part.len()]);
    }
}

/// Whether `data` is what [`push_data`] wrote.
pub fn is_data_of(id: RecordId, data: &[u8]) -> bool {
    let mut parts = data.chunks(8).enumerate();
    parts.all(|(ordinal, part)| *part == word(id, ordinal)[..part.len()])
}

/// No two places of two records hold the same word but by a chance of 2^-64.
fn word(id: RecordId, ordinal: usize) -> [u8; 8] {
    let place = (ordinal as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (id.0 ^ 0x5851_f42d_4c95_7f2d).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (value.rotate_left(29) ^ place).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_record() {
        for id in [0, 1, 0xfeed_beef, u64::MAX].map(RecordId) {
            let mut key = Vec::new();
            push_key(&mut key, id, 20);
            assert_eq!(key.len(), 20);
            assert_eq!(id_of(&key), Some(id));
        }
        assert_eq!(id_of(b"short"), None);
        assert_eq!(id_of(b"not a number of ours"), None);
    }

    #[test]
    fn every_altered_byte_shows() {
        let mut data = Vec::new();
        push_data(&mut data, RecordId(7), 100);
        assert!(is_data_of(RecordId(7), &data));
        assert!(!is_data_of(RecordId(8), &data));
        for at in 0..data.len() {
            data[at] ^= 1;
            assert!(!is_data_of(RecordId(7), &data));
            data[at] ^= 1;
        }
    }
}
