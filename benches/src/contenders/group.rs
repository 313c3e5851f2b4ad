//! Rows to their parents, as the hand-written preloads do it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// From a key to the place of its row.
pub(super) struct Places(HashMap<i64, usize, BuildHasherDefault<OneMultiplication>>);

impl Places {
    pub(super) fn of(ids: &[i64]) -> Self {
        Places(ids.iter().enumerate().map(|(at, id)| (*id, at)).collect())
    }

    /// Puts a row into the list of its parent.
    pub(super) fn put<T>(&self, lists: &mut [Vec<T>], parent: i64, row: T) {
        if let Some(&at) = self.0.get(&parent) {
            lists[at].push(row);
        }
    }
}

/// An empty list for each.
pub(super) fn lists<T>(count: usize) -> Vec<Vec<T>> {
    std::iter::repeat_with(Vec::new).take(count).collect()
}

/// Enough for keys that nobody chose to collide.
#[derive(Default)]
pub(super) struct OneMultiplication(u64);

impl Hasher for OneMultiplication {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
