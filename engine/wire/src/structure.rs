//! Structures of the API as Rust types.
//!
//! The `structure!` macro makes a type and its table of members from the same lines, so that they
//! cannot disagree: whether a member is required is whether its type is an `Option`. The same
//! structures serve a server (requests in, answers out) and a client (the other way round).

use std::collections::BTreeMap;

use crate::encoding::{Encoder, Encoding};
use crate::schema::{Member, Shape};
use crate::timestamp::Timestamp;
use crate::typed::{self, Typed};

/// A structure of the API.
pub trait Structure: Sized {
    /// Its table.
    const MEMBERS: &'static [Member];
    /// What a member of this type holds.
    const SHAPE: Shape = Shape::Structure(Self::MEMBERS);

    /// From one value for each member of the table; `None` where one is missing or is not what its
    /// type takes. After the constraints were checked, that cannot be.
    fn from_members(members: Members<'_>) -> Option<Self>;

    /// Writes the members that are there.
    fn write_members(&self, encoder: &mut Encoder);
}

/// A structure's values, in the order of its table.
#[derive(Debug)]
pub struct Members<'a>(std::vec::IntoIter<Option<Typed<'a>>>);

impl<'a> Members<'a> {
    /// From one value for each member of the table.
    #[must_use]
    pub fn new(values: Vec<Option<Typed<'a>>>) -> Self {
        Self(values.into_iter())
    }

    /// The next member.
    pub(crate) fn take<T: Field>(&mut self) -> Option<T> {
        T::from_value(self.0.next().expect("there is a value for every member"))
    }
}

/// A body that holds only this structure.
#[must_use]
pub fn encode<T: Structure>(structure: &T, encoding: Encoding) -> Vec<u8> {
    let mut encoder = Encoder::new(encoding, Vec::new());
    write(structure, &mut encoder);
    encoder.into_bytes()
}

/// Reads a body that holds only this structure, as a client reads an answer: types count,
/// constraints do not. `None` where it is something else.
#[must_use]
pub fn decode<T: Structure>(encoding: Encoding, body: &[u8]) -> Option<T> {
    let value = encoding.parse(body).ok()?;
    T::from_members(Members::new(typed::structure(value, T::MEMBERS).ok()?))
}

/// What a member may hold, an `Option` included.
pub(crate) trait Field: Sized {
    const IS_REQUIRED: bool;
    fn from_value(value: Option<Typed<'_>>) -> Option<Self>;
    fn write_member(&self, name: &'static str, encoder: &mut Encoder);
}

impl<T: Element> Field for T {
    const IS_REQUIRED: bool = true;

    fn from_value(value: Option<Typed<'_>>) -> Option<Self> {
        T::from_typed(value?)
    }

    fn write_member(&self, name: &'static str, encoder: &mut Encoder) {
        encoder.member(name);
        self.write(encoder);
    }
}

impl<T: Element> Field for Option<T> {
    const IS_REQUIRED: bool = false;

    fn from_value(value: Option<Typed<'_>>) -> Option<Self> {
        value.map_or(Some(None), |value| T::from_typed(value).map(Some))
    }

    fn write_member(&self, name: &'static str, encoder: &mut Encoder) {
        if let Some(value) = self {
            value.write_member(name, encoder);
        }
    }
}

/// A value that is there.
pub(crate) trait Element: Sized {
    fn from_typed(value: Typed<'_>) -> Option<Self>;
    fn write(&self, encoder: &mut Encoder);
}

/// Bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Element for String {
    fn from_typed(value: Typed<'_>) -> Option<Self> {
        if let Typed::Text(text) = value { Some(text.into_owned()) } else { None }
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.text(self);
    }
}

impl Element for i32 {
    fn from_typed(value: Typed<'_>) -> Option<Self> {
        if let Typed::Integer(number) = value { Self::try_from(number).ok() } else { None }
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.integer(i64::from(*self));
    }
}

impl Element for i64 {
    fn from_typed(value: Typed<'_>) -> Option<Self> {
        if let Typed::Integer(number) = value { Some(number) } else { None }
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.integer(*self);
    }
}

impl Element for bool {
    fn from_typed(value: Typed<'_>) -> Option<Self> {
        if let Typed::Boolean(value) = value { Some(value) } else { None }
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.boolean(*self);
    }
}

impl Element for Timestamp {
    fn from_typed(value: Typed<'_>) -> Option<Self> {
        if let Typed::Timestamp(time) = value { Some(time) } else { None }
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.timestamp(*self);
    }
}

impl Element for Blob {
    fn from_typed(value: Typed<'_>) -> Option<Self> {
        if let Typed::Blob(bytes) = value { Some(Self(bytes.into_owned())) } else { None }
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.blob(&self.0);
    }
}

impl<T: Element> Element for Vec<T> {
    fn from_typed(value: Typed<'_>) -> Option<Self> {
        let Typed::List(values) = value else { return None };
        values.into_iter().map(|value| T::from_typed(value?)).collect()
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.open_list();
        for element in self {
            encoder.element();
            element.write(encoder);
        }
        encoder.close_list();
    }
}

impl Element for BTreeMap<String, String> {
    fn from_typed(value: Typed<'_>) -> Option<Self> {
        let Typed::Map(texts) = value else { return None };
        Some(texts.into_iter().map(|(name, text)| (name.into_owned(), text.into_owned())).collect())
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.open_structure();
        for (name, text) in self {
            encoder.entry(name);
            encoder.text(text);
        }
        encoder.close_structure();
    }
}

/// A structure with its brackets.
pub(crate) fn write<T: Structure>(structure: &T, encoder: &mut Encoder) {
    encoder.open_structure();
    structure.write_members(encoder);
    encoder.close_structure();
}

/// Makes a structure's type and its table.
macro_rules! structure {
    (
        $(#[$meta:meta])*
        $name:ident {
            $( $(#[$member_meta:meta])* $member:ident: $type:ty => $wire:literal, $shape:expr; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(
                #[doc = concat!("`", $wire, "`.")]
                $(#[$member_meta])*
                pub $member: $type,
            )*
        }

        impl $crate::structure::Structure for $name {
            const MEMBERS: &'static [$crate::schema::Member] = &[ $(
                $crate::schema::Member {
                    name: $wire,
                    shape: &$shape,
                    is_required: <$type as $crate::structure::Field>::IS_REQUIRED,
                },
            )* ];

            #[allow(unused_mut, unused_variables, reason = "some structures have no members")]
            fn from_members(mut members: $crate::structure::Members<'_>) -> Option<Self> {
                Some(Self { $( $member: members.take()?, )* })
            }

            #[allow(unused_variables, reason = "some structures have no members")]
            fn write_members(&self, encoder: &mut $crate::encoding::Encoder) {
                $( $crate::structure::Field::write_member(&self.$member, $wire, encoder); )*
            }
        }

        impl $crate::structure::Element for $name {
            fn from_typed(value: $crate::typed::Typed<'_>) -> Option<Self> {
                let $crate::typed::Typed::Structure(values) = value else { return None };
                let members = $crate::structure::Members::new(values);
                $crate::structure::Structure::from_members(members)
            }

            fn write(&self, encoder: &mut $crate::encoding::Encoder) {
                $crate::structure::write(self, encoder);
            }
        }
    };
}
pub(crate) use structure;

/// Makes an enumeration of texts, in the order in which AWS lists them when it refuses another.
macro_rules! names {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $text:literal, )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( #[doc = concat!("`", $text, "`.")] $(#[$variant_meta])* $variant, )*
        }

        impl $name {
            /// Every name.
            pub const NAMES: &'static [&'static str] = &[ $( $text, )* ];
            /// What a member of this type holds.
            pub const SHAPE: $crate::schema::Shape = $crate::schema::Shape::OneOf(Self::NAMES);

            /// The API's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $text, )* }
            }

            /// By its name.
            #[must_use]
            pub fn of_name(name: &str) -> Option<Self> {
                match name { $( $text => Some(Self::$variant), )* _ => None }
            }
        }

        impl $crate::structure::Element for $name {
            fn from_typed(value: $crate::typed::Typed<'_>) -> Option<Self> {
                let $crate::typed::Typed::Text(text) = value else { return None };
                Self::of_name(&text)
            }

            fn write(&self, encoder: &mut $crate::encoding::Encoder) {
                encoder.text(self.name());
            }
        }
    };
}
pub(crate) use names;
