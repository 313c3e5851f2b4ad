//! The interceptors of a repo.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use super::Interceptor;
use crate::schema::Schema;

/// The interceptors of a repo, in the order in which they are asked. Cloning copies a pointer; there being none costs
/// nothing. Two are equal if they are the very same ones.
#[derive(Clone, Default)]
pub struct Interceptors(Option<Arc<[Arc<dyn Interceptor>]>>);

impl Interceptors {
    /// None.
    pub const NONE: Interceptors = Interceptors(None);

    /// These, and then this one.
    #[must_use]
    pub fn with(&self, interceptor: impl Interceptor) -> Self {
        let one: Arc<dyn Interceptor> = Arc::new(interceptor);
        Interceptors(Some(self.all().iter().cloned().chain([one]).collect()))
    }

    /// These, without those of this type.
    #[must_use]
    pub fn without<I: Interceptor>(&self) -> Self {
        let is_other = |one: &&Arc<dyn Interceptor>| {
            let one: &dyn Any = &***one;
            one.type_id() != TypeId::of::<I>()
        };
        let rest: Vec<_> = self.all().iter().filter(is_other).cloned().collect();
        Interceptors(if rest.is_empty() { None } else { Some(rest.into()) })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn all(&self) -> &[Arc<dyn Interceptor>] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether one of them wants to hear of what is written to this table.
    pub(crate) fn observe(&self, schema: &'static Schema) -> bool {
        self.all().iter().any(|one| one.observes(schema))
    }
}

impl PartialEq for Interceptors {
    fn eq(&self, other: &Self) -> bool {
        let (own, other) = (self.all(), other.all());
        own.len() == other.len() && own.iter().zip(other).all(|(own, other)| Arc::ptr_eq(own, other))
    }
}

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} interceptors", self.all().len())
    }
}

#[cfg(test)]
mod tests {
    use super::Interceptors;
    use crate::error::Result;
    use crate::intercept::{Interceptor, RawSql};

    struct One;
    struct Two;

    impl Interceptor for One {
        fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
            Ok(())
        }
    }

    impl Interceptor for Two {
        fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn those_of_a_type_are_taken_out() {
        let all = Interceptors::NONE.with(One).with(Two).with(One);
        assert_eq!(all.all().len(), 3);
        assert_eq!(all.without::<One>().all().len(), 1);
        assert!(all.without::<One>().without::<Two>().is_empty());
        assert_eq!(all, all.clone());
        assert_ne!(all, Interceptors::NONE.with(One).with(Two).with(One));
    }
}
