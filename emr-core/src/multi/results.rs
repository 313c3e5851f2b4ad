//! What the steps of a `Multi` gave.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::error::{Error, Result};

/// The key to the result of a step, and to nothing else. Made by the methods of [`Multi`](crate::Multi) that add one.
pub struct MultiStep<T> {
    id: u64,
    of: PhantomData<fn() -> T>,
}

impl<T> MultiStep<T> {
    pub(super) fn of(id: u64) -> Self {
        MultiStep { id, of: PhantomData }
    }
}

impl<T> Clone for MultiStep<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for MultiStep<T> {}

impl<T> fmt::Debug for MultiStep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MultiStep {}", self.id)
    }
}

/// The results of the steps that are done.
#[derive(Default)]
pub struct MultiResults {
    done: Vec<Done>,
}

struct Done {
    id: u64,
    name: Cow<'static, str>,
    value: Option<Value>,
}

pub(super) type Value = Box<dyn Any + Send + Sync>;

impl MultiResults {
    /// The result of a step.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if the step was not done: it comes later, belongs to a `Multi` that does
    /// not run here, or its result was [taken](MultiResults::take).
    pub fn get<T: 'static>(&self, step: MultiStep<T>) -> Result<&T> {
        let done = self.done.iter().find(|done| done.id == step.id);
        let value = done.and_then(|done| done.value.as_ref()?.downcast_ref());
        value.ok_or_else(|| missing(done))
    }

    /// The result of a step, moved out.
    ///
    /// # Errors
    /// As [`get`](MultiResults::get).
    pub fn take<T: 'static>(&mut self, step: MultiStep<T>) -> Result<T> {
        let Some(done) = self.done.iter_mut().find(|done| done.id == step.id) else { return Err(missing(None)) };
        let value = done.value.take().and_then(|value| value.downcast().ok());
        value.map(|value| *value).ok_or_else(|| missing(Some(done)))
    }

    /// The names of the steps that are done, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.done.iter().map(|done| &*done.name)
    }

    pub(super) fn push(&mut self, id: u64, name: Cow<'static, str>, value: Value) {
        self.done.push(Done { id, name, value: Some(value) });
    }
}

fn missing(done: Option<&Done>) -> Error {
    match done {
        Some(done) => Error::invalid(format!("the result of the step {:?} was taken already", done.name)),
        None => Error::invalid("the result of a step that was not done: it comes later, or belongs to another Multi"),
    }
}

impl fmt::Debug for MultiResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MultiResults ")?;
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{MultiResults, MultiStep};

    #[test]
    fn a_result_is_read_by_its_own_key_and_taken_once() {
        let mut results = MultiResults::default();
        results.push(1, "one".into(), Box::new(7_i64));
        let (one, other) = (MultiStep::<i64>::of(1), MultiStep::<i64>::of(2));
        assert_eq!(results.get(one).unwrap(), &7);
        assert!(results.get(other).unwrap_err().to_string().contains("not done"));
        assert_eq!(results.take(one).unwrap(), 7);
        assert!(results.get(one).unwrap_err().to_string().contains("taken"));
        assert!(results.take(one).unwrap_err().to_string().contains("taken"));
        assert!(results.take(other).is_err());
        assert_eq!(results.names().collect::<Vec<_>>(), ["one"]);
    }
}
