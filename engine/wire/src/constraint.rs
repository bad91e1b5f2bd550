//! The constraints of the API's model: `ValidationException`.
//!
//! One walk over the table and the typed values. Every broken constraint goes into one text, at most
//! [`VIOLATIONS_MAX`] (recorded by kinesalite 3.3.3's tests). Members come in the order of the
//! table, of one member the pattern before the lengths.

use model::api_error::{Bounds, Constraint, Shown, Validation, Violation};

use crate::schema::{Member, Shape};
use crate::typed::{Typed, shown};

/// Violations in one text; the rest is cut off.
pub const VIOLATIONS_MAX: usize = 10;

/// Checks a request's members.
///
/// # Errors
/// With every constraint that is broken.
pub fn check(values: &[Option<Typed<'_>>], members: &[Member]) -> Result<(), Validation> {
    let mut walk = Walk { place: Place::Request, violations: Vec::new() };
    walk.structure(values, members);
    walk.violations.truncate(VIOLATIONS_MAX);
    if walk.violations.is_empty() { Ok(()) } else { Err(Validation::Violations(walk.violations)) }
}

/// Whose members are being looked at. The requests that we take go no deeper.
#[derive(Clone, Copy)]
enum Place {
    Request,
    Structure(&'static str),
    Element { list: &'static str, number: u32 },
}

struct Walk {
    place: Place,
    violations: Vec<Violation>,
}

impl Walk {
    fn structure(&mut self, values: &[Option<Typed<'_>>], members: &[Member]) {
        assert_eq!(values.len(), members.len(), "typed values follow the table");
        for (value, member) in values.iter().zip(members) {
            // More would be cut off, and 65,536 records need not all be looked at.
            if self.violations.len() >= VIOLATIONS_MAX {
                return;
            }
            match value {
                Some(value) => self.member(value, member),
                None if member.is_required => {
                    self.violate(member.name, Shown::Null, Constraint::NotNull);
                }
                None => {}
            }
        }
    }

    fn member(&mut self, value: &Typed<'_>, member: &Member) {
        let name = member.name;
        match (member.shape, value) {
            (Shape::Text { length, pattern }, Typed::Text(text)) => {
                if let Some(pattern) = pattern.filter(|pattern| !pattern.matches(text)) {
                    self.violate(name, shown_text(text), Constraint::Pattern(pattern.text()));
                }
                self.length(name, *length, characters(text), || shown_text(text));
            }
            (Shape::OneOf(names), Typed::Text(text)) => {
                if !names.contains(&&**text) {
                    self.violate(name, shown_text(text), Constraint::OneOf(names));
                }
            }
            (Shape::Integer { least, most }, Typed::Integer(number)) => {
                let shown = || Shown::Text(number.to_string().into());
                if let Some(least) = least.filter(|least| number < least) {
                    self.violate(name, shown(), Constraint::AtLeast(least));
                }
                if let Some(most) = most.filter(|most| number > most) {
                    self.violate(name, shown(), Constraint::AtMost(most));
                }
            }
            (Shape::Blob { bytes_max }, Typed::Blob(bytes)) => {
                let length = Bounds { least: 0, most: *bytes_max };
                self.length(name, Some(length), bytes.len(), || Shown::Hidden);
            }
            (Shape::List { length, element }, Typed::List(values)) => {
                self.list(name, *length, element, values);
            }
            (Shape::Map { length, key, value }, Typed::Map(entries)) => {
                let shown =
                    || shown_texts('{', entries.iter().map(|(k, v)| format!("{k}={v}")), '}');
                self.length(name, Some(*length), entries.len(), shown);
                if !entries.keys().all(|text| holds(*key, text)) {
                    self.violate(name, shown(), Constraint::Keys(*key));
                }
                if !entries.values().all(|text| holds(*value, text)) {
                    self.violate(name, shown(), Constraint::Values(*value));
                }
            }
            (Shape::Structure(members), Typed::Structure(values)) => {
                self.inside(Place::Structure(name), values, members);
            }
            (Shape::Long | Shape::Boolean | Shape::Timestamp, _) => {}
            (shape, value) => unreachable!("{value:?} was made by {shape:?}"),
        }
    }

    fn list(
        &mut self,
        name: &'static str,
        length: Option<Bounds>,
        element: &'static Shape,
        values: &[Option<Typed<'_>>],
    ) {
        if let Shape::Structure(members) = element {
            self.length(name, length, values.len(), || Shown::Hidden);
            for (number, value) in (1..).zip(values) {
                match value {
                    Some(Typed::Structure(values)) => {
                        self.inside(Place::Element { list: name, number }, values, members);
                    }
                    _ => self.violations.push(Violation {
                        member: model::api_error::Member::Item { list: name, number },
                        shown: Shown::Null,
                        constraint: Constraint::NotNull,
                    }),
                }
                if self.violations.len() >= VIOLATIONS_MAX {
                    return;
                }
            }
            return;
        }
        let texts = || {
            values.iter().map(|value| match value {
                Some(Typed::Text(text)) => text.as_ref(),
                _ => "null",
            })
        };
        let shown = || shown_texts('[', texts().map(str::to_owned), ']');
        self.length(name, length, values.len(), shown);
        let is_null = |value: &Option<Typed<'_>>| value.is_none();
        match element {
            Shape::OneOf(names) if !texts().all(|text| names.contains(&text)) => {
                self.violate(name, shown(), Constraint::ItemsOneOf(names));
            }
            Shape::Text { length: Some(bounds), .. }
                if values.iter().any(is_null) || !texts().all(|text| holds(*bounds, text)) =>
            {
                self.violate(name, shown(), Constraint::Items(*bounds));
            }
            _ => {}
        }
    }

    fn inside(&mut self, place: Place, values: &[Option<Typed<'_>>], members: &[Member]) {
        assert!(matches!(self.place, Place::Request), "requests have one level of structures");
        self.place = place;
        self.structure(values, members);
        self.place = Place::Request;
    }

    fn length(
        &mut self,
        name: &'static str,
        bounds: Option<Bounds>,
        length: usize,
        shown: impl Fn() -> Shown,
    ) {
        let (Some(Bounds { least, most }), length) = (bounds, length as u64) else { return };
        if length < least {
            self.violate(name, shown(), Constraint::LengthAtLeast(least));
        }
        if length > most {
            self.violate(name, shown(), Constraint::LengthAtMost(most));
        }
    }

    fn violate(&mut self, field: &'static str, shown: Shown, constraint: Constraint) {
        use model::api_error::Member;
        let member = match self.place {
            Place::Request => Member::Field(field),
            Place::Structure(structure) => Member::Nested { structure, field },
            Place::Element { list, number } => Member::Element { list, number, field },
        };
        self.violations.push(Violation { member, shown, constraint });
    }
}

/// Unicode scalar values, as in [`model::record::check_partition_key`].
fn characters(text: &str) -> usize {
    text.chars().count()
}

fn holds(bounds: Bounds, text: &str) -> bool {
    (bounds.least..=bounds.most).contains(&(characters(text) as u64))
}

fn shown_text(text: &str) -> Shown {
    Shown::Text(shown(text))
}

/// `[a, b]` or `{a=1, b=2}`.
fn shown_texts(open: char, texts: impl Iterator<Item = String>, close: char) -> Shown {
    let texts: Vec<String> = texts.collect();
    shown_text(&format!("{open}{}{close}", texts.join(", ")))
}
