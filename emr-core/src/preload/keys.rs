//! The keys of many owners, and the way back from a key to its owners.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::ops::Range;
use std::sync::LazyLock;

use crate::association::Few;
use crate::value::Value;

/// One key: its values in the order of its columns.
pub(crate) type Key<'v> = Few<Value<'v>>;

/// Distinct keys in the order in which they were first seen, each with the number of its owners.
pub(crate) struct Keys {
    arity: usize,
    /// The values of all keys, one key after the other.
    values: Vec<Value<'static>>,
    /// From a hash to the last key that has it.
    table: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    /// For each key an earlier one of the same hash.
    earlier: Vec<Option<u32>>,
    /// For each key its owners; after [`number`](Keys::number), the owners of all keys before it.
    owners: Vec<u32>,
}

impl Keys {
    pub(crate) fn new(arity: usize) -> Self {
        Keys { arity, values: Vec::new(), table: HashMap::default(), earlier: Vec::new(), owners: Vec::new() }
    }

    /// Notes an owner of this key: the number of the key, and how many owners it had before.
    pub(crate) fn add(&mut self, key: Key<'_>) -> (u32, u32) {
        let hash = hash(&key);
        let found = self.find_hashed(hash, &key);
        let number = found.unwrap_or_else(|| {
            // More owners than that do not fit into memory.
            let number = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
            self.values.extend(key.into_iter().map(Value::into_owned));
            self.owners.push(0);
            self.earlier.push(self.table.insert(hash, number));
            number
        });
        let owners = &mut self.owners[number as usize];
        *owners += 1;
        (number, *owners - 1)
    }

    /// Gives every owner a number: those of one key stand together, in the order of the keys. After the last owner was
    /// added.
    pub(crate) fn number(&mut self) {
        let mut before = 0;
        for owners in &mut self.owners {
            (*owners, before) = (before, before + *owners);
        }
        self.owners.push(before);
    }

    /// Whether two keys are one, whatever the widths of their columns.
    pub(crate) fn are_same(a: &[Value<'_>], b: &[Value<'_>]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
    }

    /// How many keys there are; before they are numbered.
    pub(crate) fn is_empty(&self) -> bool {
        self.earlier.is_empty()
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.earlier.len()
    }

    /// The range of all keys.
    pub(crate) fn all(&self) -> Range<u32> {
        0..u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    /// The number of a key, if it is one of them.
    #[inline]
    pub(crate) fn find(&self, key: &[Value<'_>]) -> Option<u32> {
        self.find_hashed(hash(key), key)
    }

    fn find_hashed(&self, hash: u64, key: &[Value<'_>]) -> Option<u32> {
        let mut at = self.table.get(&hash).copied();
        while let Some(number) = at {
            let first = number as usize * self.arity;
            if self.values[first..first + self.arity].iter().zip(key).all(|(a, b)| same(a, b)) {
                return Some(number);
            }
            at = self.earlier[number as usize];
        }
        None
    }

    /// The owners of a key, by the numbers that they were given.
    #[inline]
    pub(crate) fn owners(&self, key: u32) -> Range<usize> {
        let key = key as usize;
        self.owners[key] as usize..self.owners[key + 1] as usize
    }

    /// Whether no two owners have the same key.
    pub(crate) fn have_one_owner_each(&self) -> bool {
        self.owners.last().is_some_and(|owners| *owners as usize == self.len())
    }

    /// The owners of a range of keys.
    pub(crate) fn owners_of(&self, keys: &Range<u32>) -> Range<usize> {
        self.owners[keys.start as usize] as usize..self.owners[keys.end as usize] as usize
    }

    /// The values of a range of keys in one of their columns.
    pub(crate) fn column(&self, column: usize, keys: &Range<u32>) -> impl Iterator<Item = &Value<'static>> {
        self.rows(keys).map(move |key| &key[column])
    }

    /// A range of keys.
    pub(crate) fn rows(&self, keys: &Range<u32>) -> impl Iterator<Item = &[Value<'static>]> {
        let range = keys.start as usize * self.arity..keys.end as usize * self.arity;
        self.values[range].chunks(self.arity.max(1))
    }
}

/// Takes a hash for its own hash.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Seeds the hashes of this process, so that nobody can make keys that collide.
static SEED: LazyLock<(RandomState, u64)> = LazyLock::new(|| {
    let state = RandomState::new();
    let odd = state.hash_one(0x9e37_79b9_u64) | 1;
    (state, odd)
});

fn hash(key: &[Value<'_>]) -> u64 {
    let (state, odd) = &*SEED;
    if let [only] = key
        && let Some(integer) = integer(only)
    {
        // Keys are nearly always whole numbers, and then this is all: a multiplication whose halves are folded.
        let (low, high) = (integer.cast_unsigned() ^ 0x5bd1_e995).carrying_mul(*odd, 0);
        return low ^ high;
    }
    let mut hasher = state.build_hasher();
    for value in key {
        match value {
            Value::Bool(v) => v.hash(&mut hasher),
            Value::F32(v) => f64::from(*v).to_bits().hash(&mut hasher),
            Value::F64(v) => v.to_bits().hash(&mut hasher),
            Value::Text(v) | Value::Json(v) => v.hash(&mut hasher),
            Value::Bytes(v) => v.hash(&mut hasher),
            Value::Uuid(v) => v.hash(&mut hasher),
            Value::Decimal(v) => v.hash(&mut hasher),
            Value::Date(v) => v.hash(&mut hasher),
            Value::Time(v) => v.hash(&mut hasher),
            Value::DateTime(v) => v.hash(&mut hasher),
            Value::Timestamp(v) => v.hash(&mut hasher),
            Value::Array(_, items) => items.len().hash(&mut hasher),
            Value::Null(_) => {}
            Value::I16(_) | Value::I32(_) | Value::I64(_) => integer(value).hash(&mut hasher),
        }
    }
    hasher.finish()
}

fn integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::I16(v) => Some(i64::from(*v)),
        Value::I32(v) => Some(i64::from(*v)),
        Value::I64(v) => Some(*v),
        _ => None,
    }
}

/// Whether two values are one key, whatever the widths of their columns.
fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use smallvec::smallvec;

    use super::*;
    use crate::value::SqlType;

    fn text(text: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(text))
    }

    #[test]
    fn a_key_is_kept_once_and_counts_its_owners() {
        let mut keys = Keys::new(1);

        let added: Vec<_> = [7, 3, 7, 7, 3].map(|id| keys.add(smallvec![Value::I64(id)])).into();
        keys.number();

        assert_eq!(added, [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)]);
        assert_eq!(keys.len(), 2);
        assert_eq!((keys.owners(0), keys.owners(1)), (0..3, 3..5));
        assert_eq!(keys.owners_of(&(0..2)), 0..5);
    }

    #[test]
    fn integers_of_any_width_are_one_key() {
        let mut keys = Keys::new(1);
        keys.add(smallvec![Value::I64(5)]);

        assert_eq!(keys.find(&[Value::I16(5)]), Some(0));
        assert_eq!(keys.find(&[Value::I32(6)]), None);
        assert_eq!(keys.find(&[Value::Null(SqlType::I64)]), None);
    }

    #[test]
    fn composite_keys_differ_in_any_part() {
        let mut keys = Keys::new(2);
        keys.add(smallvec![Value::I64(1), text("a")]);
        keys.add(smallvec![Value::I64(1), text("b")]);

        assert_eq!(keys.find(&[Value::I32(1), text("b")]), Some(1));
        assert_eq!(keys.find(&[Value::I64(2), text("b")]), None);
        let column: Vec<_> = keys.column(1, &(0..2)).map(Value::describe).collect();
        assert_eq!(column, ["text \"a\"", "text \"b\""]);
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let mut keys = Keys::new(1);
        for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
            keys.values.push(Value::Text(Cow::Borrowed(name)));
            keys.owners.push(1);
            keys.earlier.push(keys.table.insert(42, u32::try_from(n).unwrap()));
        }

        let found = ["c", "a", "b", "d"].map(|name| keys.find_hashed(42, &[text(name)]));

        assert_eq!(found, [Some(2), Some(0), Some(1), None]);
    }
}
