//! Little-endian fields at fixed offsets of a byte slice.
//!
//! Callers pass slices that are long enough by construction; an offset past the end is our bug and
//! panics.

/// Borrowed bytes of an encoded structure.
pub(crate) type Bytes<'a> = &'a [u8];

macro_rules! field {
    ($read:ident, $write:ident, $integer:ty) => {
        pub(crate) fn $read(bytes: Bytes<'_>, at: usize) -> $integer {
            let field = &bytes[at..at + size_of::<$integer>()];
            <$integer>::from_le_bytes(field.try_into().expect("the slice has the integer's length"))
        }

        pub(crate) fn $write(bytes: &mut [u8], at: usize, value: $integer) {
            bytes[at..at + size_of::<$integer>()].copy_from_slice(&value.to_le_bytes());
        }
    };
}

field!(read_u16, write_u16, u16);
field!(read_u32, write_u32, u32);
field!(read_u64, write_u64, u64);
