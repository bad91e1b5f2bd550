//! The two encodings of bodies, and how an answer is written in either.
//!
//! An [`Encoder`] is told what the values are and in which order; what they look like is its own
//! business. AWS's CBOR has maps and lists of indefinite length, and so has ours: nobody need know
//! beforehand how many members are present.

use minicbor::data::{IanaTag, Tag};

use crate::timestamp::Timestamp;
use crate::value::{NotReadable, Value};
use crate::{cbor, json};

/// How a body is encoded. An answer has its request's encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON 1.1.
    Json,
    /// CBOR.
    Cbor,
}

impl Encoding {
    /// The encoding of a `Content-Type`; parameters and spaces around it do not count. Plain
    /// `application/json` is JSON 1.1 as well.
    #[must_use]
    pub fn of_content_type(text: &str) -> Option<Self> {
        let kind = text.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case(Self::Json.content_type())
            || kind.eq_ignore_ascii_case("application/json")
        {
            Some(Self::Json)
        } else if kind.eq_ignore_ascii_case(Self::Cbor.content_type()) {
            Some(Self::Cbor)
        } else {
            None
        }
    }

    /// The `Content-Type` of an answer.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    /// Reads a whole body.
    ///
    /// # Errors
    /// Where it is not of this encoding.
    pub fn parse(self, body: &[u8]) -> Result<Value<'_>, NotReadable> {
        match self {
            Self::Json => json::parse(body),
            Self::Cbor => cbor::parse(body),
        }
    }
}

/// Writes one body.
#[derive(Debug)]
pub struct Encoder {
    encoding: Encoding,
    out: Vec<u8>,
}

impl Encoder {
    /// Writes behind what `out` holds.
    #[must_use]
    pub fn new(encoding: Encoding, out: Vec<u8>) -> Self {
        Self { encoding, out }
    }

    /// Bytes that are written as they are: parts of a body made beforehand.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// A structure or map starts; then come its members.
    pub fn open_structure(&mut self) {
        self.out.push(match self.encoding {
            Encoding::Json => b'{',
            Encoding::Cbor => INDEFINITE_MAP,
        });
    }

    /// The next member's name, one of the API's; then comes its value.
    pub fn member(&mut self, name: &'static str) {
        match self.encoding {
            Encoding::Json => {
                self.separate(b'{');
                // The API's names have nothing to escape.
                self.out.push(b'"');
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Encoding::Cbor => self.text(name),
        }
    }

    /// The next entry's name, any text; then comes its value.
    pub fn entry(&mut self, name: &str) {
        if self.encoding == Encoding::Json {
            self.separate(b'{');
            self.text(name);
            self.out.push(b':');
        } else {
            self.text(name);
        }
    }

    /// The structure or map ends.
    pub fn close_structure(&mut self) {
        self.out.push(if self.encoding == Encoding::Json { b'}' } else { BREAK });
    }

    /// A list starts; then come its elements.
    pub fn open_list(&mut self) {
        self.out.push(match self.encoding {
            Encoding::Json => b'[',
            Encoding::Cbor => INDEFINITE_LIST,
        });
    }

    /// The next element's value follows.
    pub fn element(&mut self) {
        if self.encoding == Encoding::Json {
            self.separate(b'[');
        }
    }

    /// A comma, unless what comes is the first. A value never ends with the byte that opens a
    /// structure or list: a text has its quote.
    fn separate(&mut self, open: u8) {
        if self.out.last() != Some(&open) {
            self.out.push(b',');
        }
    }

    /// The list ends.
    pub fn close_list(&mut self) {
        self.out.push(if self.encoding == Encoding::Json { b']' } else { BREAK });
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        match self.encoding {
            Encoding::Json => json::write_text(text, &mut self.out),
            Encoding::Cbor => self.cbor(|cbor| cbor.str(text).map(drop)),
        }
    }

    /// A whole number.
    pub fn integer(&mut self, number: i64) {
        match self.encoding {
            Encoding::Json => json::write_integer(number, &mut self.out),
            Encoding::Cbor => self.cbor(|cbor| cbor.i64(number).map(drop)),
        }
    }

    /// True or false.
    pub fn boolean(&mut self, value: bool) {
        match self.encoding {
            Encoding::Json => {
                self.out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            Encoding::Cbor => self.cbor(|cbor| cbor.bool(value).map(drop)),
        }
    }

    /// A moment.
    pub fn timestamp(&mut self, time: Timestamp) {
        match self.encoding {
            Encoding::Json => json::write_timestamp(time, &mut self.out),
            Encoding::Cbor => {
                let tag = Tag::from(IanaTag::Timestamp);
                self.cbor(|cbor| cbor.tag(tag)?.i64(time.0).map(drop));
            }
        }
    }

    /// Bytes.
    pub fn blob(&mut self, bytes: &[u8]) {
        match self.encoding {
            Encoding::Json => json::write_blob(bytes, &mut self.out),
            Encoding::Cbor => self.cbor(|cbor| cbor.bytes(bytes).map(drop)),
        }
    }

    fn cbor(&mut self, write: impl FnOnce(&mut minicbor::Encoder<&mut Vec<u8>>) -> Written) {
        write(&mut minicbor::Encoder::new(&mut self.out)).expect("a vector takes every value");
    }
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

const INDEFINITE_MAP: u8 = 0xbf;
const INDEFINITE_LIST: u8 = 0x9f;
const BREAK: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(encoding: Encoding) -> Vec<u8> {
        let mut encoder = Encoder::new(encoding, Vec::new());
        encoder.open_structure();
        encoder.member("Empty");
        encoder.open_structure();
        encoder.close_structure();
        encoder.member("Texts");
        encoder.open_list();
        for text in ["{", "["] {
            encoder.element();
            encoder.text(text);
        }
        encoder.close_list();
        encoder.member("None");
        encoder.open_list();
        encoder.close_list();
        encoder.member("Count");
        encoder.integer(-500);
        encoder.member("Yes");
        encoder.boolean(true);
        encoder.member("At");
        encoder.timestamp(Timestamp(1_441_215_159_155));
        encoder.member("Data");
        encoder.blob(&[1, 2, 3]);
        encoder.close_structure();
        encoder.into_bytes()
    }

    #[test]
    fn json_as_written() {
        let expected = r#"{"Empty":{},"Texts":["{","["],"None":[],"Count":-500,"Yes":true,"At":1441215159.155,"Data":"AQID"}"#;
        assert_eq!(String::from_utf8(written(Encoding::Json)).unwrap(), expected);
    }

    #[test]
    fn cbor_as_written() {
        let expected = [
            &b"\xbf\x65Empty\xbf\xff\x65Texts\x9f\x61{\x61[\xff\x64None\x9f\xff"[..],
            b"\x65Count\x39\x01\xf3\x63Yes\xf5",
            b"\x62At\xc1\x1b\x00\x00\x01\x4f\x8f\x1e\x1b\x73\x64Data\x43\x01\x02\x03\xff",
        ];
        assert_eq!(written(Encoding::Cbor), expected.concat());
    }

    #[test]
    fn content_types() {
        let check = |text: &str, expected: Option<Encoding>| {
            assert_eq!(Encoding::of_content_type(text), expected, "{text:?}");
        };
        check("application/x-amz-json-1.1", Some(Encoding::Json));
        check("   application/x-amz-json-1.1   ;whatever", Some(Encoding::Json));
        check("application/json; charset=utf-8", Some(Encoding::Json));
        check("Application/X-Amz-Cbor-1.1", Some(Encoding::Cbor));
        check("application/x-amz-json-1.0", None);
        check("application/x-amz-json-1.1asdf", None);
        check("", None);
    }
}
