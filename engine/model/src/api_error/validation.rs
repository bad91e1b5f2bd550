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

/// Where a value stands in the request, in camel case as AWS prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// A member of the request: `streamName`.
    Field(&'static str),
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
        match self {
            Self::Field(field) => f.write_str(field),
            Self::Element { list, number, field } => write!(f, "{list}.{number}.member.{field}"),
        }
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
        }
    }
}
