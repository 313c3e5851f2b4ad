//! Rows that are not as the database gave them.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use emr::uuid::Uuid;
use emr::{Cell, Mismatch, Result, ResultColumn, Row, RowSink, Value};
use rust_decimal::Decimal;

use super::super::record::Record;
use super::Lie;

/// Takes the rows in the caller's place, and passes on what the lie leaves of them.
pub(super) struct LyingSink {
    pub(super) real: Box<dyn RowSink>,
    pub(super) dropped: u64,
    lie: Lie,
    seen: u64,
    record: Arc<Record>,
}

impl LyingSink {
    pub(super) fn new(real: Box<dyn RowSink>, lie: Lie, record: Arc<Record>) -> Self {
        LyingSink { real, dropped: 0, lie, seen: 0, record }
    }
}

impl RowSink for LyingSink {
    fn columns(&mut self, columns: &[ResultColumn]) -> Result<()> {
        self.real.columns(columns)
    }

    fn wants_columns(&self) -> bool {
        self.real.wants_columns()
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.record.saw_row();
        self.seen += 1;
        match self.lie {
            // The first one stays: that nothing at all comes back is too easy to see.
            Lie::Rows if self.seen.is_multiple_of(2) => {
                self.dropped += 1;
                Ok(())
            }
            Lie::Swap => self.real.row(&ChangedRow::new(row)),
            _ => self.real.row(row),
        }
    }
}

/// A row with a change that its types allow, so that it is the case that must see it, and not the decoder.
struct ChangedRow<'r> {
    real: &'r dyn Row,
    change: Change,
}

enum Change {
    /// Two cells of one kind that differ change places.
    Swap(usize, usize),
    /// The cell has another value.
    Alter { at: usize, text: String, bytes: Vec<u8> },
    /// All cells are NULL; this one is no longer.
    Invent(usize),
}

impl<'r> ChangedRow<'r> {
    fn new(real: &'r dyn Row) -> Self {
        ChangedRow { real, change: Change::of(real) }
    }

    /// The cell that is read in the place of this one.
    fn place(&self, at: usize) -> usize {
        match self.change {
            Change::Swap(one, other) if at == one => other,
            Change::Swap(one, other) if at == other => one,
            _ => at,
        }
    }

    fn is_altered(&self, at: usize) -> bool {
        matches!(self.change, Change::Alter { at: altered, .. } if altered == at)
    }

    fn is_invented(&self, at: usize) -> bool {
        matches!(self.change, Change::Invent(invented) if invented == at)
    }
}

impl Change {
    fn of(row: &dyn Row) -> Change {
        // What the adapter cannot show (`Err`) is left alone.
        let cells: Vec<Option<Value<'_>>> =
            (0..row.len()).map(|at| row.value(at).ok().filter(|value| !value.is_null())).collect();
        for (one, first) in cells.iter().enumerate() {
            let Some(first) = first else { continue };
            let differs = |other: &Option<Value<'_>>| {
                other.as_ref().is_some_and(|other| {
                    std::mem::discriminant(first) == std::mem::discriminant(other) && first != other
                })
            };
            if let Some(other) = cells.iter().skip(one + 1).position(differs) {
                return Change::Swap(one, one + 1 + other);
            }
        }
        let Some(at) = cells.iter().rposition(Option::is_some) else { return Change::Invent(0) };
        let text = match &cells[at] {
            Some(Value::Text(text)) => format!("{text}'"),
            Some(Value::Json(json)) => format!("[{json}]"),
            _ => String::new(),
        };
        let mut bytes = match &cells[at] {
            Some(Value::Bytes(bytes)) => bytes.to_vec(),
            _ => Vec::new(),
        };
        bytes.push(0);
        Change::Alter { at, text, bytes }
    }
}

macro_rules! changed {
    ($($getter:ident: $ty:ty, $invented:expr, |$value:ident| $altered:expr;)*) => {
        $(
            fn $getter(&self, at: usize) -> Cell<$ty> {
                if self.is_invented(at) {
                    return Ok(Some($invented));
                }
                let found = self.real.$getter(self.place(at))?;
                Ok(if self.is_altered(at) { found.map(|$value| $altered) } else { found })
            }
        )*
    };
}

impl Row for ChangedRow<'_> {
    fn len(&self) -> usize {
        self.real.len()
    }

    fn is_null(&self, at: usize) -> bool {
        !self.is_invented(at) && self.real.is_null(self.place(at))
    }

    changed! {
        bool: bool, true, |value| !value;
        i16: i16, 1, |value| value.wrapping_add(1);
        i32: i32, 1, |value| value.wrapping_add(1);
        i64: i64, 1, |value| value.wrapping_add(1);
        f32: f32, 1.0, |value| if value.is_finite() { value * 2.0 + 1.0 } else { 1.0 };
        f64: f64, 1.0, |value| if value.is_finite() { value * 2.0 + 1.0 } else { 1.0 };
        uuid: Uuid, Uuid::nil(), |value| Uuid::from_u128(value.as_u128() ^ 1);
        decimal: Decimal, Decimal::ONE, |value| value.checked_add(Decimal::ONE).unwrap_or(Decimal::ONE);
        date: NaiveDate, NaiveDate::default(), |value| value.checked_add_days(Days::new(1)).unwrap_or_default();
        time: NaiveTime, NaiveTime::default(), |value| value.overflowing_add_signed(TimeDelta::seconds(1)).0;
        datetime: NaiveDateTime, NaiveDateTime::default(), |value| later(value);
        timestamp: DateTime<Utc>, DateTime::UNIX_EPOCH, |value| later(value.naive_utc()).and_utc();
    }

    fn str(&self, at: usize) -> Cell<&str> {
        self.text(at, self.real.str(self.place(at)))
    }

    fn json(&self, at: usize) -> Cell<&str> {
        self.text(at, self.real.json(self.place(at)))
    }

    fn bytes(&self, at: usize) -> Cell<&[u8]> {
        if self.is_invented(at) {
            return Ok(Some(&[1]));
        }
        let found = self.real.bytes(self.place(at))?;
        Ok(match &self.change {
            Change::Alter { at: altered, bytes, .. } if *altered == at => found.map(|_| bytes.as_slice()),
            _ => found,
        })
    }

    fn value(&self, at: usize) -> Result<Value<'_>, Mismatch> {
        if self.is_invented(at) {
            return Ok(Value::I64(1));
        }
        let found = self.real.value(self.place(at))?;
        if !self.is_altered(at) {
            return Ok(found);
        }
        // Each by the getter of its own type.
        let altered = match &found {
            Value::Bool(_) => self.bool(at)?.map(Value::Bool),
            Value::I16(_) => self.i16(at)?.map(Value::I16),
            Value::I32(_) => self.i32(at)?.map(Value::I32),
            Value::I64(_) => self.i64(at)?.map(Value::I64),
            Value::F32(_) => self.f32(at)?.map(Value::F32),
            Value::F64(_) => self.f64(at)?.map(Value::F64),
            Value::Text(_) => self.str(at)?.map(|text| Value::Text(text.into())),
            Value::Json(_) => self.json(at)?.map(|json| Value::Json(json.into())),
            Value::Bytes(_) => self.bytes(at)?.map(|bytes| Value::Bytes(bytes.into())),
            Value::Uuid(_) => self.uuid(at)?.map(Value::Uuid),
            Value::Decimal(_) => self.decimal(at)?.map(Value::Decimal),
            Value::Date(_) => self.date(at)?.map(Value::Date),
            Value::Time(_) => self.time(at)?.map(Value::Time),
            Value::DateTime(_) => self.datetime(at)?.map(Value::DateTime),
            Value::Timestamp(_) => self.timestamp(at)?.map(Value::Timestamp),
            Value::Array(element, _) => Some(Value::Array(*element, Vec::new())),
            _ => None,
        };
        Ok(altered.unwrap_or(found))
    }
}

impl ChangedRow<'_> {
    fn text<'s>(&'s self, at: usize, found: Cell<&'s str>) -> Cell<&'s str> {
        match &self.change {
            _ if self.is_invented(at) => Ok(Some("invented")),
            Change::Alter { at: altered, text, .. } if *altered == at => Ok(found?.map(|_| text.as_str())),
            _ => found,
        }
    }
}

fn later(value: NaiveDateTime) -> NaiveDateTime {
    value.checked_add_signed(TimeDelta::seconds(1)).unwrap_or_default()
}
