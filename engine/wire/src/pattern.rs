//! The patterns of the API's model, matched by hand: there are seven, and all are runs of simple
//! classes. The tests compare each with the `regex` crate.
//!
//! A pattern holds for the whole text. As in Java, `.` is any character but an end of line, `\S` any
//! but six kinds of ASCII space, and `\d` an ASCII digit.

/// How a text must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Of streams, shards and consumers.
    Name,
    /// Of `StreamId`.
    StreamId,
    /// Of a stream's ARN.
    StreamArn,
    /// Of a consumer's ARN.
    ConsumerArn,
    /// Of an ARN of anything that has tags or a policy.
    ResourceArn,
    /// Up to 39 digits.
    HashKey,
    /// Up to 129 digits.
    SequenceNumber,
}

impl Pattern {
    /// Every pattern.
    pub const ALL: [Self; 7] = [
        Self::Name,
        Self::StreamId,
        Self::StreamArn,
        Self::ConsumerArn,
        Self::ResourceArn,
        Self::HashKey,
        Self::SequenceNumber,
    ];

    /// The expression, as AWS prints it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Name => "[a-zA-Z0-9_.-]+",
            Self::StreamId => "[a-z0-9]{20}-[a-z0-9]{3}",
            Self::StreamArn => r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+",
            Self::ConsumerArn => {
                r"^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+"
            }
            Self::ResourceArn => r"arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel|queue)/\S+",
            Self::HashKey => r"0|([1-9]\d{0,38})",
            Self::SequenceNumber => r"0|([1-9]\d{0,128})",
        }
    }

    /// Whether the whole text is of this pattern.
    #[must_use]
    pub fn matches(self, text: &str) -> bool {
        match self {
            Self::Name => is_name(text),
            Self::StreamId => is_stream_id(text),
            Self::StreamArn => {
                has_account(text, |rest| rest.strip_prefix("stream/").is_some_and(is_without_space))
            }
            Self::ConsumerArn => has_account(text, has_consumer),
            Self::ResourceArn => has_account(text, |rest| {
                ["stream/", "channel/", "queue/"].iter().any(|kind| {
                    splits(rest, kind)
                        .any(|(before, after)| is_one_line(before) && is_without_space(after))
                })
            }),
            Self::HashKey => is_number(text, 39),
            Self::SequenceNumber => is_number(text, 129),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn is_stream_id(text: &str) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() == 24
        && bytes[20] == b'-'
        && bytes[..20].iter().all(is_plain)
        && bytes[21..].iter().all(is_plain)
}

fn is_number(text: &str, digits_max: usize) -> bool {
    let bytes = text.as_bytes();
    let has_leading_zero = bytes.len() > 1 && bytes[0] == b'0';
    (1..=digits_max).contains(&bytes.len())
        && !has_leading_zero
        && bytes.iter().all(u8::is_ascii_digit)
}

/// `arn:aws.*:kinesis:.*:\d{12}:` and then what `rest` takes.
fn has_account(text: &str, rest: impl Fn(&str) -> bool) -> bool {
    let Some(text) = text.strip_prefix("arn:aws") else { return false };
    // The first `:kinesis:` leaves the most room for what follows, and what lies before a later one
    // lies on the same line or not at all.
    let Some((before, after)) = text.split_once(":kinesis:") else { return false };
    if !is_one_line(before) {
        return false;
    }
    splits(after, ":").any(|(region, account)| {
        is_one_line(region)
            && account.get(..12).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            && account[12..].strip_prefix(':').is_some_and(&rest)
    })
}

/// `.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`
fn has_consumer(text: &str) -> bool {
    splits(text, "stream/").any(|(before, after)| {
        let Some((stream, consumer)) = after.split_once("/consumer/") else { return false };
        let Some((name, created)) = consumer.split_once(':') else { return false };
        let is_number = !created.is_empty() && created.bytes().all(|byte| byte.is_ascii_digit());
        is_one_line(before) && is_name(stream) && is_name(name) && is_number
    })
}

/// Every way to split the text at a separator.
fn splits<'a>(text: &'a str, separator: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.match_indices(separator)
        .map(move |(position, _)| (&text[..position], &text[position + separator.len()..]))
}

/// `.*` of Java.
fn is_one_line(text: &str) -> bool {
    !text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// `\S+` of Java.
fn is_without_space(text: &str) -> bool {
    !text.is_empty() && !text.contains([' ', '\t', '\n', '\u{b}', '\u{c}', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    #[test]
    fn names_and_numbers() {
        let check = |pattern: Pattern, text: &str, expected: bool| {
            assert_eq!(pattern.matches(text), expected, "{pattern:?} {text:?}");
        };
        check(Pattern::Name, "My_stream.v1-2", true);
        check(Pattern::Name, "", false);
        check(Pattern::Name, "é", false);
        check(Pattern::StreamId, "abcdefghij0123456789-x1z", true);
        check(Pattern::StreamId, "abcdefghij0123456789-x1Z", false);
        check(Pattern::HashKey, "0", true);
        check(Pattern::HashKey, "00", false);
        check(Pattern::HashKey, "340282366920938463463374607431768211456", true);
        check(Pattern::HashKey, "3402823669209384634633746074317682114560", false);
        check(Pattern::SequenceNumber, &"9".repeat(129), true);
        check(Pattern::SequenceNumber, &"9".repeat(130), false);
        check(Pattern::StreamArn, "arn:aws:kinesis:us-east-1:123456789012:stream/orders", true);
        check(Pattern::StreamArn, "arn:aws:kinesis:us-east-1:12345678901:stream/orders", false);
        check(Pattern::StreamArn, "arn:aws-cn:kinesis:x:1:123456789012:stream/a/é", true);
        let consumer = "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/c:1700000000";
        check(Pattern::ConsumerArn, consumer, true);
        check(Pattern::ConsumerArn, "arn:aws:kinesis:us-east-1:123456789012:stream/orders", false);
        check(Pattern::ResourceArn, consumer, true);
        check(Pattern::ResourceArn, "arn:aws:kinesis::123456789012:a queue/b", true);
        check(Pattern::ResourceArn, "arn:aws:kinesis::123456789012:queue/b c", false);
    }

    /// Java's classes in the words of the regex crate.
    fn reference(pattern: Pattern) -> Regex {
        let text = pattern.text().replace(r"\d", "[0-9]");
        let text = text.replace(r"\S", r"[^ \t\n\x0B\x0C\r]");
        // A dot outside of a class.
        let text = text.replace(".*", r"[^\n\r\u{85}\u{2028}\u{2029}]*");
        Regex::new(&format!(r"\A(?:{text})\z")).unwrap()
    }

    /// Texts put together from the pieces that matter, so that many match and many nearly do.
    #[test]
    fn agrees_with_regex() {
        const PIECES: [&str; 24] = [
            "arn:aws",
            ":kinesis:",
            ":",
            "123456789012",
            "stream/",
            "/consumer/",
            "consumer",
            "queue/",
            "channel/",
            "a",
            "orders",
            "0",
            "17",
            " ",
            "\n",
            "\u{2028}",
            "é",
            "-",
            "_.",
            "/",
            "us-east-1",
            "abcdefghij0123456789",
            "x1z",
            "kinesis",
        ];
        const WHOLE: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/a:17";
        let mut random = fastrand::Rng::with_seed(7);
        for pattern in Pattern::ALL {
            let reference = reference(pattern);
            let mut matched = 0;
            for round in 0..20_000 {
                let mut text = String::new();
                if round % 2 == 0 {
                    for _ in 0..random.usize(1..10) {
                        text.push_str(random.choice(PIECES).unwrap());
                    }
                } else {
                    text.push_str(&WHOLE[random.usize(..3) * 3..random.usize(20..=WHOLE.len())]);
                    text.insert_str(random.usize(..=text.len()), random.choice(PIECES).unwrap());
                }
                let expected = reference.is_match(&text);
                assert_eq!(pattern.matches(&text), expected, "{pattern:?} {text:?}");
                matched += u32::from(expected);
            }
            assert!(matched > 0, "{pattern:?} has matched nothing");
        }
    }
}
