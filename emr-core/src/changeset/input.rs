//! Untyped input: JSON objects and the pairs of forms.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;

use serde_json::{Map, Value as Json};

/// How deep the names of form fields may nest.
const DEPTH: usize = 8;

/// Untyped input by names: what a client sent.
#[derive(Clone, Default, PartialEq)]
pub struct Input {
    fields: Map<String, Json>,
    /// It was no object at all.
    malformed: bool,
}

impl Input {
    /// The input of this name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.fields.get(name)
    }

    /// Whether it was something else than an object or pairs.
    pub(crate) fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// The input of these names.
    pub(crate) fn of_fields(fields: Map<String, Json>) -> Self {
        Input { fields, malformed: false }
    }

    /// Takes over what the other input names.
    pub(crate) fn merge(&mut self, other: Input) {
        self.fields.extend(other.fields);
    }

    fn of_json(json: &Json) -> Self {
        match json {
            Json::Object(fields) => Input { fields: fields.clone(), malformed: false },
            _ => Input { fields: Map::new(), malformed: true },
        }
    }

    fn of_pairs(pairs: impl IntoIterator<Item = (impl AsRef<str>, impl Into<String>)>) -> Self {
        let mut fields = Map::new();
        for (name, value) in pairs {
            let path = path(name.as_ref());
            // The first step is a name, though it be empty.
            if let Some((&first, rest)) = path.as_deref().and_then(<[_]>::split_first) {
                put(fields.entry(first).or_insert(Json::Null), rest, Json::String(value.into()));
            }
        }
        Input { fields, malformed: false }
    }
}

/// The names only: values may be secrets.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.fields.keys()).finish()
    }
}

/// The steps of `post[comments][0][text]` and of `tags[]`; `None` if it nests too deep. A name whose brackets make no
/// sense is one step.
fn path(name: &str) -> Option<Vec<&str>> {
    let Some((first, rest)) = name.split_once('[') else { return Some(vec![name]) };
    let Some(rest) = rest.strip_suffix(']').filter(|_| !first.is_empty()) else { return Some(vec![name]) };
    let mut path = vec![first];
    path.extend(rest.split("]["));
    (path.len() <= DEPTH).then_some(path)
}

/// Puts a value where the path leads; an empty step adds to a list. Of two values in one place the later one stays.
fn put(place: &mut Json, path: &[&str], value: Json) {
    let Some((&step, rest)) = path.split_first() else {
        *place = value;
        return;
    };
    if step.is_empty() {
        if !place.is_array() {
            *place = Json::Array(Vec::new());
        }
        if let Json::Array(items) = place {
            let mut item = Json::Null;
            put(&mut item, rest, value);
            items.push(item);
        }
    } else {
        if !place.is_object() {
            *place = Json::Object(Map::new());
        }
        if let Json::Object(fields) = place {
            put(fields.entry(step).or_insert(Json::Null), rest, value);
        }
    }
}

/// Untyped input: a JSON object, or the pairs of a form. In the names of pairs `a[b]` is the field `b` of `a`, and `a[]`
/// adds to a list.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no input",
    label = "expected a JSON object or the pairs of a form",
    note = "give a &serde_json::Value, or a Vec, slice or map of names and texts"
)]
pub trait IntoInput {
    /// The input by names.
    fn into_input(self) -> Input;
}

impl IntoInput for Input {
    fn into_input(self) -> Input {
        self
    }
}

impl IntoInput for &Input {
    fn into_input(self) -> Input {
        self.clone()
    }
}

impl IntoInput for &Json {
    fn into_input(self) -> Input {
        Input::of_json(self)
    }
}

impl IntoInput for Json {
    fn into_input(self) -> Input {
        match self {
            Json::Object(fields) => Input { fields, malformed: false },
            _ => Input { fields: Map::new(), malformed: true },
        }
    }
}

impl IntoInput for Map<String, Json> {
    fn into_input(self) -> Input {
        Input { fields: self, malformed: false }
    }
}

impl<N: AsRef<str>, V: AsRef<str>> IntoInput for &[(N, V)] {
    fn into_input(self) -> Input {
        Input::of_pairs(self.iter().map(|(name, value)| (name, value.as_ref())))
    }
}

impl<N: AsRef<str>, V: AsRef<str>, const C: usize> IntoInput for [(N, V); C] {
    fn into_input(self) -> Input {
        self.as_slice().into_input()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> IntoInput for Vec<(N, V)> {
    fn into_input(self) -> Input {
        self.as_slice().into_input()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> IntoInput for &Vec<(N, V)> {
    fn into_input(self) -> Input {
        self.as_slice().into_input()
    }
}

impl<N: AsRef<str>, V: AsRef<str>, H: BuildHasher> IntoInput for &HashMap<N, V, H> {
    fn into_input(self) -> Input {
        Input::of_pairs(self.iter().map(|(name, value)| (name, value.as_ref())))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> IntoInput for &BTreeMap<N, V> {
    fn into_input(self) -> Input {
        Input::of_pairs(self.iter().map(|(name, value)| (name, value.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::IntoInput;

    #[test]
    fn the_names_of_pairs_nest() {
        let pairs = [
            ("title", "x"),
            ("title", "y"),
            ("tags[]", "a"),
            ("tags[]", "b"),
            ("comments[0][text]", "hi"),
            ("odd[", "1"),
            ("[odd]", "2"),
            ("a[b][c][d][e][f][g][h][i]", "too deep"),
        ];
        let input = pairs.into_input();
        let all = serde_json::Value::Object(input.fields);
        let expected = json!({
            "title": "y", "tags": ["a", "b"], "comments": { "0": { "text": "hi" } }, "odd[": "1", "[odd]": "2",
        });
        assert_eq!(all, expected);
    }

    #[test]
    fn a_field_without_a_name_is_one_among_others() {
        let input = [("title", "x"), ("", "y")].into_input();
        assert_eq!((input.get("title"), input.get("")), (Some(&json!("x")), Some(&json!("y"))));
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for json in [json!(null), json!([1]), json!("x")] {
            assert!((&json).into_input().is_malformed());
        }
    }

    proptest! {
        #[test]
        fn any_names_are_taken(pairs in prop::collection::vec(("[a-c\\[\\]]{0,30}|\\PC{0,12}", ".{0,9}"), 0..8)) {
            let input = pairs.as_slice().into_input();
            prop_assert!(!input.is_malformed());
            for (name, value) in pairs.iter().rev().take(1).filter(|(name, _)| !name.contains('[')) {
                prop_assert_eq!(input.get(name).and_then(|value| value.as_str()), Some(&**value));
            }
        }
    }
}
