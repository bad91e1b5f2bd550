//! JSON 1.1: bodies to [`Value`]s, and the pieces that an answer is written with.
//!
//! Blobs are base64, moments are seconds with a fraction. Nothing here knows which is which:
//! that is for the table of members to say.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::timestamp::Timestamp;
use crate::value::{NotReadable, VALUES_MAX, Value};

/// Reads a whole body.
///
/// # Errors
/// Where it is not JSON, or goes past the bounds of [`crate::value`].
pub(crate) fn parse(body: &[u8]) -> Result<Value<'_>, NotReadable> {
    let left = Cell::new(VALUES_MAX);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Tree { left: &left }.deserialize(&mut deserializer).map_err(|_| NotReadable)?;
    deserializer.end().map_err(|_| NotReadable)?;
    Ok(value)
}

/// Writes a text with its quotes. Nearly every text has nothing to escape, and is copied.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    // Without an early end: so the compiler looks at many bytes at once.
    let is_plain =
        |is_plain: bool, &byte: &u8| is_plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\');
    if text.as_bytes().iter().fold(true, is_plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("a vector takes every text");
    }
}

/// Writes a whole number.
pub(crate) fn write_integer(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).expect("a digit is below 10");
        rest /= 10;
        if rest == 0 {
            return out.extend_from_slice(&digits[start..]);
        }
    }
}

/// Writes a moment as `Timestamp` prints itself.
pub(crate) fn write_timestamp(Timestamp(ms): Timestamp, out: &mut Vec<u8>) {
    if ms < 0 {
        // No record is that old.
        return out.extend_from_slice(Timestamp(ms).to_string().as_bytes());
    }
    write_integer(ms / 1000, out);
    let fraction = ms % 1000;
    if fraction == 0 {
        return;
    }
    let digit = |number: i64| b'0' + u8::try_from(number % 10).expect("a digit is below 10");
    out.push(b'.');
    out.extend_from_slice(&[digit(fraction / 100), digit(fraction / 10), digit(fraction)]);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Writes a blob with its quotes.
pub(crate) fn write_blob(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    base64_simd::STANDARD.encode_append(bytes, out);
    out.push(b'"');
}

/// Builds one value, and counts it.
#[derive(Clone, Copy)]
struct Tree<'c> {
    left: &'c Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many"))?;
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        // What is past an i64 is clamped to 32 bits later, or is a time in a far future.
        Ok(Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = access.next_key_seed(Name)? {
            members.push((name, access.next_value_seed(self)?));
        }
        Ok(Value::Map(members))
    }
}

/// Reads a member's name, without a copy where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.into())
    }

    #[test]
    fn bodies_that_are_json() {
        let check = |body: &str, expected: Value<'_>| {
            assert_eq!(parse(body.as_bytes()), Ok(expected), "{body}");
        };
        check("null", Value::Null);
        check(" true ", Value::Boolean(true));
        check("-7", Value::Integer(-7));
        check("18446744073709551615", Value::Integer(i64::MAX));
        check("1.5e3", Value::Float(1500.0));
        check(r#""a\"\u00e9\/""#, text("a\"é/"));
        check("[]", Value::List(vec![]));
        let members = vec![("a".into(), Value::Integer(1)), ("b".into(), Value::List(vec![]))];
        check(r#"{"a":1,"\u0062":[]}"#, Value::Map(members));
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let Ok(Value::List(values)) = parse(br#"["abc","a\n"]"#) else { panic!("it is a list") };
        assert!(matches!(values[0], Value::Text(Cow::Borrowed("abc"))));
        assert!(matches!(values[1], Value::Text(Cow::Owned(_))));
    }

    #[test]
    fn bodies_that_are_not() {
        let check = |body: &[u8]| assert_eq!(parse(body), Err(NotReadable));
        check(b"");
        check(b"hello");
        check(b"{} {}");
        check(b"{\"a\"}");
        check(b"\"\xff\"");
        check(b"{\"a\":1");
        check(b"[1,]");
        check(b"\"\x01\"");
    }

    #[test]
    fn too_deep_and_too_many() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parse(&nested(127)).is_ok());
        assert_eq!(parse(&nested(1000)), Err(NotReadable));
        let list = |count: usize| format!("[{}]", vec!["0"; count].join(",")).into_bytes();
        assert!(parse(&list(VALUES_MAX as usize - 1)).is_ok());
        assert_eq!(parse(&list(VALUES_MAX as usize)), Err(NotReadable));
    }

    #[test]
    fn texts_and_blobs_written() {
        let mut out = Vec::new();
        write_text("a\"\\\n\u{1}é", &mut out);
        write_blob(b"\xfb\xff", &mut out);
        write_blob(b"", &mut out);
        write_text("plain é", &mut out);
        write_text("", &mut out);
        assert_eq!(str::from_utf8(&out), Ok(r#""a\"\\\n\u0001é""+/8=""""plain é""""#));
    }

    #[test]
    fn numbers_and_moments_written_as_they_print() {
        let check = |number: i64| {
            let mut out = Vec::new();
            write_integer(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
            let mut out = Vec::new();
            write_timestamp(Timestamp(number), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), Timestamp(number).to_string());
        };
        [0, 1, 10, 100, 1000, 1001, -1, -1000, i64::MAX, i64::MIN].into_iter().for_each(check);
        let mut random = fastrand::Rng::with_seed(17);
        (0..100_000).for_each(|_| check(random.i64(..) >> random.u32(..64)));
    }
}
