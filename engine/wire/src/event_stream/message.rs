//! One message of an event stream.

use std::fmt;

/// Two lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;
/// Longest message that is read. Source: the AWS SDKs' bound, 16 MiB and the overhead; Kinesis's
/// events are below it.
const MESSAGE_BYTES_MAX: usize = (16 << 20) + (128 << 10) + PRELUDE_BYTES + CHECKSUM_BYTES;
/// Source: as above.
const HEADERS_BYTES_MAX: usize = 128 << 10;

/// A message: headers and a payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// In the order in which they are sent.
    pub headers: Vec<Header<'a>>,
    /// A structure in the encoding that `:content-type` names.
    pub payload: &'a [u8],
}

/// One header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header<'a> {
    /// At most 255 bytes.
    pub name: &'a str,
    /// Its value.
    pub value: HeaderValue<'a>,
}

/// What a header holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HeaderValue<'a> {
    /// True or false.
    Boolean(bool),
    /// 8 bits.
    Byte(i8),
    /// 16 bits.
    Short(i16),
    /// 32 bits.
    Integer(i32),
    /// 64 bits.
    Long(i64),
    /// At most 32,767 bytes.
    Bytes(&'a [u8]),
    /// At most 32,767 bytes.
    Text(&'a str),
    /// Unix time in milliseconds.
    Timestamp(i64),
    /// A UUID.
    Uuid([u8; 16]),
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMessage {
    /// Lengths that cannot be.
    Lengths,
    /// The lengths' checksum is another.
    PreludeChecksum,
    /// The message's checksum is another.
    Checksum,
    /// Headers that end in the middle, or of no known type.
    Headers,
}

impl fmt::Display for NotMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lengths => "a message's lengths cannot be",
            Self::PreludeChecksum => "the checksum of a message's lengths is another",
            Self::Checksum => "a message's checksum is another",
            Self::Headers => "a message's headers cannot be read",
        })
    }
}

impl std::error::Error for NotMessage {}

impl<'a> Message<'a> {
    /// Appends the message. Panics where it is longer than any may be: what we send is bounded.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = open(&self.headers, out);
        out.extend_from_slice(self.payload);
        close(start, out);
    }

    /// Reads the first message and how many bytes it has; `None` where more bytes are needed.
    ///
    /// # Errors
    /// Where no more bytes would make it a message.
    pub fn decode(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, NotMessage> {
        let Some(prelude) = bytes.first_chunk::<PRELUDE_BYTES>() else { return Ok(None) };
        let [total, headers, checksum] = [0, 4, 8].map(|at| number(&prelude[at..at + 4]));
        if crc32fast::hash(&prelude[..8]) != checksum {
            return Err(NotMessage::PreludeChecksum);
        }
        let [total, headers] = [total, headers].map(|n| usize::try_from(n).expect("32 bits fit"));
        let is_long_enough = total >= PRELUDE_BYTES + headers + CHECKSUM_BYTES;
        if !is_long_enough || total > MESSAGE_BYTES_MAX || headers > HEADERS_BYTES_MAX {
            return Err(NotMessage::Lengths);
        }
        let Some(message) = bytes.get(..total) else { return Ok(None) };
        let (message, checksum) = message.split_at(total - CHECKSUM_BYTES);
        if crc32fast::hash(message) != number(checksum) {
            return Err(NotMessage::Checksum);
        }
        let (mut rest, payload) = message[PRELUDE_BYTES..].split_at(headers);
        let mut headers = Vec::new();
        while !rest.is_empty() {
            headers.push(Header::decode(&mut rest).ok_or(NotMessage::Headers)?);
        }
        Ok(Some((Self { headers, payload }, total)))
    }

    /// The text of a header.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let header = self.headers.iter().find(|header| header.name == name)?;
        if let HeaderValue::Text(text) = header.value { Some(text) } else { None }
    }
}

impl<'a> Header<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.name.len()).expect("our names are short"));
        out.extend_from_slice(self.name.as_bytes());
        match self.value {
            HeaderValue::Boolean(value) => out.push(u8::from(!value)),
            HeaderValue::Byte(number) => {
                out.push(2);
                out.extend_from_slice(&number.to_be_bytes());
            }
            HeaderValue::Short(number) => {
                out.push(3);
                out.extend_from_slice(&number.to_be_bytes());
            }
            HeaderValue::Integer(number) => {
                out.push(4);
                out.extend_from_slice(&number.to_be_bytes());
            }
            HeaderValue::Long(number) => {
                out.push(5);
                out.extend_from_slice(&number.to_be_bytes());
            }
            HeaderValue::Bytes(bytes) => write_bytes(6, bytes, out),
            HeaderValue::Text(text) => write_bytes(7, text.as_bytes(), out),
            HeaderValue::Timestamp(ms) => {
                out.push(8);
                out.extend_from_slice(&ms.to_be_bytes());
            }
            HeaderValue::Uuid(bytes) => {
                out.push(9);
                out.extend_from_slice(&bytes);
            }
        }
    }

    fn decode(rest: &mut &'a [u8]) -> Option<Self> {
        let name_bytes = usize::from(take::<1>(rest)?[0]);
        let name = str::from_utf8(take_slice(rest, name_bytes)?).ok()?;
        let value = match take::<1>(rest)?[0] {
            0 => HeaderValue::Boolean(true),
            1 => HeaderValue::Boolean(false),
            2 => HeaderValue::Byte(i8::from_be_bytes(take(rest)?)),
            3 => HeaderValue::Short(i16::from_be_bytes(take(rest)?)),
            4 => HeaderValue::Integer(i32::from_be_bytes(take(rest)?)),
            5 => HeaderValue::Long(i64::from_be_bytes(take(rest)?)),
            6 => HeaderValue::Bytes(take_bytes(rest)?),
            7 => HeaderValue::Text(str::from_utf8(take_bytes(rest)?).ok()?),
            8 => HeaderValue::Timestamp(i64::from_be_bytes(take(rest)?)),
            9 => HeaderValue::Uuid(take(rest)?),
            _ => return None,
        };
        Some(Self { name, value })
    }
}

/// Starts a message behind what `out` holds; then comes its payload. Gives what [`close`] needs.
pub(super) fn open(headers: &[Header<'_>], out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE_BYTES]);
    for header in headers {
        header.encode(out);
    }
    let bytes = out.len() - start - PRELUDE_BYTES;
    assert!(bytes <= HEADERS_BYTES_MAX, "our headers are short");
    out[start + 4..start + 8].copy_from_slice(&length(bytes));
    start
}

/// Ends a message: its length and its checksums.
pub(super) fn close(start: usize, out: &mut Vec<u8>) {
    let bytes = out.len() - start + CHECKSUM_BYTES;
    assert!(bytes <= MESSAGE_BYTES_MAX, "our payloads are bounded");
    let prelude = &mut out[start..start + PRELUDE_BYTES];
    prelude[..4].copy_from_slice(&length(bytes));
    let checksum = crc32fast::hash(&prelude[..8]).to_be_bytes();
    prelude[8..].copy_from_slice(&checksum);
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a message is short").to_be_bytes()
}

fn write_bytes(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let count = i16::try_from(bytes.len()).expect("our values are short");
    out.push(kind);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let count = usize::try_from(i16::from_be_bytes(take(rest)?)).ok()?;
    take_slice(rest, count)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn take_slice<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    fn check(message: &Message<'_>, bytes: &str) {
        let bytes = hex(bytes);
        let mut out = Vec::new();
        message.encode(&mut out);
        assert_eq!(out, bytes);
        assert_eq!(Message::decode(&bytes), Ok(Some((message.clone(), bytes.len()))));
    }

    /// Made with Python's `struct` and `zlib`, and read back by botocore 1.43.11.
    #[test]
    fn messages_as_others_write_them() {
        let headers = vec![];
        check(&Message { headers, payload: b"" }, "000000100000000005c248eb7d98c8ff");
        let headers = vec![];
        check(
            &Message { headers, payload: b"{'foo':'bar'}" },
            "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936",
        );
        let headers =
            vec![Header { name: "event-type", value: HeaderValue::Text("application/json") }];
        check(
            &Message { headers, payload: b"{'foo':'bar'}" },
            "0000003b0000001e49dc6b9d0a6576656e742d747970650700106170706c69636174696f6e2f6a73 \
             6f6e7b27666f6f273a27626172277dd1509f17",
        );
        let headers = vec![
            Header { name: "true", value: HeaderValue::Boolean(true) },
            Header { name: "false", value: HeaderValue::Boolean(false) },
            Header { name: "byte", value: HeaderValue::Byte(-49) },
            Header { name: "short", value: HeaderValue::Short(42) },
            Header { name: "integer", value: HeaderValue::Integer(40_972) },
            Header { name: "long", value: HeaderValue::Long(42_424_242) },
            Header { name: "bytes", value: HeaderValue::Bytes(&[0, 255]) },
            Header { name: "text", value: HeaderValue::Text("é") },
            Header { name: "time", value: HeaderValue::Timestamp(8_675_309) },
            Header {
                name: "uuid",
                value: HeaderValue::Uuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
            },
        ];
        check(
            &Message { headers, payload: b"" },
            "0000008100000071cea607e10474727565000566616c736501046279746502cf0573686f72740300 \
             2a07696e7465676572040000a00c046c6f6e670500000000028757b205627974657306000200ff04 \
             74657874070002c3a90474696d65080000000000845fed0475756964090102030405060708090a0b \
             0c0d0e0f1045097d46",
        );
    }

    #[test]
    fn half_a_message_needs_more() {
        let headers = vec![Header { name: "a", value: HeaderValue::Text("b") }];
        let mut bytes = Vec::new();
        Message { headers, payload: b"payload" }.encode(&mut bytes);
        for end in 0..bytes.len() {
            assert_eq!(Message::decode(&bytes[..end]), Ok(None), "{end}");
        }
        let length = bytes.len();
        bytes.extend_from_slice(b"next");
        assert_eq!(Message::decode(&bytes).unwrap().unwrap().1, length);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let headers = vec![Header { name: "a", value: HeaderValue::Text("b") }];
        let mut bytes = Vec::new();
        Message { headers, payload: b"payload" }.encode(&mut bytes);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Message::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    /// A message of these parts whose checksums are right.
    fn sealed(total: u32, headers: u32, rest: &[u8]) -> Vec<u8> {
        let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes
    }

    #[test]
    fn parts_that_cannot_be() {
        let check = |bytes: &[u8], expected| assert_eq!(Message::decode(bytes), Err(expected));
        check(&sealed(15, 0, b""), NotMessage::Lengths);
        check(&sealed(16, 1, b""), NotMessage::Lengths);
        check(&sealed(u32::MAX, 0, b""), NotMessage::Lengths);
        check(&sealed(u32::MAX, u32::MAX, b""), NotMessage::Lengths);
        for headers in
            [&b"\x02a"[..], b"\x01a", b"\x01a\x0a", b"\x01a\x07\x00\x02b", b"\x01\xff\x00"]
        {
            let bytes = u32::try_from(headers.len()).unwrap();
            check(&sealed(bytes + 16, bytes, headers), NotMessage::Headers);
        }
        check(&sealed(22, 6, b"\x01a\x07\xff\xff\x00"), NotMessage::Headers);
    }

    #[test]
    fn any_headers_are_read_or_refused() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..50_000 {
            let mut rest = vec![0; random.usize(..30)];
            random.fill(&mut rest);
            let bytes = u32::try_from(rest.len()).unwrap();
            let sealed = sealed(bytes + 16, random.u32(..=bytes), &rest);
            let _is_read = Message::decode(&sealed).is_ok();
        }
    }
}
