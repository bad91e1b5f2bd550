//! A stream as clients name it: account, name, state.
//!
//! Which streams exist, and on which core their shards live, is for the server to know.

use crate::limits::STREAM_NAME_CHARACTERS_MAX;
use std::fmt;
use std::sync::Arc;

/// Name of a stream: 1 to 128 characters out of `a-zA-Z0-9_.-`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// Which rule of the API's model a stream's name breaks. A name may break both of the last two;
/// Kinesis then lists both, so each can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamNameError {
    /// Shorter than one character.
    pub is_empty: bool,
    /// Longer than 128 characters.
    pub is_too_long: bool,
    /// Does not match `[a-zA-Z0-9_.-]+`.
    pub has_other_characters: bool,
}

impl StreamName {
    /// Takes a name that keeps the rules.
    ///
    /// # Errors
    /// Names every rule that is broken: an empty name breaks the pattern as well.
    pub fn new(name: &str) -> Result<Self, StreamNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let error = StreamNameError {
            is_empty: name.is_empty(),
            is_too_long: name.chars().nth(STREAM_NAME_CHARACTERS_MAX).is_some(),
            has_other_characters: name.is_empty() || !name.bytes().all(allowed),
        };
        let is_right = !error.is_empty && !error.is_too_long && !error.has_other_characters;
        if is_right { Ok(Self(name.into())) } else { Err(error) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The twelve digits of an AWS account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 12]);

impl AccountId {
    /// The account of requests that name none, as in AWS's examples and in other emulators.
    pub const DEFAULT: Self = Self(*b"123456789012");

    /// `None` unless the text is twelve digits.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let digits: [u8; 12] = text.as_bytes().try_into().ok()?;
        digits.iter().all(u8::is_ascii_digit).then_some(Self(digits))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("an account id is twelve ASCII digits")
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A region as in `us-east-1`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// `None` unless the text is 1 to 64 characters out of `a-z0-9-`. AWS has no such rule in
    /// writing; this one keeps texts and ARNs unambiguous.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_right = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        is_right.then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stream as Kinesis's texts name it. Prints "NAME under account ACCOUNT".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamAddress {
    /// Whose stream it is.
    pub account: AccountId,
    /// Its name in that account.
    pub name: StreamName,
}

impl fmt::Display for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} under account {}", self.name, self.account)
    }
}

/// Kinesis's `StreamStatus`. Prints as the API spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamStatus {
    /// Not yet to be written or read.
    Creating,
    /// Going away with all its records.
    Deleting,
    /// As it should be.
    Active,
    /// Being resharded or reconfigured; writes and reads go on.
    Updating,
}

impl fmt::Display for StreamStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "CREATING",
            Self::Deleting => "DELETING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_model_takes_and_refuses() {
        let check = |name: &str, expected: [bool; 3]| {
            let [is_empty, is_too_long, has_other_characters] = expected;
            let error = StreamNameError { is_empty, is_too_long, has_other_characters };
            let expected = if expected == [false; 3] { Ok(name) } else { Err(&error) };
            let found = StreamName::new(name);
            assert_eq!(found.as_ref().map(StreamName::as_str), expected, "{name}");
        };
        check("a", [false, false, false]);
        check("My_stream.v1-2", [false, false, false]);
        check("...", [false, false, false]);
        check(&"a".repeat(128), [false, false, false]);
        check(&"a".repeat(129), [false, true, false]);
        check("", [true, false, true]);
        check("a b", [false, false, true]);
        check("é", [false, false, true]);
        check("a/b", [false, false, true]);
        check(&"é".repeat(129), [false, true, true]);
    }

    #[test]
    fn accounts_are_twelve_digits() {
        let check = |text: &str, expected: bool| {
            let found = AccountId::new(text);
            assert_eq!(found.as_ref().map(AccountId::as_str), expected.then_some(text));
        };
        check("000000000000", true);
        check("123456789012", true);
        check("12345678901", false);
        check("1234567890123", false);
        check("12345678901a", false);
        check("", false);
    }

    #[test]
    fn regions_are_short_and_plain() {
        let check = |text: &str, expected: bool| {
            let found = Region::new(text);
            assert_eq!(found.as_ref().map(Region::as_str), expected.then_some(text));
        };
        check("us-east-1", true);
        check("", false);
        check("US-EAST-1", false);
        check("us/east", false);
        check(&"a".repeat(65), false);
    }

    #[test]
    fn an_address_reads_as_in_kinesis_texts() {
        let name = StreamName::new("orders").unwrap();
        let address = StreamAddress { account: AccountId::DEFAULT, name };
        assert_eq!(address.to_string(), "orders under account 123456789012");
        assert_eq!(StreamStatus::Updating.to_string(), "UPDATING");
    }
}
