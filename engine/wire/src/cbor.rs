//! CBOR as the AWS SDKs for Java speak it: bodies to [`Value`]s, and the pieces of an answer.
//!
//! A moment is tag 1 with **whole milliseconds**, though RFC 8949 says seconds: that is what AWS
//! sends and takes. Maps and lists may have indefinite lengths both ways; AWS's answers do.

use std::borrow::Cow;

use minicbor::data::{IanaTag, Tag, Type};
use minicbor::decode::{Decoder, Error};

use crate::timestamp::Timestamp;
use crate::value::{DEPTH_MAX, NotReadable, VALUES_MAX, Value};

/// Reads a whole body.
///
/// # Errors
/// Where it is not CBOR, goes past the bounds of [`crate::value`], or has what no AWS SDK sends: a
/// name that is no text, a tag other than a moment's.
pub(crate) fn parse(body: &[u8]) -> Result<Value<'_>, NotReadable> {
    let mut reader = Reader { decoder: Decoder::new(body), left: VALUES_MAX };
    let value = reader.value(DEPTH_MAX)?;
    if reader.decoder.position() == body.len() { Ok(value) } else { Err(NotReadable) }
}

struct Reader<'a> {
    decoder: Decoder<'a>,
    /// Values that there may still be.
    left: u32,
}

impl From<Error> for NotReadable {
    fn from(_: Error) -> Self {
        Self
    }
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: u32) -> Result<Value<'a>, NotReadable> {
        self.left = self.left.checked_sub(1).ok_or(NotReadable)?;
        let decoder = &mut self.decoder;
        Ok(match decoder.datatype()? {
            Type::Null => decoder.null().map(|()| Value::Null)?,
            Type::Undefined => decoder.undefined().map(|()| Value::Null)?,
            Type::Bool => Value::Boolean(decoder.bool()?),
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
                Value::Integer(i64::try_from(decoder.u64()?).unwrap_or(i64::MAX))
            }
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => Value::Integer(decoder.i64()?),
            // Below -2^63.
            Type::Int => decoder.int().map(|_| Value::Integer(i64::MIN))?,
            Type::F16 => Value::Float(f64::from(half(decoder)?)),
            Type::F32 => Value::Float(f64::from(decoder.f32()?)),
            Type::F64 => Value::Float(decoder.f64()?),
            Type::Bytes => Value::Bytes(Cow::Borrowed(decoder.bytes()?)),
            Type::BytesIndef => Value::Bytes(Cow::Owned(self.bytes()?)),
            Type::String | Type::StringIndef => Value::Text(self.text()?),
            Type::Tag => self.time()?,
            Type::Array | Type::ArrayIndef => self.list(depth)?,
            Type::Map | Type::MapIndef => self.map(depth)?,
            Type::Simple | Type::Break | Type::Unknown(_) => return Err(NotReadable),
        })
    }

    fn bytes(&mut self) -> Result<Vec<u8>, NotReadable> {
        let mut bytes = Vec::new();
        for piece in self.decoder.bytes_iter()? {
            bytes.extend_from_slice(piece?);
        }
        Ok(bytes)
    }

    fn text(&mut self) -> Result<Cow<'a, str>, NotReadable> {
        if self.decoder.datatype()? == Type::String {
            return Ok(Cow::Borrowed(self.decoder.str()?));
        }
        let mut text = String::new();
        for piece in self.decoder.str_iter()? {
            text.push_str(piece?);
        }
        Ok(Cow::Owned(text))
    }

    /// A fraction of a number is RFC 8949's: seconds. Nobody is known to send it.
    fn time(&mut self) -> Result<Value<'a>, NotReadable> {
        if self.decoder.tag()? != Tag::from(IanaTag::Timestamp) {
            return Err(NotReadable);
        }
        // One level: what follows a tag here is a number, never another tag.
        if self.decoder.datatype()? == Type::Tag {
            return Err(NotReadable);
        }
        match self.value(0)? {
            Value::Integer(ms) => Ok(Value::Time(Timestamp(ms))),
            Value::Float(seconds) => Ok(Value::Time(Timestamp::from_seconds(seconds))),
            _ => Err(NotReadable),
        }
    }

    fn list(&mut self, depth: u32) -> Result<Value<'a>, NotReadable> {
        let depth = depth.checked_sub(1).ok_or(NotReadable)?;
        let count = self.decoder.array()?;
        let mut values = Vec::new();
        while self.goes_on(count, values.len())? {
            values.push(self.value(depth)?);
        }
        Ok(Value::List(values))
    }

    fn map(&mut self, depth: u32) -> Result<Value<'a>, NotReadable> {
        let depth = depth.checked_sub(1).ok_or(NotReadable)?;
        let count = self.decoder.map()?;
        let mut members = Vec::new();
        while self.goes_on(count, members.len())? {
            members.push((self.text()?, self.value(depth)?));
        }
        Ok(Value::Map(members))
    }

    /// Whether another element follows. `count` is none where the length is indefinite: then a
    /// break ends it, which is taken.
    fn goes_on(&mut self, count: Option<u64>, found: usize) -> Result<bool, NotReadable> {
        match count {
            Some(count) => Ok((found as u64) < count),
            None if self.decoder.datatype()? == Type::Break => {
                self.decoder.set_position(self.decoder.position() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

/// A float of 16 bits, which minicbor reads only with a dependency more.
fn half(decoder: &mut Decoder<'_>) -> Result<f32, NotReadable> {
    let position = decoder.position();
    let bytes = decoder.input().get(position + 1..position + 3).ok_or(NotReadable)?;
    decoder.set_position(position + 3);
    let bits = u16::from_be_bytes([bytes[0], bytes[1]]);
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => mantissa * 2_f32.powi(-24),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (mantissa + 1024.0) * 2_f32.powi(exponent - 25),
    };
    Ok(if bits >> 15 == 1 { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &[u8], expected: Result<Value<'_>, NotReadable>) {
        assert_eq!(parse(body), expected, "{body:02x?}");
    }

    #[test]
    fn scalars() {
        check(&[0xf6], Ok(Value::Null));
        check(&[0xf7], Ok(Value::Null));
        check(&[0xf5], Ok(Value::Boolean(true)));
        check(&[0x18, 0x64], Ok(Value::Integer(100)));
        check(&[0x39, 0x01, 0xf3], Ok(Value::Integer(-500)));
        check(&[0x1b, 255, 255, 255, 255, 255, 255, 255, 255], Ok(Value::Integer(i64::MAX)));
        check(&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255], Ok(Value::Integer(i64::MIN)));
        check(&[0xfa, 0x47, 0xc3, 0x50, 0x00], Ok(Value::Float(100_000.0)));
        check(&[0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a], Ok(Value::Float(1.1)));
        // RFC 8949, appendix A.
        check(&[0xf9, 0x3e, 0x00], Ok(Value::Float(1.5)));
        check(&[0xf9, 0x7b, 0xff], Ok(Value::Float(65_504.0)));
        check(&[0xf9, 0x00, 0x01], Ok(Value::Float(5.960_464_477_539_063e-8)));
        check(&[0xf9, 0xc4, 0x00], Ok(Value::Float(-4.0)));
        check(&[0xf9, 0xfc, 0x00], Ok(Value::Float(f64::NEG_INFINITY)));
    }

    #[test]
    fn texts_and_bytes_in_one_piece_and_in_many() {
        check(&[0x63, b'a', b'b', b'c'], Ok(Value::Text("abc".into())));
        check(&[0x7f, 0x61, b'a', 0x62, b'b', b'c', 0xff], Ok(Value::Text("abc".into())));
        check(&[0x43, 1, 2, 3], Ok(Value::Bytes(Cow::Borrowed(&[1, 2, 3]))));
        check(&[0x5f, 0x41, 1, 0x42, 2, 3, 0xff], Ok(Value::Bytes(Cow::Borrowed(&[1, 2, 3]))));
        check(&[0x61, 0xff], Err(NotReadable));
        check(&[0x63, b'a'], Err(NotReadable));
    }

    #[test]
    fn moments_are_milliseconds() {
        let ms = [0xc1, 0x1b, 0x00, 0x00, 0x01, 0x4f, 0x8f, 0x1e, 0x1b, 0x73];
        check(&ms, Ok(Value::Time(Timestamp(1_441_215_159_155))));
        let seconds = [0xc1, 0xfb, 0x41, 0xd4, 0x52, 0xd9, 0xec, 0x20, 0x00, 0x00];
        check(&seconds, Ok(Value::Time(Timestamp(1_363_896_240_500))));
        check(&[0xc1, 0xc1, 0x00], Err(NotReadable));
        check(&[0xc1, 0x61, b'a'], Err(NotReadable));
        check(&[0xc2, 0x41, 1], Err(NotReadable));
    }

    #[test]
    fn lists_and_maps_of_either_length() {
        let list = || Value::List(vec![Value::Integer(1), Value::Integer(2)]);
        check(&[0x82, 1, 2], Ok(list()));
        check(&[0x9f, 1, 2, 0xff], Ok(list()));
        let map = || Value::Map(vec![("a".into(), list()), ("b".into(), Value::Null)]);
        check(&[0xa2, 0x61, b'a', 0x82, 1, 2, 0x61, b'b', 0xf6], Ok(map()));
        check(&[0xbf, 0x61, b'a', 0x9f, 1, 2, 0xff, 0x61, b'b', 0xf6, 0xff], Ok(map()));
        check(&[0xa1, 1, 2], Err(NotReadable));
        check(&[0xbf, 0x61, b'a', 0xff], Err(NotReadable));
        check(&[0x9f, 1], Err(NotReadable));
        check(&[0xff], Err(NotReadable));
        check(&[1, 1], Err(NotReadable));
        check(&[], Err(NotReadable));
        // A length that no body has.
        check(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255, 1], Err(NotReadable));
        check(&[0x5b, 255, 255, 255, 255, 255, 255, 255, 255, 1], Err(NotReadable));
    }

    #[test]
    fn too_deep_and_too_many() {
        let nested = |depth: usize| [vec![0x81; depth], vec![0x80]].concat();
        assert!(parse(&nested(127)).is_ok());
        check(&nested(128), Err(NotReadable));
        check(&nested(1_000_000), Err(NotReadable));
        let list = |count: usize| [vec![0x9f], vec![0; count], vec![0xff]].concat();
        assert!(parse(&list(VALUES_MAX as usize - 1)).is_ok());
        check(&list(VALUES_MAX as usize), Err(NotReadable));
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let mut body = vec![0; random.usize(..40)];
            random.fill(&mut body);
            let _is_read = parse(&body).is_ok();
        }
    }
}
