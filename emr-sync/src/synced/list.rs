//! Rows in an order that the database knows: found by key, and put behind one another.

use std::collections::HashMap;

use crate::key::Key;

/// The most rows of one chunk. Two statements place a row in a list of the square of it.
pub(super) const CHUNK: usize = 512;

/// Rows in order. A row is found in constant time; entering and leaving move some hundred numbers, however many rows there are.
#[derive(Debug, Clone)]
pub(super) struct List<T> {
    rows: Vec<Option<Entry<T>>>,
    free: Vec<u32>,
    places: HashMap<Key, u32>,
    chunks: Vec<Vec<u32>>,
    free_chunks: Vec<u32>,
    order: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    key: Key,
    row: T,
    chunk: u32,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List {
            rows: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            chunks: Vec::new(),
            free_chunks: Vec::new(),
            order: Vec::new(),
        }
    }
}

impl<T> List<T> {
    pub(super) fn of(rows: impl IntoIterator<Item = (Key, T)>) -> Self {
        let mut list = List::default();
        for (key, row) in rows {
            list.push(key, row);
        }
        list
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.places.contains_key(key)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&T> {
        self.entry(*self.places.get(key)?).map(|entry| &entry.row)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut T> {
        let at = *self.places.get(key)?;
        self.rows.get_mut(at as usize)?.as_mut().map(|entry| &mut entry.row)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &T)> {
        let numbers = self.order.iter().flat_map(|chunk| &self.chunks[*chunk as usize]);
        numbers.filter_map(|at| self.entry(*at)).map(|entry| (&entry.key, &entry.row))
    }

    /// All rows, in any order, to be changed in place.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut T)> {
        self.rows.iter_mut().flatten().map(|entry| (&entry.key, &mut entry.row))
    }

    /// Some rows, each once, to be changed in place.
    pub(super) fn iter_mut_of<'k>(&mut self, keys: impl Iterator<Item = &'k Key>) -> Vec<(Key, &mut T)> {
        let mut numbers: Vec<_> = keys.filter_map(|key| self.places.get(key)).map(|at| *at as usize).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut found = Vec::with_capacity(numbers.len());
        let (mut rest, mut skipped) = (self.rows.as_mut_slice(), 0);
        for number in numbers {
            let (head, tail) = rest.split_at_mut(number + 1 - skipped);
            if let Some(Some(entry)) = head.last_mut() {
                found.push((entry.key.clone(), &mut entry.row));
            }
            (rest, skipped) = (tail, number + 1);
        }
        found
    }

    fn entry(&self, at: u32) -> Option<&Entry<T>> {
        self.rows.get(at as usize)?.as_ref()
    }

    /// The first row of each chunk.
    pub(super) fn heads(&self) -> impl Iterator<Item = &Key> {
        let first = |chunk: &u32| self.chunks[*chunk as usize].first();
        self.order.iter().filter_map(first).filter_map(|at| self.entry(*at)).map(|entry| &entry.key)
    }

    /// The rows of the chunk that a row is in, in order.
    pub(super) fn beside(&self, key: &Key) -> impl Iterator<Item = &Key> {
        let chunk = self.places.get(key).and_then(|at| self.entry(*at)).map(|entry| &self.chunks[entry.chunk as usize]);
        chunk.into_iter().flatten().filter_map(|at| self.entry(*at)).map(|entry| &entry.key)
    }

    pub(super) fn last(&self) -> Option<&Key> {
        let chunk = self.order.last()?;
        self.entry(*self.chunks[*chunk as usize].last()?).map(|entry| &entry.key)
    }

    pub(super) fn push(&mut self, key: Key, row: T) {
        let after = self.last().cloned();
        self.insert_after(after.as_ref(), key, row);
    }

    /// Puts a row behind another, or first. One that is there already is replaced where it stands.
    pub(super) fn insert_after(&mut self, after: Option<&Key>, key: Key, row: T) {
        if let Some(known) = self.get_mut(&key) {
            *known = row;
            return;
        }
        let before = after.and_then(|after| self.places.get(after)).copied();
        let known = before.and_then(|at| Some((at, self.entry(at)?.chunk)));
        let (order_at, chunk, at) = if let Some((before, chunk)) = known {
            let order_at = self.order.iter().position(|known| *known == chunk).unwrap_or_default();
            let at = self.chunks[chunk as usize].iter().position(|known| *known == before).map_or(0, |at| at + 1);
            (order_at, chunk, at)
        } else {
            if self.order.is_empty() {
                let chunk = self.new_chunk(Vec::new());
                self.order.push(chunk);
            }
            (0, self.order[0], 0)
        };
        let entry = Some(Entry { key: key.clone(), row, chunk });
        let number = if let Some(number) = self.free.pop() {
            self.rows[number as usize] = entry;
            number
        } else {
            self.rows.push(entry);
            u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
        };
        self.places.insert(key, number);
        self.chunks[chunk as usize].insert(at, number);
        if self.chunks[chunk as usize].len() > CHUNK {
            self.split(order_at, chunk, at);
        }
    }

    /// Rows that come one after the other at the end leave full chunks behind.
    fn split(&mut self, order_at: usize, chunk: u32, inserted: usize) {
        let numbers = &mut self.chunks[chunk as usize];
        let cut = if inserted + 1 == numbers.len() { numbers.len() - 1 } else { numbers.len() / 2 };
        let tail = numbers.split_off(cut);
        let new = self.new_chunk(tail);
        for at in 0..self.chunks[new as usize].len() {
            let number = self.chunks[new as usize][at];
            if let Some(Some(entry)) = self.rows.get_mut(number as usize) {
                entry.chunk = new;
            }
        }
        self.order.insert(order_at + 1, new);
    }

    fn new_chunk(&mut self, numbers: Vec<u32>) -> u32 {
        if let Some(chunk) = self.free_chunks.pop() {
            self.chunks[chunk as usize] = numbers;
            chunk
        } else {
            self.chunks.push(numbers);
            u32::try_from(self.chunks.len() - 1).unwrap_or(u32::MAX)
        }
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<T> {
        let number = self.places.remove(key)?;
        let entry = self.rows.get_mut(number as usize)?.take()?;
        self.free.push(number);
        let chunk = &mut self.chunks[entry.chunk as usize];
        chunk.retain(|known| *known != number);
        if chunk.is_empty() {
            self.order.retain(|known| *known != entry.chunk);
            self.free_chunks.push(entry.chunk);
        }
        Some(entry.row)
    }
}

#[cfg(test)]
mod tests {
    use emr_core::Value;
    use proptest::prelude::*;

    use super::*;

    fn key(n: i64) -> Key {
        Key::of([Value::I64(n)])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_a_list(steps in prop::collection::vec((any::<bool>(), 0..3_000i64, any::<prop::sample::Index>()), 0..4_000)) {
            let mut list = List::default();
            let mut model: Vec<i64> = Vec::new();
            for (insert, n, at) in steps {
                if insert && !model.contains(&n) {
                    let at = at.index(model.len() + 1);
                    let after = at.checked_sub(1).map(|at| key(model[at]));
                    list.insert_after(after.as_ref(), key(n), n);
                    model.insert(at, n);
                } else if !insert {
                    prop_assert_eq!(list.remove(&key(n)), model.iter().position(|known| *known == n).map(|at| model.remove(at)));
                }
            }
            let rows: Vec<_> = list.iter().map(|(_, row)| *row).collect();
            prop_assert_eq!(&rows, &model);
            prop_assert_eq!(list.last().cloned(), model.last().map(|n| key(*n)));
            let heads: Vec<_> = list.heads().cloned().collect();
            prop_assert_eq!(heads.first().cloned(), model.first().map(|n| key(*n)));
            prop_assert!(model.iter().all(|n| list.beside(&key(*n)).any(|near| *near == key(*n))));
        }
    }
}
