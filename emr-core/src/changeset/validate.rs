//! Validations: what can be said about new values without asking the database.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::{Bound, RangeBounds};

use regex::Regex;
use serde_json::Value as Json;

use super::cast::required;
use super::convert::{same, to_json};
use super::{Changeset, FieldError, FieldName, IntoColumns};
use crate::expr::{Column, IntoScalar};
use crate::result::read_value;
use crate::schema::Syncable;
use crate::types::{Element, Field, Scalar};
use crate::value::Value;

/// All but [`validate_required`](Changeset::validate_required) look at changed columns only, and not at NULL: what is in
/// the row already was judged when it came in.
impl<T: Syncable> Changeset<T> {
    /// Each column has a value, new or from the row, and no blank text. Adds the error `required` to those that have none,
    /// unless they have an error already.
    pub fn validate_required(mut self, columns: impl IntoColumns<T>) -> Self {
        for column in columns.positions() {
            let Some(def) = T::schema().columns.get(column) else { continue };
            let missing = match self.effective(column) {
                None | Some(Value::Null(_)) => true,
                Some(Value::Text(text)) => text.trim().is_empty(),
                Some(_) => false,
            };
            if missing && !self.errors().has(def.field) {
                self.rules().errors.add(def.field, required());
            }
        }
        self
    }

    /// The text has a number of characters (Unicode scalar values) within the range, the array a number of items, and bytes
    /// their number: `3..=100`, `..=72`, `5..=5`. The error is `length`.
    pub fn validate_length<F: Field>(self, column: Column<T, F>, range: impl RangeBounds<usize>) -> Self {
        let measure = |value: &Value<'_>| match value {
            Value::Text(text) => Some((text.chars().count(), Unit::Characters)),
            Value::Bytes(bytes) => Some((bytes.len(), Unit::Bytes)),
            Value::Array(_, items) => Some((items.len(), Unit::Items)),
            Value::Json(json) => match serde_json::from_str(json) {
                Ok(Json::Array(items)) => Some((items.len(), Unit::Items)),
                _ => None,
            },
            _ => None,
        };
        self.measured(column, measure, &range)
    }

    /// The text has a number of bytes within the range: what some hashes and indexes count. The error is `length`.
    pub fn validate_byte_length<F: Field>(self, column: Column<T, F>, range: impl RangeBounds<usize>) -> Self {
        let measure = |value: &Value<'_>| match value {
            Value::Text(text) => Some((text.len(), Unit::Bytes)),
            Value::Bytes(bytes) => Some((bytes.len(), Unit::Bytes)),
            _ => None,
        };
        self.measured(column, measure, &range)
    }

    fn measured<F: Field>(
        mut self,
        column: Column<T, F>,
        measure: impl FnOnce(&Value<'_>) -> Option<(usize, Unit)>,
        range: &impl RangeBounds<usize>,
    ) -> Self {
        let Some(value) = self.changed(column.index()) else { return self };
        let Some((length, unit)) = measure(value) else {
            let problem = format!("{column:?} has no length: validate_length is for texts, bytes and lists");
            return self.fault(problem);
        };
        if let Some(error) = judge_length(length, unit, range) {
            self.rules().errors.add(column.def().field, error);
        }
        self
    }

    /// The pattern matches somewhere in the text: anchor it by `^` and `$` if it shall match all. The error is `format`.
    ///
    /// Make the pattern once, for example in a `LazyLock`: compiling costs far more than matching.
    pub fn validate_format<F: Field>(mut self, column: Column<T, F>, pattern: &Regex) -> Self {
        match self.changed(column.index()) {
            None => self,
            Some(Value::Text(text)) => {
                if !pattern.is_match(text) {
                    self.rules().errors.add(column.def().field, FieldError::new("format", "has invalid format"));
                }
                self
            }
            Some(_) => self.fault(format!("{column:?} is no text: validate_format is for texts")),
        }
    }

    /// The value lies within the range: `0..=100`, `1..`, `..limit`. For numbers, dates and all else that has an order. The
    /// error is `number`.
    pub fn validate_number<F>(mut self, column: Column<T, F>, range: impl RangeBounds<F::Scalar>) -> Self
    where
        F: Field,
        F::Scalar: PartialOrd,
    {
        let Some(value) = self.typed(column) else { return self };
        let error = judge_range(&value, &range);
        if let Some(error) = error {
            self.rules().errors.add(column.def().field, error);
        }
        self
    }

    /// The value is one of these. The error is `inclusion`.
    pub fn validate_inclusion<F: Field, V: IntoScalar<F::Scalar>>(
        mut self,
        column: Column<T, F>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let Some(value) = self.changed(column.index()) else { return self };
        let allowed: Vec<_> = values.into_iter().map(|value| Scalar::into_value(value.into_scalar())).collect();
        if !allowed.iter().any(|allowed| same(allowed, value)) {
            let error = FieldError::new("inclusion", "is invalid");
            self.rules().errors.add(column.def().field, error.with("values", list(&allowed)));
        }
        self
    }

    /// The value is none of these. The error is `exclusion`.
    pub fn validate_exclusion<F: Field, V: IntoScalar<F::Scalar>>(
        mut self,
        column: Column<T, F>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let Some(value) = self.changed(column.index()) else { return self };
        let reserved: Vec<_> = values.into_iter().map(|value| Scalar::into_value(value.into_scalar())).collect();
        if reserved.iter().any(|reserved| same(reserved, value)) {
            let error = FieldError::new("exclusion", "is reserved");
            self.rules().errors.add(column.def().field, error.with("values", list(&reserved)));
        }
        self
    }

    /// Each item of the array is one of these. The error is `subset`.
    pub fn validate_subset<F, E, V>(mut self, column: Column<T, F>, values: impl IntoIterator<Item = V>) -> Self
    where
        F: Field<Scalar = Vec<E>>,
        E: Element,
        V: IntoScalar<E>,
    {
        let Some(Value::Array(_, items)) = self.changed(column.index()) else { return self };
        let allowed: Vec<_> = values.into_iter().map(|value| Scalar::into_value(value.into_scalar())).collect();
        if !items.iter().all(|item| allowed.iter().any(|allowed| same(allowed, item))) {
            let error = FieldError::new("subset", "has an invalid entry");
            self.rules().errors.add(column.def().field, error.with("values", list(&allowed)));
        }
        self
    }

    /// The input of this name, which is no column, is true: a box that must be ticked. Nothing is asked of a changeset that
    /// was given no input. The error is `acceptance`.
    pub fn validate_acceptance(mut self, field: impl FieldName) -> Self {
        let field = field.field_name();
        let Some(input) = self.input() else { return self };
        let accepted = match input.get(&field) {
            Some(Json::Bool(accepted)) => *accepted,
            Some(Json::String(text)) => matches!(text.trim(), "true" | "1" | "on"),
            _ => false,
        };
        if !accepted {
            self.rules().errors.add(field, FieldError::new("acceptance", "must be accepted"));
        }
        self
    }

    /// The input `{field}_confirmation`, which is no column, says the same as the input of the column. An input without it
    /// confirms nothing, and passes: forms send it always. The error is `confirmation`, at `{field}_confirmation`.
    pub fn validate_confirmation<F: Field>(mut self, column: Column<T, F>) -> Self {
        let field = format!("{}_confirmation", column.def().field);
        let Some(input) = self.input() else { return self };
        if let (Some(value), Some(confirmation)) = (input.get(column.def().field), input.get(&field))
            && value != confirmation
        {
            self.rules().errors.add(field, FieldError::new("confirmation", "does not match confirmation"));
        }
        self
    }

    /// Asks the function about the new value. What it returns as an error, a text or a [`FieldError`], is the error of the
    /// column.
    ///
    /// ```
    /// # use emr_core::{Changeset, Column, Syncable};
    /// # fn f<Post: Syncable>(post: Changeset<Post>, TITLE: Column<Post, String>) {
    /// let post = post.validate_change(TITLE, |title| match title.contains("foo") {
    ///     true => Err("cannot be foo"),
    ///     false => Ok(()),
    /// });
    /// # }
    /// ```
    pub fn validate_change<F: Field, E: Into<FieldError>>(
        mut self,
        column: Column<T, F>,
        check: impl FnOnce(&F::Scalar) -> Result<(), E>,
    ) -> Self {
        let Some(value) = self.typed(column) else { return self };
        if let Err(error) = check(&value) {
            self.rules().errors.add(column.def().field, error);
        }
        self
    }

    /// Gives the errors of this code at this field, as far as they are there now, another message.
    pub fn reword(mut self, field: impl FieldName, code: &str, message: impl Into<Cow<'static, str>>) -> Self {
        self.rules().errors.reword(&field.field_name(), code, &message.into());
        self
    }

    /// The new value of a column in its own type, unless there is none or it is NULL.
    fn typed<F: Field>(&self, column: Column<T, F>) -> Option<F::Scalar> {
        let value = self.changed(column.index())?;
        read_value::<F::Scalar>(value).ok()
    }
}

/// What a length counts.
#[derive(Clone, Copy)]
enum Unit {
    Characters,
    Bytes,
    Items,
}

/// The first number that is in the range, and the last.
fn limits(range: &impl RangeBounds<usize>) -> (usize, Option<usize>) {
    let low = match range.start_bound() {
        Bound::Included(low) => *low,
        Bound::Excluded(low) => low.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => Some(*high),
        Bound::Excluded(high) => Some(high.saturating_sub(1)),
        Bound::Unbounded => None,
    };
    (low, high)
}

fn judge_length(length: usize, unit: Unit, range: &impl RangeBounds<usize>) -> Option<FieldError> {
    let (low, high) = limits(range);
    let (kind, count) = match high {
        Some(high) if high == low && length != low => ("is", low),
        _ if length < low => ("min", low),
        Some(high) if length > high => ("max", high),
        _ => return None,
    };
    let mut message = String::from(if matches!(unit, Unit::Items) { "should have " } else { "should be " });
    message.push_str(match kind {
        "min" => "at least ",
        "max" => "at most ",
        _ => "",
    });
    // Writing to a text never fails.
    let _ = write!(
        message,
        "{{count}} {}",
        match unit {
            Unit::Characters => "character(s)",
            Unit::Bytes => "byte(s)",
            Unit::Items => "item(s)",
        }
    );
    Some(FieldError::new("length", message).with("count", count).with("kind", kind))
}

fn judge_range<S: Scalar + PartialOrd>(value: &S, range: &impl RangeBounds<S>) -> Option<FieldError> {
    let (message, kind, limit) = match (range.start_bound(), range.end_bound()) {
        (Bound::Included(low), Bound::Included(high)) if low == high && value != low => {
            ("must be equal to {number}", "equal_to", low)
        }
        // A NaN is in no range.
        #[allow(clippy::neg_cmp_op_on_partial_ord)]
        (Bound::Included(low), _) if !(value >= low) => {
            ("must be greater than or equal to {number}", "greater_than_or_equal_to", low)
        }
        #[allow(clippy::neg_cmp_op_on_partial_ord)]
        (Bound::Excluded(low), _) if !(value > low) => ("must be greater than {number}", "greater_than", low),
        #[allow(clippy::neg_cmp_op_on_partial_ord)]
        (_, Bound::Included(high)) if !(value <= high) => {
            ("must be less than or equal to {number}", "less_than_or_equal_to", high)
        }
        #[allow(clippy::neg_cmp_op_on_partial_ord)]
        (_, Bound::Excluded(high)) if !(value < high) => ("must be less than {number}", "less_than", high),
        _ => return None,
    };
    Some(FieldError::new("number", message).with("number", to_json(&Scalar::to_value(limit))).with("kind", kind))
}

fn list(values: &[Value<'_>]) -> Json {
    values.iter().map(to_json).collect()
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use super::{Unit, judge_length, judge_range};

    fn length(length: usize, range: impl std::ops::RangeBounds<usize>) -> Option<String> {
        judge_length(length, Unit::Characters, &range).map(|error| error.to_string())
    }

    #[test]
    fn lengths_are_judged() {
        assert_eq!(length(3, 3..=5), None);
        assert_eq!(length(5, 3..6), None);
        assert_eq!(length(2, 3..).as_deref(), Some("should be at least 3 character(s)"));
        assert_eq!(length(6, ..6).as_deref(), Some("should be at most 5 character(s)"));
        assert_eq!(length(4, 5..=5).as_deref(), Some("should be 5 character(s)"));
        assert_eq!(judge_length(0, Unit::Items, &(1..)).unwrap().to_string(), "should have at least 1 item(s)");
        assert_eq!(judge_length(9, Unit::Bytes, &(..=8)).unwrap().to_string(), "should be at most 8 byte(s)");
    }

    fn number(value: i64, range: impl std::ops::RangeBounds<i64>) -> Option<String> {
        judge_range(&value, &range).map(|error| error.to_string())
    }

    #[test]
    fn numbers_are_judged() {
        assert_eq!(number(5, 0..=5), None);
        assert_eq!(number(6, 0..=5).as_deref(), Some("must be less than or equal to 5"));
        assert_eq!(number(-1, 0..).as_deref(), Some("must be greater than or equal to 0"));
        assert_eq!(number(5, ..5).as_deref(), Some("must be less than 5"));
        assert_eq!(number(4, 5..=5).as_deref(), Some("must be equal to 5"));
        assert_eq!(number(0, (Bound::Excluded(0), Bound::Unbounded)).as_deref(), Some("must be greater than 0"));
        assert!(judge_range(&f64::NAN, &(0.0..)).is_some());
    }
}
