//! What is wrong with a changeset, field by field.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeStruct, Serializer};

/// One thing that is wrong with a field: a code for programs, a message for people, and the parameters of the message.
///
/// The message is a template: `{count}` stands for the parameter `count`. [`Display`](fmt::Display) fills them in. Neither
/// holds what the user gave.
///
/// ```
/// # use emr_core::FieldError;
/// let error = FieldError::new("length", "should be at least {count} character(s)").with("count", 3);
/// assert_eq!(error.to_string(), "should be at least 3 character(s)");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    params: Vec<(Cow<'static, str>, serde_json::Value)>,
}

impl FieldError {
    /// An error with this code and this message.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        FieldError { code: code.into(), message: message.into(), params: Vec::new() }
    }

    /// Adds a parameter.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<serde_json::Value>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// The same error in other words.
    pub fn message_is(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// What is wrong, for programs: `required`, `cast`, `length`, `format`, `number`, `inclusion`, `exclusion`, `subset`,
    /// `acceptance`, `confirmation`, `unique`, `foreign_key`, `no_assoc`, `check`, `overlap`, `stale`, or the program's own.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message, with the names of parameters in it: the key under which a translator finds its own.
    pub fn template(&self) -> &str {
        &self.message
    }

    /// The parameters.
    pub fn params(&self) -> impl Iterator<Item = (&str, &serde_json::Value)> {
        self.params.iter().map(|(name, value)| (&**name, value))
    }

    /// Fills the parameters into another template.
    pub fn fill(&self, template: &str) -> String {
        let mut text = template.to_owned();
        for (name, value) in &self.params {
            let shown = match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            text = text.replace(&format!("{{{name}}}"), &shown);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fill(&self.message))
    }
}

impl From<&'static str> for FieldError {
    fn from(message: &'static str) -> Self {
        FieldError::new("invalid", message)
    }
}

impl From<String> for FieldError {
    fn from(message: String) -> Self {
        FieldError::new("invalid", message)
    }
}

impl Serialize for FieldError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Params<'a>(&'a FieldError);
        impl Serialize for Params<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.params())
            }
        }
        let mut out = serializer.serialize_struct("FieldError", 3)?;
        out.serialize_field("code", self.code())?;
        out.serialize_field("message", &self.to_string())?;
        out.serialize_field("params", &Params(self))?;
        out.end()
    }
}

/// What is wrong with a changeset: for each field its errors, in the order in which they were found.
///
/// A field of an associated row stands under its path: `comments.1.text` is the text of the second comment. What concerns
/// the row as a whole stands under [`BASE`](Errors::BASE).
///
/// serde writes a map from fields to lists of `{ code, message, params }`, the messages in full. Paths nest, as the names of
/// a form do: `{ "comments": { "1": { "text": [...] } } }`. Where an association has errors of its own beside those of its
/// rows, they stand under `base` in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Errors {
    fields: Vec<(Cow<'static, str>, Vec<FieldError>)>,
}

impl Errors {
    /// Where errors stand that belong to no field.
    pub const BASE: &'static str = "base";

    pub(super) const NONE: Errors = Errors { fields: Vec::new() };

    /// Nothing is wrong.
    pub fn new() -> Self {
        Errors::default()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// How many fields have errors.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// The errors of a field; none if it has none.
    pub fn get(&self, field: &str) -> &[FieldError] {
        self.fields.iter().find(|(name, _)| name == field).map_or(&[], |(_, errors)| errors)
    }

    /// Whether a field has errors.
    pub fn has(&self, field: &str) -> bool {
        !self.get(field).is_empty()
    }

    /// The fields that have errors.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| &**name)
    }

    /// All errors with their fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &FieldError)> {
        self.fields.iter().flat_map(|(name, errors)| errors.iter().map(move |error| (&**name, error)))
    }

    /// Adds an error to a field.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, error: impl Into<FieldError>) {
        let (field, error) = (field.into(), error.into());
        match self.fields.iter_mut().find(|(name, _)| *name == field) {
            Some((_, errors)) => errors.push(error),
            None => self.fields.push((field, vec![error])),
        }
    }

    /// Takes over the errors of a part, whose fields then stand under the path: `comments.1`. With an empty path they stand
    /// where they stood.
    pub fn nest(&mut self, path: &str, part: Errors) {
        for (field, errors) in part.fields {
            let field = if path.is_empty() { field } else { Cow::Owned(format!("{path}.{field}")) };
            for error in errors {
                self.add(field.clone(), error);
            }
        }
    }

    /// Drops the errors of a part.
    pub(crate) fn forget_below(&mut self, path: &str) {
        self.fields.retain(|(field, _)| !field.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
    }

    /// The messages by field.
    pub fn messages(&self) -> BTreeMap<String, Vec<String>> {
        self.translate(|_, error| error.to_string())
    }

    /// The messages by field, each made by the function from the field and the error: [`FieldError::template`] or
    /// [`FieldError::code`] is what to look up, [`FieldError::fill`] puts the parameters into what was found.
    ///
    /// ```
    /// # use emr_core::{Errors, FieldError};
    /// let mut errors = Errors::new();
    /// errors.add("name", FieldError::new("length", "should be at least {count} character(s)").with("count", 3));
    /// let german = errors.translate(|_, error| match error.code() {
    ///     "length" => error.fill("braucht mindestens {count} Zeichen"),
    ///     _ => error.to_string(),
    /// });
    /// assert_eq!(german["name"], ["braucht mindestens 3 Zeichen"]);
    /// ```
    pub fn translate(&self, mut translate: impl FnMut(&str, &FieldError) -> String) -> BTreeMap<String, Vec<String>> {
        let texts = self.fields.iter().map(|(field, errors)| {
            (field.to_string(), errors.iter().map(|error| translate(field, error)).collect::<Vec<_>>())
        });
        texts.collect()
    }

    /// Gives the errors of this field and code another message. None of them: nothing happens.
    #[allow(clippy::ptr_arg)] // it is cloned as it is
    pub(crate) fn reword(&mut self, field: &str, code: &str, message: &Cow<'static, str>) {
        for (_, errors) in self.fields.iter_mut().filter(|(name, _)| name == field) {
            for error in errors.iter_mut().filter(|error| error.code == code) {
                error.message.clone_from(message);
            }
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (field, error)) in self.iter().enumerate() {
            write!(f, "{}{field} {error}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Serialize for Errors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tree = Tree::default();
        for (field, errors) in &self.fields {
            tree.put(field, errors);
        }
        tree.serialize(serializer)
    }
}

/// Errors by the steps of their paths.
#[derive(Default)]
struct Tree<'e> {
    own: &'e [FieldError],
    parts: Vec<(&'e str, Tree<'e>)>,
}

impl<'e> Tree<'e> {
    fn put(&mut self, path: &'e str, errors: &'e [FieldError]) {
        let mut place = self;
        for step in path.split('.') {
            let known = place.parts.iter().position(|(name, _)| *name == step);
            let at = known.unwrap_or_else(|| {
                place.parts.push((step, Tree::default()));
                place.parts.len() - 1
            });
            place = &mut place.parts[at].1;
        }
        place.own = errors;
    }
}

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.parts.is_empty() && !self.own.is_empty() {
            return self.own.serialize(serializer);
        }
        let has_own = !self.own.is_empty();
        let mut out = serializer.serialize_map(Some(self.parts.len() + usize::from(has_own)))?;
        if has_own {
            out.serialize_entry(Errors::BASE, self.own)?;
        }
        for (step, part) in &self.parts {
            out.serialize_entry(step, part)?;
        }
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::{Errors, FieldError};

    #[test]
    fn errors_are_written_for_a_form() {
        let mut errors = Errors::new();
        errors.add("title", FieldError::new("length", "at least {count}").with("count", 3));
        errors.add("title", "is odd");
        let mut child = Errors::new();
        child.add("text", FieldError::new("required", "can't be blank"));
        errors.nest("comments.1", child);
        assert_eq!(
            serde_json::to_value(&errors).unwrap(),
            serde_json::json!({
                "title": [
                    { "code": "length", "message": "at least 3", "params": { "count": 3 } },
                    { "code": "invalid", "message": "is odd", "params": {} },
                ],
                "comments": { "1": { "text": [{ "code": "required", "message": "can't be blank", "params": {} }] } },
            })
        );
        assert_eq!(errors.to_string(), "title at least 3, title is odd, comments.1.text can't be blank");
    }
}
