//! Rows of the log put together to commits.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use emr_core::watch::Part;

use crate::watcher::layout::Entry;

/// A row of the log.
#[derive(Debug)]
pub(super) struct LogRow {
    pos: i64,
    xid: u64,
    origin: Option<String>,
    entry: Entry,
}

impl LogRow {
    /// Reads the columns `pos, xid, src, op, old, new, origin`, the first of which is column `at`.
    pub(super) fn of(row: &tokio_postgres::Row, at: usize) -> Option<Self> {
        Some(LogRow {
            pos: row.get(at),
            xid: row.get::<_, &str>(at + 1).parse().ok()?,
            origin: row.get(at + 6),
            entry: Entry {
                source: row.get(at + 2),
                op: row.get::<_, i8>(at + 3).cast_unsigned(),
                old: row.get(at + 4),
                new: row.get(at + 5),
            },
        })
    }
}

/// Rows in the order of their commits, those of each commit together.
#[derive(Debug, Default)]
pub(super) struct Commits {
    rows: VecDeque<LogRow>,
    /// How many rows each commit has, and the highest position among them.
    sizes: HashMap<u64, (usize, i64)>,
    /// How many rows of the commit in front were taken.
    taken: usize,
}

/// A commit, or a part of one.
pub(super) struct Taken {
    pub(super) entries: Vec<Entry>,
    pub(super) origin: Option<Arc<str>>,
    pub(super) part: Option<Part>,
    /// The commit is whole with it: its highest position.
    pub(super) ends: Option<i64>,
}

impl Commits {
    /// All rows of some commits, in any order.
    ///
    /// A transaction that wrote a row after another one had committed its own write of it got all its later positions after the other's:
    /// so in the order of the highest positions, each row's changes are in the order in which they took effect.
    pub(super) fn of(mut rows: Vec<LogRow>) -> Self {
        let mut sizes: HashMap<u64, (usize, i64)> = HashMap::new();
        for row in &rows {
            let (count, highest) = sizes.entry(row.xid).or_insert((0, i64::MIN));
            *count += 1;
            *highest = row.pos.max(*highest);
        }
        rows.sort_unstable_by_key(|row| (sizes[&row.xid].1, row.pos));
        Commits { rows: rows.into(), sizes, taken: 0 }
    }

    /// Adds a row that a cursor gave, which yields them in this order, with the size of its commit and the highest position in it.
    pub(super) fn add(&mut self, row: LogRow, size: usize, highest: i64) {
        self.sizes.insert(row.xid, (size, highest));
        self.rows.push_back(row);
    }

    /// The sources of the rows.
    pub(super) fn sources(&self) -> impl Iterator<Item = i32> {
        let sources: BTreeSet<_> = self.rows.iter().map(|row| row.entry.source).collect();
        sources.into_iter()
    }

    /// The commit in front, or of one with more than `most` rows the next part. `None` if not all rows of it are there yet.
    pub(super) fn next(&mut self, most: usize) -> Option<Taken> {
        let xid = self.rows.front()?.xid;
        let (size, highest) = *self.sizes.get(&xid)?;
        let wanted = (size - self.taken).min(most);
        if self.rows.len() < wanted {
            return None;
        }
        let rows: Vec<_> = self.rows.drain(..wanted).collect();
        let part = (size > most).then(|| {
            let number = |rows: usize| u32::try_from(rows.div_ceil(most)).unwrap_or(u32::MAX);
            Part::new(number(self.taken + 1), number(size))
        });
        self.taken += wanted;
        let ends = (self.taken == size).then_some(highest);
        if ends.is_some() {
            self.taken = 0;
            self.sizes.remove(&xid);
        }
        let origin = rows.first().and_then(|row| row.origin.clone());
        let origin = origin.filter(|origin| rows.iter().all(|row| row.origin.as_ref() == Some(origin))).map(Arc::from);
        let entries = rows.into_iter().map(|row| row.entry).collect();
        Some(Taken { entries, origin, part, ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pos: i64, xid: u64) -> LogRow {
        LogRow { pos, xid, origin: None, entry: Entry { source: 1, op: b'I', old: None, new: None } }
    }

    /// Entries, the highest position of a whole commit, the part.
    type Size = (usize, Option<i64>, Option<(u32, u32)>);

    fn sizes(mut commits: Commits, most: usize) -> Vec<Size> {
        std::iter::from_fn(|| commits.next(most))
            .map(|taken| (taken.entries.len(), taken.ends, taken.part.map(|part| (part.number, part.of))))
            .collect()
    }

    #[test]
    fn commits_are_whole_and_in_the_order_of_their_highest_positions() {
        let commits = Commits::of(vec![row(5, 7), row(1, 9), row(2, 7), row(3, 8), row(4, 9)]);
        assert_eq!(sizes(commits, 10), [(1, Some(3), None), (2, Some(4), None), (2, Some(5), None)]);
    }

    #[test]
    fn a_large_commit_comes_in_parts_that_say_how_many_they_are() {
        let commits = Commits::of((1..=5).map(|pos| row(pos, 7)).chain([row(6, 8)]).collect());
        let parts = [(2, None, Some((1, 3))), (2, None, Some((2, 3))), (1, Some(5), Some((3, 3))), (1, Some(6), None)];
        assert_eq!(sizes(commits, 2), parts);
    }

    #[test]
    fn a_commit_waits_for_the_rest_of_its_rows() {
        let mut commits = Commits::default();
        commits.add(row(1, 7), 2, 2);
        assert!(commits.next(10).is_none());
        commits.add(row(2, 7), 2, 2);
        assert_eq!(commits.next(10).unwrap().entries.len(), 2);
    }
}
