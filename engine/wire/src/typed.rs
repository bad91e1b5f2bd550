//! From the tree of a body to the types of the API's model: `SerializationException`.
//!
//! What a type may be given as, and every text of refusal, is AWS's as kinesalite 3.3.3's tests
//! recorded it. Members that the model does not know are ignored, and null is the same as absent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::schema::{Member, Shape};
use crate::timestamp::Timestamp;
use crate::value::Value;

/// A value of one of the model's types.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed<'a> {
    /// A text, or one of an enumeration.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A moment.
    Timestamp(Timestamp),
    /// Bytes, no longer base64.
    Blob(Cow<'a, [u8]>),
    /// Values in order, with nulls.
    List(Vec<Option<Typed<'a>>>),
    /// Texts by name, nulls left out.
    Map(BTreeMap<Cow<'a, str>, Cow<'a, str>>),
    /// One for each member of the table, in its order.
    Structure(Vec<Option<Typed<'a>>>),
}

/// Why a value is not of its member's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeError {
    /// A value of another type.
    Class {
        /// What it is, as Java calls it.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A text that says neither yes nor no.
    NotBoolean {
        /// In capitals, as AWS prints it.
        text: Box<str>,
    },
    /// A text that is not base64.
    NotBase64 {
        /// As the client wrote it, cut off where it is long.
        text: Box<str>,
        /// What is wrong.
        reason: NotBase64,
    },
    /// A list where there should be none.
    List,
    /// A structure or map where there should be none.
    Structure,
    /// No list where there should be one.
    NotList,
    /// No map where there should be one.
    NotMap,
    /// No structure where there should be one.
    NotStructure,
}

/// Why a text is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotBase64 {
    /// Not a multiple of four characters.
    Length(usize),
    /// A character that it does not have, or an end in the middle.
    Character(char),
    /// Bits after the last byte.
    LastCharacter,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class { found, wanted } => {
                write!(f, "class {found} can not be converted to {wanted}")
            }
            Self::NotBoolean { text } => write!(f, "'{text}' can not be converted to an Boolean"),
            Self::NotBase64 { text, reason } => {
                write!(f, "'{text}' can not be converted to a Blob: {reason}")
            }
            Self::List => f.write_str("Start of list found where not expected"),
            Self::Structure => f.write_str("Start of structure or map found where not expected."),
            Self::NotList => f.write_str("Expected list or null"),
            Self::NotMap => f.write_str("Expected map or null"),
            Self::NotStructure => f.write_str("Expected null"),
        }
    }
}

impl fmt::Display for NotBase64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(found) => write!(
                f,
                "Base64 encoded length is expected a multiple of 4 bytes but found: {found}",
            ),
            Self::Character(found) => write!(f, "Invalid Base64 character: '{found}'"),
            // The letters are AWS's.
            Self::LastCharacter => f.write_str("Invalid last non-pad Base64 character dectected"),
        }
    }
}

/// Characters of a client's text that a refusal repeats: AWS repeats all, and a client that sends
/// megabytes of nonsense should not get them back.
pub const SHOWN_CHARACTERS_MAX: usize = 4096;

/// The text as a refusal repeats it.
#[must_use]
pub(crate) fn shown(text: &str) -> Box<str> {
    let end = text.char_indices().nth(SHOWN_CHARACTERS_MAX).map_or(text.len(), |(end, _)| end);
    text[..end].into()
}

/// Reads a structure's members, in the order of the table.
///
/// # Errors
/// The first value, in the order of the table, that is of another type.
pub fn structure<'a>(
    value: Value<'a>,
    members: &[Member],
) -> Result<Vec<Option<Typed<'a>>>, TypeError> {
    let mut given = match value {
        Value::Map(given) => given,
        Value::List(_) => return Err(TypeError::List),
        _ => return Err(TypeError::NotStructure),
    };
    let take = |member: &Member| {
        let value = given.iter_mut().rfind(|(name, _)| name == member.name);
        let value = value.map_or(Value::Null, |(_, value)| std::mem::replace(value, Value::Null));
        typed(value, member.shape)
    };
    members.iter().map(take).collect()
}

fn typed<'a>(value: Value<'a>, shape: &Shape) -> Result<Option<Typed<'a>>, TypeError> {
    if value == Value::Null {
        return Ok(None);
    }
    let typed = match shape {
        Shape::Text { .. } | Shape::OneOf(_) => Typed::Text(text(value)?),
        Shape::Integer { .. } => {
            Typed::Integer(integer(value, "an Integer")?.clamp(I32_MIN, I32_MAX))
        }
        Shape::Long => Typed::Integer(integer(value, "an Long")?),
        Shape::Boolean => Typed::Boolean(boolean(value)?),
        Shape::Timestamp => Typed::Timestamp(timestamp(value)?),
        Shape::Blob { .. } => Typed::Blob(blob(value)?),
        Shape::List { element, .. } => match value {
            Value::List(values) => {
                let each = |value| typed(value, element);
                Typed::List(values.into_iter().map(each).collect::<Result<_, _>>()?)
            }
            Value::Map(_) => return Err(TypeError::Structure),
            _ => return Err(TypeError::NotList),
        },
        Shape::Map { .. } => match value {
            Value::Map(members) => Typed::Map(map(members)?),
            Value::List(_) => return Err(TypeError::List),
            _ => return Err(TypeError::NotMap),
        },
        Shape::Structure(members) => Typed::Structure(structure(value, members)?),
    };
    Ok(Some(typed))
}

const I32_MIN: i64 = i32::MIN as i64;
const I32_MAX: i64 = i32::MAX as i64;

fn text(value: Value<'_>) -> Result<Cow<'_, str>, TypeError> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(not(&other, "an String")),
    }
}

/// Fractions are cut off.
fn integer(value: Value<'_>, wanted: &'static str) -> Result<i64, TypeError> {
    match value {
        Value::Integer(number) => Ok(number),
        #[expect(clippy::cast_possible_truncation, reason = "`as` cuts and saturates, as AWS does")]
        Value::Float(number) => Ok(number as i64),
        other => Err(not(&other, wanted)),
    }
}

fn boolean(value: Value<'_>) -> Result<bool, TypeError> {
    match value {
        Value::Boolean(value) => Ok(value),
        Value::Text(text) => match shown(&text).to_uppercase().as_str() {
            "TRUE" | "YES" | "1" => Ok(true),
            "FALSE" | "NO" | "0" => Ok(false),
            other => Err(TypeError::NotBoolean { text: other.into() }),
        },
        other => Err(not(&other, "an Boolean")),
    }
}

/// Seconds where it is a number.
fn timestamp(value: Value<'_>) -> Result<Timestamp, TypeError> {
    match value {
        Value::Integer(seconds) => Ok(Timestamp(seconds.saturating_mul(1000))),
        Value::Float(seconds) => Ok(Timestamp::from_seconds(seconds)),
        Value::Time(time) => Ok(time),
        other => Err(not(&other, "milliseconds since epoch")),
    }
}

fn blob(value: Value<'_>) -> Result<Cow<'_, [u8]>, TypeError> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Text(text) => match base64_simd::STANDARD.decode_to_vec(text.as_bytes()) {
            Ok(bytes) => Ok(Cow::Owned(bytes)),
            Err(_) => Err(not_base64(&text)),
        },
        other => Err(not(&other, "a Blob")),
    }
}

/// What is wrong with a text that is not base64.
#[cold]
pub(crate) fn not_base64(text: &str) -> TypeError {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let body = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let reason = if text.len().is_multiple_of(4) {
        let wrong = body.chars().find(|&c| !is_digit(c));
        wrong.map_or(NotBase64::LastCharacter, NotBase64::Character)
    } else {
        NotBase64::Length(text.chars().count())
    };
    TypeError::NotBase64 { text: shown(text), reason }
}

fn map<'a>(
    members: Vec<(Cow<'a, str>, Value<'a>)>,
) -> Result<BTreeMap<Cow<'a, str>, Cow<'a, str>>, TypeError> {
    let mut texts = BTreeMap::new();
    for (name, value) in members {
        if value != Value::Null {
            texts.insert(name, text(value)?);
        }
    }
    Ok(texts)
}

fn not(value: &Value<'_>, wanted: &'static str) -> TypeError {
    let found = match value {
        Value::List(_) => return TypeError::List,
        Value::Map(_) => return TypeError::Structure,
        Value::Null => unreachable!("null is absent"),
        Value::Boolean(_) => "java.lang.Boolean",
        Value::Integer(_) | Value::Float(_) => {
            "com.amazon.coral.value.json.numbers.TruncatingBigNumber"
        }
        Value::Text(_) => "java.lang.String",
        // Only in CBOR, for which no text is recorded: what Java calls these.
        Value::Bytes(_) => "java.nio.HeapByteBuffer",
        Value::Time(_) => "java.util.Date",
    };
    TypeError::Class { found, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use model::api_error::Bounds;

    /// The text of refusal of a JSON value for a shape, or the typed value.
    fn read(value: &str, shape: &'static Shape) -> Result<Option<Typed<'static>>, String> {
        let member = [Member { name: "A", shape, is_required: false }];
        let body = format!("{{\"A\":{value}}}").leak();
        let value = json::parse(body.as_bytes()).unwrap();
        structure(value, &member)
            .map(|mut values| values.remove(0))
            .map_err(|error| error.to_string())
    }

    fn refused(shape: &'static Shape, cases: &[(&str, &str)]) {
        for (value, expected) in cases {
            assert_eq!(read(value, shape), Err((*expected).to_owned()), "{value}");
        }
    }

    const TEXT: Shape = Shape::Text { length: None, pattern: None };
    const LIST: &str = "Start of list found where not expected";
    const STRUCTURE: &str = "Start of structure or map found where not expected.";
    const NUMBER: &str =
        "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to";

    /// Every case of kinesalite 3.3.3's `assertType`.
    #[test]
    fn values_of_other_types() {
        let number = |wanted: &str| format!("{NUMBER} {wanted}");
        let of = |class: &str, wanted: &str| {
            format!("class java.lang.{class} can not be converted to {wanted}")
        };
        let (text_number, text_boolean) = (number("an String"), of("Boolean", "an String"));
        refused(
            &TEXT,
            &[
                ("true", &text_boolean),
                ("23", &text_number),
                ("-2147483648", &text_number),
                ("34.56", &text_number),
                ("[]", LIST),
                ("{}", STRUCTURE),
            ],
        );
        let (text, boolean) = (of("String", "an Integer"), of("Boolean", "an Integer"));
        let shape = &Shape::Integer { least: None, most: None };
        refused(shape, &[("\"23\"", &text), ("true", &boolean), ("[]", LIST), ("{}", STRUCTURE)]);
        let (text, boolean) = (of("String", "an Long"), of("Boolean", "an Long"));
        refused(&Shape::Long, &[("\"23\"", &text), ("true", &boolean), ("[]", LIST)]);
        let boolean = number("an Boolean");
        let hello = "'HELLO' can not be converted to an Boolean";
        refused(&Shape::Boolean, &[("23", &boolean), ("\"hello\"", hello), ("[]", LIST)]);
        let time = "milliseconds since epoch";
        let (text, boolean) = (of("String", time), of("Boolean", time));
        refused(&Shape::Timestamp, &[("\"23\"", &text), ("true", &boolean), ("{}", STRUCTURE)]);
    }

    #[test]
    fn values_that_are_no_list_map_or_structure() {
        let list = &Shape::List { length: None, element: &TEXT };
        for value in ["\"23\"", "true", "23", "34.56"] {
            refused(list, &[(value, "Expected list or null")]);
            refused(&MAP, &[(value, "Expected map or null")]);
            refused(&Shape::Structure(&[]), &[(value, "Expected null")]);
        }
        refused(list, &[("{}", STRUCTURE)]);
        refused(&MAP, &[("[]", LIST)]);
        refused(&Shape::Structure(&[]), &[("[]", LIST)]);
        let inside = format!("{NUMBER} an String");
        refused(list, &[("[\"a\",1]", &inside)]);
        refused(&MAP, &[("{\"a\":1}", &inside)]);
    }

    const MAP: Shape = Shape::Map {
        length: Bounds { least: 0, most: 9 },
        key: Bounds { least: 0, most: 9 },
        value: Bounds { least: 0, most: 9 },
    };
    const BLOB: Shape = Shape::Blob { bytes_max: 9 };

    #[test]
    fn texts_that_are_not_base64() {
        let number = format!("{NUMBER} a Blob");
        let boolean = "class java.lang.Boolean can not be converted to a Blob";
        let prefix = "can not be converted to a Blob:";
        let length = format!(
            "'23456' {prefix} Base64 encoded length is expected a multiple of 4 bytes but found: 5"
        );
        let character = format!("'=+/=' {prefix} Invalid Base64 character: '='");
        let last = format!("'+/+=' {prefix} Invalid last non-pad Base64 character dectected");
        let space = format!("'ab c' {prefix} Invalid Base64 character: ' '");
        refused(
            &BLOB,
            &[
                ("true", boolean),
                ("23", &number),
                ("[]", LIST),
                ("{}", STRUCTURE),
                ("\"23456\"", &length),
                ("\"=+/=\"", &character),
                ("\"+/+=\"", &last),
                ("\"ab c\"", &space),
            ],
        );
    }

    #[test]
    fn values_that_are_taken() {
        let check = |value: &str, shape: &'static Shape, expected: Option<Typed<'static>>| {
            assert_eq!(read(value, shape), Ok(expected), "{value}");
        };
        const INTEGER: Shape = Shape::Integer { least: None, most: None };
        check("null", &TEXT, None);
        check("\"a\"", &TEXT, Some(Typed::Text("a".into())));
        check("34.56", &INTEGER, Some(Typed::Integer(34)));
        check("2147483648", &INTEGER, Some(Typed::Integer(2_147_483_647)));
        check("-1e30", &INTEGER, Some(Typed::Integer(-2_147_483_648)));
        check("2147483648", &Shape::Long, Some(Typed::Integer(2_147_483_648)));
        check("\"YES\"", &Shape::Boolean, Some(Typed::Boolean(true)));
        check("\"false\"", &Shape::Boolean, Some(Typed::Boolean(false)));
        let time = |ms| Some(Typed::Timestamp(Timestamp(ms)));
        check("1441215410.867", &Shape::Timestamp, time(1_441_215_410_867));
        check("1441215410", &Shape::Timestamp, time(1_441_215_410_000));
        check("1.441215410867E9", &Shape::Timestamp, time(1_441_215_410_867));
        check("\"\"", &BLOB, Some(Typed::Blob(Cow::Borrowed(&[]))));
        check("\"+\\/8=\"", &BLOB, Some(Typed::Blob(Cow::Borrowed(&[0xfb, 0xff]))));
        let map = Typed::Map([("a".into(), "2".into())].into_iter().collect());
        check("{\"a\":\"1\",\"b\":null,\"a\":\"2\"}", &MAP, Some(map));
    }

    #[test]
    fn of_a_name_that_comes_twice_the_last_counts() {
        let members = ["A", "B"].map(|name| Member { name, shape: &TEXT, is_required: false });
        let value = json::parse(br#"{"A":"1","B":"1","C":[],"B":"2"}"#).unwrap();
        let expected = ["1", "2"].map(|text| Some(Typed::Text(text.into())));
        assert_eq!(structure(value, &members), Ok(expected.to_vec()));
    }

    #[test]
    fn long_texts_are_not_repeated_whole() {
        let text = "é".repeat(SHOWN_CHARACTERS_MAX + 1);
        assert_eq!(shown(&text).chars().count(), SHOWN_CHARACTERS_MAX);
    }
}
