//! From bytes to a value, or to a problem that names the field at fault.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::error::Category;

use crate::http::problem::Problem;

mod shape;

use shape::is_sequence;

/// Deepest nesting of arrays and objects: no request of ours needs a tenth of it, and recursion must end.
pub const DEPTH_MAX: usize = 32;

/// Up to this many names an object's are compared one by one; beyond, a set is cheaper.
const NAMES_COMPARED_MAX: usize = 16;

/// Reads one JSON text, the whole of `body`.
///
/// Values are read from the bytes, never by way of a tree, so that `RawValue` fields keep numbers as they were written.
///
/// # Errors
/// 400 `malformed_json` where it is no JSON, repeats a name or nests too deep; 422 `invalid_field` where it is not a `T`.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    scan(body)?;
    if body.trim_ascii_start().first() == Some(&b'[') && !is_sequence::<T>() {
        return Err(Problem::unprocessable("invalid_field", "send an object, not an array"));
    }
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        Err(error) if error.classify() == Category::Data => Err(explain::<T>(body, &error)),
        Err(error) => Err(malformed(&error.to_string())),
    }
}

fn malformed(what: &str) -> Problem {
    Problem::bad_request("malformed_json", format!("send one valid JSON text: {what}"))
}

/// Reads the body a second time, slower, to learn where the fault is.
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Problem {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let path = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => error.path().to_string(),
        Ok(_) => String::from("."),
    };
    let message = error.to_string();
    let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
    let parent = if path == "." { "" } else { path.as_str() };
    let field = match named_field(reason) {
        // serde names the object, and the field only in words
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None => parent.to_owned(),
    };
    let detail = if field.is_empty() { reason.to_owned() } else { format!("{field}: {reason}") };
    let problem = Problem::unprocessable("invalid_field", detail);
    if field.is_empty() { problem } else { problem.with_field(field) }
}

/// The field in "missing field `x`" and its like.
fn named_field(reason: &str) -> Option<&str> {
    let rest = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| reason.strip_prefix(start))?;
    rest.split_once('`').map(|(name, _)| name)
}

/// Refuses what a lenient reader would let two readers understand differently: repeated names, endless depth.
fn scan(body: &[u8]) -> Result<(), Problem> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let scanned = Scan { depth: 0, fault: &fault }.deserialize(&mut deserializer);
    match (fault.take(), scanned) {
        (Some(Fault::TooDeep), _) => Err(malformed(&format!("nest at most {DEPTH_MAX} levels deep"))),
        (Some(Fault::Repeated(name)), _) => {
            Err(malformed(&format!("the name `{name}` appears twice")).with_field(name))
        }
        // trailing text, syntax: the reader proper finds it too, and says it better
        (None, _) => Ok(()),
    }
}

enum Fault {
    TooDeep,
    Repeated(String),
}

#[derive(Clone, Copy)]
struct Scan<'a> {
    depth: usize,
    fault: &'a Cell<Option<Fault>>,
}

impl Scan<'_> {
    fn enter<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            self.fault.set(Some(Fault::TooDeep));
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inside = self.enter()?;
        while items.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inside = self.enter()?;
        let mut names = Names::default();
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if let Some(name) = names.repeated(name) {
                self.fault.set(Some(Fault::Repeated(name)));
                return Err(de::Error::custom("repeated name"));
            }
            members.next_value_seed(inside)?;
        }
        Ok(())
    }
}

/// A member's name, borrowed from the body unless it is written with escapes.
#[derive(PartialEq, Eq, Hash)]
struct Name<'de>(std::borrow::Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(name.into()))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(name.to_owned().into()))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// The names of one object so far.
#[derive(Default)]
struct Names<'de> {
    few: Vec<Name<'de>>,
    many: HashSet<Name<'de>>,
}

impl<'de> Names<'de> {
    fn repeated(&mut self, name: Name<'de>) -> Option<String> {
        if self.few.len() < NAMES_COMPARED_MAX {
            let is_repeated = self.few.contains(&name);
            if is_repeated {
                return Some(name.0.into_owned());
            }
            self.few.push(name);
            return None;
        }
        if self.few.contains(&name) || self.many.contains(&name) {
            return Some(name.0.into_owned());
        }
        self.many.insert(name);
        None
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
