//! Snapshots of the server as text: `xmin:xmax:xip,xip`, and the positions that tokens are made of.

use std::fmt;
use std::str::FromStr;

/// A snapshot, as `pg_current_snapshot` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    text: String,
    pub(super) xmin: u64,
    pub(super) xmax: u64,
    /// Transactions below `xmax` that were running.
    pub(super) running: Vec<u64>,
}

impl FromStr for Snapshot {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let (Some(xmin), Some(xmax), Some(running), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        let number = |text: &str| text.parse::<u64>().map_err(drop);
        let (xmin, xmax) = (number(xmin)?, number(xmax)?);
        let running: Vec<_> =
            running.split(',').filter(|part| !part.is_empty()).map(number).collect::<Result<_, _>>()?;
        let ordered = running.is_sorted_by(|a, b| a < b);
        if xmin > xmax || !ordered || running.iter().any(|xid| *xid < xmin || *xid >= xmax) {
            return Err(());
        }
        Ok(Snapshot { text: text.to_owned(), xmin, xmax, running })
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where a reader stands: all that `from` sees was read, and of what only `to` sees, the commits up to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) from: Snapshot,
    pub(super) within: Option<Within>,
}

/// In the middle of a catch-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Within {
    /// What is being caught up with.
    pub(super) to: Snapshot,
    /// The highest log position of the last commit that was read.
    pub(super) last: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.within {
            None => write!(f, "{}", self.from),
            Some(within) => write!(f, "{}/{}/{}", self.from, within.to, within.last),
        }
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('/');
        let from = parts.next().ok_or(())?.parse()?;
        let within = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(to), Some(last), None) => Some(Within { to: to.parse()?, last: last.parse().map_err(drop)? }),
            _ => return Err(()),
        };
        Ok(Position { from, within })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_as_they_are_written() {
        for text in ["10:20:", "10:20:10,13", "10:20:10,13/12:30:12/77"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "10:20",
            "20:10:",
            "10:20:5",
            "10:20:20",
            "10:20:13,11",
            "a:b:c",
            "10:20:/1:2:",
            "1:2:/1:2:/x",
            "1:2:/1:2:/1/1",
        ] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_largest_numbers_fit() {
        let text = format!("1:{}:", u64::MAX);
        assert_eq!(text.parse::<Snapshot>().unwrap().xmax, u64::MAX);
    }
}
