//! JSON 1.1: bodies to [`Value`]s, and the pieces that an answer is written with.
//!
//! Blobs are base64, moments are seconds with a fraction. Nothing here knows which is which:
//! that is for the table of members to say.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

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

/// Writes a text with its quotes.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a vector takes every text");
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
        assert_eq!(str::from_utf8(&out), Ok(r#""a\"\\\n\u0001é""+/8=""""#));
    }
}
