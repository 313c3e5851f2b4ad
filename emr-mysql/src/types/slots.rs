//! The cells of a row, whose buffers can be lent or given away.

use std::cell::{Cell, OnceCell};

use mysql_async::{Row, Value as Wire};

/// What stands where a buffer was given away: no server sends it, and nothing is read from it.
pub(super) const GIVEN_AWAY: Wire = Wire::Time(true, u32::MAX, u8::MAX, u8::MAX, u8::MAX, u32::MAX);

/// The cells of one row after the other.
#[derive(Default)]
pub(crate) struct Slots(Vec<Slot>);

/// A cell. What was lent is not given away any more.
struct Slot {
    own: Cell<Option<Wire>>,
    lent: OnceCell<Wire>,
}

impl Slots {
    /// Takes the cells of a row.
    pub(crate) fn fill(&mut self, row: Row) {
        self.hold(row.unwrap_raw());
    }

    fn hold(&mut self, cells: Vec<Option<Wire>>) {
        self.0.clear();
        self.0.extend(cells.into_iter().map(|own| Slot { own: Cell::new(own), lent: OnceCell::new() }));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The cell, if it is there.
    #[inline]
    pub(super) fn lend(&self, at: usize) -> Option<&Wire> {
        let slot = self.0.get(at)?;
        Some(slot.lent.get_or_init(|| slot.own.take().unwrap_or(GIVEN_AWAY)))
    }

    /// Takes the bytes of a cell out of it by `read`, unless they are lent. Bytes that it gives back stay.
    #[inline]
    pub(super) fn give<T>(&self, at: usize, read: impl FnOnce(Vec<u8>) -> Result<T, Vec<u8>>) -> Option<T> {
        let slot = self.0.get(at)?;
        match slot.own.take()? {
            Wire::Bytes(bytes) => match read(bytes) {
                Ok(read) => Some(read),
                Err(bytes) => {
                    slot.own.set(Some(Wire::Bytes(bytes)));
                    None
                }
            },
            other => {
                slot.own.set(Some(other));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(text: &str) -> Slots {
        let mut slots = Slots::default();
        slots.hold(vec![Some(Wire::Bytes(text.into()))]);
        slots
    }

    #[test]
    fn a_buffer_is_given_away_once() {
        let slots = slots("text");
        assert_eq!(slots.give(0, Ok), Some(b"text".to_vec()));
        assert_eq!(slots.give(0, Ok), None);
        assert_eq!(slots.lend(0), Some(&GIVEN_AWAY));
        assert_eq!((slots.lend(1), slots.len()), (None, 1));
    }

    #[test]
    fn what_was_lent_or_could_not_be_read_stays() {
        let slots = slots("text");
        assert_eq!(slots.give(0, |bytes| -> Result<(), _> { Err(bytes) }), None);
        assert_eq!(slots.lend(0), Some(&Wire::Bytes(b"text".to_vec())));
        assert_eq!(slots.give(0, Ok), None);
        assert_eq!(slots.lend(0), Some(&Wire::Bytes(b"text".to_vec())));
    }
}
