//! Taking untyped input into a changeset.

use serde_json::Value as Json;

use super::convert::convert;
use super::{Changeset, Errors, FieldError, IntoColumns, IntoInput};
use crate::schema::{ColumnDef, Generated, Syncable};
use crate::value::{SqlType, Value};

/// What input says about a column.
enum Given {
    Value(Value<'static>),
    /// Nothing, where nothing is allowed.
    Null,
    /// Nothing, and the database fills the column of a new row.
    Unset,
    Wrong(FieldError),
}

impl<T: Syncable> Changeset<T> {
    /// Takes these columns out of untyped input: a JSON object, or the pairs of a form. Names are those of the struct's
    /// fields. What the input has beside them is ignored, so that a client writes nothing but what is listed here; what it
    /// lacks stays as it is.
    ///
    /// Texts stand for numbers, booleans (`true`, `1`, `on`), dates, times, UUIDs and decimals, as forms send them. JSON
    /// null, and a blank text, are NULL; in a column that is never NULL they are the error `required`, or in a new row leave
    /// the column to its default if it has one. A value that does not fit is the error `cast` of its field: nothing here
    /// fails. Enums and [`Json`](crate::Json) columns take only what their type can read.
    ///
    /// ```
    /// # use emr_core::{Changeset, Column, Syncable};
    /// # fn f<Post: Syncable>(post: Changeset<Post>, TITLE: Column<Post, String>, VISITS: Column<Post, i64>) {
    /// let input = serde_json::json!({ "title": "Hello", "visits": "many", "admin": true });
    /// let changeset = post.cast(&input, (TITLE, VISITS));
    /// assert!(!changeset.is_valid());
    /// # }
    /// ```
    pub fn cast(mut self, input: impl IntoInput, columns: impl IntoColumns<T>) -> Self {
        let input = input.into_input();
        if input.is_malformed() {
            self.rules().errors.add(Errors::BASE, FieldError::new("cast", "is invalid"));
        }
        let keep_blank = self.rules().keep_blank;
        let is_new = self.data.is_none();
        for column in columns.positions() {
            let Some(def) = T::schema().columns.get(column) else { continue };
            let Some(given) = input.get(def.field) else { continue };
            match read(given, def, is_new, keep_blank) {
                Given::Value(value) => self.assign(column, value),
                Given::Null => self.assign(column, Value::Null(def.ty)),
                Given::Unset => self.changes.retain(|change| change.column != column),
                Given::Wrong(error) => self.rules().errors.add(def.field, error),
            }
        }
        let rules = self.rules();
        match &mut rules.input {
            Some(earlier) => earlier.merge(input),
            None => rules.input = Some(input),
        }
        self
    }

    /// From here on [`cast`](Changeset::cast) takes blank texts as they are, for text columns: an API means what it says,
    /// while a form sends blanks for what nobody filled in.
    pub fn keep_blank(mut self) -> Self {
        self.rules().keep_blank = true;
        self
    }
}

fn read(given: &Json, def: &ColumnDef, is_new: bool, keep_blank: bool) -> Given {
    let is_blank = given.as_str().is_some_and(|text| text.trim().is_empty());
    if given.is_null() || (is_blank && !(keep_blank && def.ty == SqlType::Text)) {
        return if def.nullable {
            Given::Null
        } else if is_new && (def.default.is_some() || !matches!(def.generated, Generated::No)) {
            Given::Unset
        } else {
            Given::Wrong(required())
        };
    }
    // The second step knows the field's own type: the variants of an enum, the struct in a JSON column.
    match convert(given, def.ty).map(def.fit) {
        Some(Ok(value)) => Given::Value(value),
        Some(Err(_)) | None => Given::Wrong(FieldError::new("cast", "is invalid").with("type", def.ty.name())),
    }
}

/// The error for a value that is missing.
pub(crate) fn required() -> FieldError {
    FieldError::new("required", "can't be blank")
}
