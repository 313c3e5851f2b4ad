//! Functions that give the rows of an association.

use std::any::Any;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use super::gathered::Pairs;
use crate::error::{Error, ErrorKind, Result};
use crate::row::Mismatch;
use crate::schema::{AssociationDef, Syncable};
use crate::types::{FromValue, Scalar};
use crate::value::Value;

type Rows = Pin<Box<dyn Future<Output = Result<Box<dyn Any + Send>>> + Send>>;

/// The keys of all owners: the values of one key after those of the other.
type Call = dyn Fn(Vec<Vec<Value<'static>>>, &'static AssociationDef) -> Rows + Send + Sync;

/// A function that gives the rows of an association, without its types.
#[derive(Clone)]
pub(super) struct Function {
    call: Arc<Call>,
    /// Whether it gives the owner's key with each row.
    pub(super) gives_pairs: bool,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.call, &other.call)
    }
}

impl Function {
    pub(super) fn rows<T, K, F, R>(function: F) -> Self
    where
        T: Syncable,
        K: OwnerKey,
        F: Fn(OwnerKeys<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<T>>> + Send + 'static,
    {
        let call = move |keys: Vec<Vec<Value<'static>>>, association| -> Rows {
            let rows = OwnerKeys::read(&keys, association).map(&function);
            Box::pin(async move {
                let rows: Box<dyn Any + Send> = Box::new(rows?.await?);
                Ok(rows)
            })
        };
        Function { call: Arc::new(call), gives_pairs: false }
    }

    pub(super) fn pairs<T, K, F, R>(function: F) -> Self
    where
        T: Syncable,
        K: OwnerKey,
        F: Fn(OwnerKeys<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<(K, T)>>> + Send + 'static,
    {
        let call = move |keys: Vec<Vec<Value<'static>>>, association| -> Rows {
            let rows = OwnerKeys::read(&keys, association).map(&function);
            Box::pin(async move {
                let pairs = rows?.await?.into_iter().map(|(key, row)| (key.into_values(), row));
                let rows: Box<dyn Any + Send> = Box::new(Pairs(pairs.collect()));
                Ok(rows)
            })
        };
        Function { call: Arc::new(call), gives_pairs: true }
    }

    pub(super) fn call(&self, keys: Vec<Vec<Value<'static>>>, association: &'static AssociationDef) -> Rows {
        (self.call)(keys, association)
    }
}

/// The keys of the owners whose rows a function is to give, each once, in the order of the owners. Reads as a slice.
#[derive(Debug, Clone)]
pub struct OwnerKeys<K> {
    keys: Vec<K>,
    association: &'static AssociationDef,
}

impl<K> OwnerKeys<K> {
    /// The keys.
    pub fn into_vec(self) -> Vec<K> {
        self.keys
    }

    /// The association that is preloaded.
    pub fn association(&self) -> &'static AssociationDef {
        self.association
    }
}

impl<K: OwnerKey> OwnerKeys<K> {
    fn read(keys: &[Vec<Value<'static>>], association: &'static AssociationDef) -> Result<Self> {
        let keys = keys.iter().map(|key| K::from_values(key)).collect::<Result<_, _>>().map_err(|mismatch| {
            Error::new(ErrorKind::Decode {
                table: association.field.to_owned(),
                column: association.owner_keys.join(", "),
                expected: mismatch.expected.into_owned(),
                found: mismatch.found.into_owned(),
            })
        })?;
        Ok(OwnerKeys { keys, association })
    }
}

impl<K> Deref for OwnerKeys<K> {
    type Target = [K];

    fn deref(&self) -> &[K] {
        &self.keys
    }
}

impl<K> IntoIterator for OwnerKeys<K> {
    type Item = K;
    type IntoIter = std::vec::IntoIter<K>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.into_iter()
    }
}

/// What the key of an owner can be read into: a column type, or a tuple for a key of several columns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of an owner",
    label = "expected the type of the key column, or a tuple for several"
)]
pub trait OwnerKey: Sized + Send + 'static {
    /// Reads it.
    ///
    /// # Errors
    /// A [`Mismatch`] if the key is of another type, or of another number of columns.
    fn from_values(values: &[Value<'_>]) -> Result<Self, Mismatch>;

    /// The values of the columns.
    fn into_values(self) -> Vec<Value<'static>>;
}

impl<K: Scalar + FromValue> OwnerKey for K {
    fn from_values(values: &[Value<'_>]) -> Result<Self, Mismatch> {
        match values {
            [value] => K::from_value(value.borrowed()),
            values => Err(Mismatch::new("a key of one column", format!("{} columns", values.len()))),
        }
    }

    fn into_values(self) -> Vec<Value<'static>> {
        vec![self.into_value()]
    }
}

macro_rules! tuples {
    ($count:literal: $($item:ident $at:tt),*) => {
        impl<$($item: Scalar + FromValue),*> OwnerKey for ($($item,)*) {
            fn from_values(values: &[Value<'_>]) -> Result<Self, Mismatch> {
                if values.len() != $count {
                    let expected = concat!("a key of ", $count, " columns");
                    return Err(Mismatch::new(expected, format!("{} columns", values.len())));
                }
                Ok(($($item::from_value(values[$at].borrowed())?,)*))
            }

            fn into_values(self) -> Vec<Value<'static>> {
                vec![$(self.$at.into_value()),*]
            }
        }
    };
}

tuples!(2: A 0, B 1);
tuples!(3: A 0, B 1, C 2);
tuples!(4: A 0, B 1, C 2, D 3);
