//! `ValidationException`: constraints of the API's model that a request breaks, all in one text.
//!
//! The sentences are AWS's (recorded by kinesalite 3.3.3's tests). Which member has which
//! constraint is not known here.

use crate::stream::StreamAddress;
use std::fmt;

/// Why a request is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validation {
    /// Every constraint that is broken, in the order in which AWS looks; at least one.
    Violations(Vec<Violation>),
    /// Shards of an on-demand stream are not for the client to change.
    OnDemand(StreamAddress),
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violations(violations) => {
                assert!(!violations.is_empty(), "an error has a reason");
                let plural = if violations.len() == 1 { "" } else { "s" };
                write!(f, "{} validation error{plural} detected: ", violations.len())?;
                for (index, violation) in violations.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{violation}")?;
                }
                Ok(())
            }
            Self::OnDemand(stream) => {
                write!(f, "Request is invalid. Stream {stream} is in On-Demand mode.")
            }
        }
    }
}

/// One constraint that one member breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which member.
    pub member: Member,
    /// How its value is shown.
    pub shown: Shown,
    /// Which constraint.
    pub constraint: Constraint,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { member, shown, constraint } = self;
        f.write_str("Value ")?;
        match shown {
            Shown::Hidden => {}
            Shown::Null => f.write_str("null ")?,
            Shown::Text(text) => write!(f, "'{text}' ")?,
        }
        write!(f, "at '{member}' failed to satisfy constraint: {constraint}")
    }
}

/// Where a value stands in the request. Names are the API's (`StreamName`); AWS prints them with a
/// small first letter, and so does `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// A member of the request: `streamName`.
    Field(&'static str),
    /// A member of a structure in the request: `streamModeDetails.streamMode`.
    Nested {
        /// The structure.
        structure: &'static str,
        /// Its member.
        field: &'static str,
    },
    /// An element of a list: `records.1.member`.
    Item {
        /// The list.
        list: &'static str,
        /// Counted from 1.
        number: u32,
    },
    /// A member of an element of a list: `records.1.member.data`.
    Element {
        /// The list.
        list: &'static str,
        /// Counted from 1.
        number: u32,
        /// The element's member.
        field: &'static str,
    },
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Field(field) => CamelCase(field).fmt(f),
            Self::Nested { structure, field } => {
                write!(f, "{}.{}", CamelCase(structure), CamelCase(field))
            }
            Self::Item { list, number } => write!(f, "{}.{number}.member", CamelCase(list)),
            Self::Element { list, number, field } => {
                write!(f, "{}.{number}.member.{}", CamelCase(list), CamelCase(field))
            }
        }
    }
}

/// A name with a small first letter; names are ASCII.
struct CamelCase(&'static str);

impl fmt::Display for CamelCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, rest) = self.0.split_at(1);
        write!(f, "{}{rest}", first.to_ascii_lowercase())
    }
}

/// How a refused value is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Not at all, as AWS does with blobs and lists since 2025 at the latest.
    Hidden,
    /// It is missing.
    Null,
    /// In full.
    Text(Box<str>),
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Present.
    NotNull,
    /// A text, blob or list of at least this length.
    LengthAtLeast(u64),
    /// A text, blob or list of at most this length.
    LengthAtMost(u64),
    /// A number of at least this.
    AtLeast(i64),
    /// A number of at most this.
    AtMost(i64),
    /// A text of this pattern.
    Pattern(&'static str),
    /// One of these texts, in AWS's order.
    OneOf(&'static [&'static str]),
    /// A list whose every text has a length in these bounds.
    Items(Bounds),
    /// A list whose every text is one of these.
    ItemsOneOf(&'static [&'static str]),
    /// A map whose every key has a length in these bounds.
    Keys(Bounds),
    /// A map whose every value has a length in these bounds.
    Values(Bounds),
}

/// Bounds of a length, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At least this long.
    pub least: u64,
    /// At most this long.
    pub most: u64,
}

/// What AWS says of every text in a list or map, the upper bound first.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (most, least) =
            (Constraint::LengthAtMost(self.most), Constraint::LengthAtLeast(self.least));
        write!(f, "satisfy constraint: [{most}, {least}]")
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNull => f.write_str("Member must not be null"),
            Self::LengthAtLeast(bound) => {
                write!(f, "Member must have length greater than or equal to {bound}")
            }
            Self::LengthAtMost(bound) => {
                write!(f, "Member must have length less than or equal to {bound}")
            }
            Self::AtLeast(bound) => {
                write!(f, "Member must have value greater than or equal to {bound}")
            }
            Self::AtMost(bound) => {
                write!(f, "Member must have value less than or equal to {bound}")
            }
            Self::Pattern(pattern) => {
                write!(f, "Member must satisfy regular expression pattern: {pattern}")
            }
            Self::OneOf(texts) => {
                write!(f, "Member must satisfy enum value set: [{}]", texts.join(", "))
            }
            Self::Items(bounds) => write!(f, "Member must {bounds}"),
            Self::ItemsOneOf(texts) => {
                write!(f, "Member must satisfy constraint: [{}]", Self::OneOf(texts))
            }
            Self::Keys(bounds) => write!(f, "Map keys must {bounds}"),
            Self::Values(bounds) => write!(f, "Map value must {bounds}"),
        }
    }
}
