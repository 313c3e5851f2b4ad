//! Checksums: whether a contender read and wrote the right rows.

use crate::contender::{Person, User};
use crate::weigh::Scale;

/// Count and checksum of rows, whatever their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    rows: u64,
    hash: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, id: i64, name: &str, hair_color: Option<&str>) {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let color = hair_color.map_or(&b"\xff"[..], str::as_bytes);
        for byte in id.to_le_bytes().iter().chain(name.as_bytes()).chain(b"\0").chain(color) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.rows += 1;
        self.hash = self.hash.wrapping_add(hash);
    }
}

impl<'u> FromIterator<&'u User> for Sum {
    fn from_iter<I: IntoIterator<Item = &'u User>>(users: I) -> Self {
        let mut sum = Sum::default();
        users.into_iter().for_each(|user| sum.add(user.id, &user.name, user.hair_color.as_deref()));
        sum
    }
}

impl<'p> FromIterator<&'p Person> for Sum {
    fn from_iter<I: IntoIterator<Item = &'p Person>>(people: I) -> Self {
        let mut sum = Sum::default();
        people.into_iter().for_each(|person| sum.add(person.id, &person.name, person.hair_color.as_deref()));
        sum
    }
}

/// Counts rows while the clock runs, so it looks at little of each; and weighs the process, if it has a scale.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: u64,
    hash: u64,
    scale: Option<Scale>,
}

impl Tally {
    pub(crate) fn weighed(scale: Scale) -> Self {
        Tally { scale: Some(scale), ..Tally::default() }
    }

    pub(crate) fn scale(&self) -> Option<Scale> {
        self.scale
    }

    #[inline]
    pub(crate) fn add(&mut self, id: i64, name: &str, hair_color: Option<&str>) {
        let sizes = (name.len() << 8 | hair_color.map_or(0xff, str::len)) as u64;
        self.rows += 1;
        self.hash = self.hash.wrapping_add(id.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ sizes);
        if let Some(scale) = &mut self.scale {
            scale.row(self.rows);
        }
    }
}

impl PartialEq for Tally {
    fn eq(&self, other: &Self) -> bool {
        (self.rows, self.hash) == (other.rows, other.hash)
    }
}
