//! How what is committed and not read is cut into commits: at places where one is known to have ended.

use std::sync::Arc;

use emr_core::Result;
use rusqlite::Connection;

use super::names::Names;
use crate::error::from_rusqlite;

/// Marks that are read at once.
const MARKS: usize = 2_000;

/// Positions from `first` to `last` that are one commit, or several whole ones.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) origin: Option<Arc<str>>,
    /// It is exactly one commit.
    whole: bool,
}

impl Segment {
    /// The changes from `first` to `last` of it.
    pub(super) fn part(&self, first: i64, last: i64) -> Segment {
        Segment { first, last, ..self.clone() }
    }

    pub(super) fn len(&self) -> i64 {
        self.last - self.first + 1
    }
}

/// A place where a commit ended; if `first` is known, the commit began there.
struct Mark {
    last: i64,
    first: Option<i64>,
    origin: Option<Arc<str>>,
}

/// The segments behind `pos` that hold about `most` changes: at least one, if there is any change.
pub(super) fn segments(db: &Connection, names: &Names, pos: i64, head: i64, most: i64) -> Result<Vec<Segment>> {
    if head <= pos {
        return Ok(Vec::new());
    }
    let marks = marks(db, names, pos, head).map_err(|error| from_rusqlite(db, error))?;
    Ok(cut(marks, pos, head, most))
}

fn marks(db: &Connection, names: &Names, pos: i64, head: i64) -> rusqlite::Result<Vec<Mark>> {
    let sql = format!(
        "SELECT last, first, origin FROM {} WHERE last > ?1 AND last <= ?2 ORDER BY last LIMIT {MARKS}",
        names.commits
    );
    let mut statement = db.prepare_cached(&sql)?;
    let marks = statement.query_map([pos, head], |row| {
        let origin = row.get::<_, Option<String>>(2)?.map(Arc::from);
        Ok(Mark { last: row.get(0)?, first: row.get(1)?, origin })
    })?;
    marks.collect()
}

fn cut(marks: Vec<Mark>, pos: i64, head: i64, most: i64) -> Vec<Segment> {
    let all_marks = marks.len() < MARKS;
    let mut next = pos + 1;
    let mut segments: Vec<Segment> = Vec::new();
    let mut push = |first: i64, last: i64, origin: Option<Arc<str>>, whole: bool| {
        if first > last {
            return;
        }
        // Commits of which nothing more is known are told together.
        if let Some(before) = segments.last_mut()
            && !before.whole
            && !whole
            && last - before.first < most
        {
            before.last = last;
            return;
        }
        segments.push(Segment { first, last, origin, whole });
    };
    for mark in marks {
        // A mark that reaches behind what is read already is one that somebody changed.
        match mark.first.filter(|first| *first >= next && *first <= mark.last) {
            Some(first) => {
                push(next, first - 1, None, false);
                push(first, mark.last, mark.origin, true);
            }
            None => push(next, mark.last, None, false),
        }
        next = mark.last + 1;
    }
    if all_marks {
        push(next, head, None, false);
    }
    let mut sum = 0;
    let taken = segments.iter().take_while(|segment| {
        let first = sum == 0;
        sum += segment.len();
        first || sum <= most
    });
    let taken = taken.count();
    segments.truncate(taken);
    segments
}

#[cfg(test)]
mod tests {
    use super::{Mark, Segment, cut};

    fn ranges(segments: &[Segment]) -> Vec<(i64, i64, Option<&str>)> {
        segments.iter().map(|segment| (segment.first, segment.last, segment.origin.as_deref())).collect()
    }

    fn end(last: i64) -> Mark {
        Mark { last, first: None, origin: None }
    }

    fn commit(first: i64, last: i64, origin: &str) -> Mark {
        Mark { last, first: Some(first), origin: Some(origin.into()) }
    }

    #[test]
    fn commits_with_an_origin_stand_alone() {
        let marks = vec![commit(3, 4, "a"), commit(5, 5, "a")];
        let found = cut(marks, 0, 8, 100);
        assert_eq!(ranges(&found), [(1, 2, None), (3, 4, Some("a")), (5, 5, Some("a")), (6, 8, None)]);
    }

    #[test]
    fn other_commits_are_told_together_up_to_the_most() {
        let found = cut(vec![end(10), end(20), end(30)], 0, 35, 20);
        assert_eq!(ranges(&found), [(1, 20, None)], "the third does not fit any more");
        let found = cut(vec![end(50)], 0, 60, 20);
        assert_eq!(ranges(&found), [(1, 50, None)], "one that is larger comes alone");
    }

    #[test]
    fn marks_that_contradict_are_only_ends() {
        let found = cut(vec![commit(1, 4, "a"), commit(9, 6, "b")], 2, 7, 100);
        assert_eq!(ranges(&found), [(3, 7, None)]);
    }
}
