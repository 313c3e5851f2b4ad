//! Calculating with decimals, which are stored as texts.

use rusqlite::functions::{Aggregate, Context, WindowAggregate};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};
use rust_decimal::{Decimal, RoundingStrategy};

use super::{FLAGS, decimal_of, integer_of, refused, scalar};

pub(super) fn register(db: &Connection) -> Result<()> {
    operator(db, "emr_add", Decimal::checked_add)?;
    operator(db, "emr_sub", Decimal::checked_sub)?;
    operator(db, "emr_mul", Decimal::checked_mul)?;
    scalar(db, "emr_div", 2, |context| {
        let (left, right) = (decimal_of(context.get_raw(0))?, decimal_of(context.get_raw(1))?);
        if right.is_zero() {
            return Err(refused("division by zero"));
        }
        number(left.checked_div(right))
    })?;
    scalar(db, "emr_abs", 1, |context| number(Some(decimal_of(context.get_raw(0))?.abs())))?;
    scalar(db, "emr_round", 2, round)?;
    db.create_window_function("emr_sum", 1, FLAGS, Total { mean: false })?;
    db.create_window_function("emr_avg", 1, FLAGS, Total { mean: true })
}

fn operator(db: &Connection, name: &str, calculate: fn(Decimal, Decimal) -> Option<Decimal>) -> Result<()> {
    scalar(db, name, 2, move |context| {
        number(calculate(decimal_of(context.get_raw(0))?, decimal_of(context.get_raw(1))?))
    })
}

fn number(result: Option<Decimal>) -> Result<Value> {
    match result {
        Some(number) => Ok(Value::Text(number.to_string())),
        None => Err(refused("a decimal of more digits than fit")),
    }
}

/// Rounds any number, and keeps its sort.
fn round(context: &Context<'_>) -> Result<Value> {
    let digits = integer_of(context, 1)?;
    let given = context.get_raw(0);
    let float = matches!(given, ValueRef::Real(_));
    match given {
        ValueRef::Integer(number) if digits >= 0 => return Ok(Value::Integer(number)),
        // A float that large has no digits to lose, and one that small none to keep.
        ValueRef::Real(number) if digits >= 0 && (number.abs() >= 1e15 || number.abs() < 1e-28) => {
            return Ok(Value::Real(if number.abs() < 1e-28 { 0.0 } else { number }));
        }
        _ => {}
    }
    let rounded = rounded(decimal_of(given)?, digits).ok_or_else(|| refused("a decimal of more digits than fit"))?;
    Ok(match given {
        ValueRef::Integer(_) => Value::Integer(rounded.try_into().map_err(|_| refused("integer overflow"))?),
        _ if float => Value::Real(rounded.to_string().parse().map_err(|_| refused("no float"))?),
        _ => Value::Text(rounded.to_string()),
    })
}

/// Halves go away from zero; fewer than no digits are zeros before the point.
pub(super) fn rounded(number: Decimal, digits: i64) -> Option<Decimal> {
    if let Ok(digits) = u32::try_from(digits) {
        return Some(number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero));
    }
    let Ok(zeros @ 0..=28) = u32::try_from(digits.unsigned_abs()) else { return Some(Decimal::ZERO) };
    let unit = Decimal::from(10_i64.checked_pow(zeros.min(18))?)
        .checked_mul(Decimal::from(10_i64.checked_pow(zeros.saturating_sub(18))?))?;
    let units = number.checked_div(unit)?;
    units.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero).checked_mul(unit)
}

/// The sum or the mean of decimals.
struct Total {
    mean: bool,
}

/// What was added up so far.
#[derive(Default)]
struct Sum {
    total: Decimal,
    count: u64,
}

impl Total {
    fn result(&self, sum: Option<&Sum>) -> Result<Value> {
        match sum {
            Some(Sum { total, count }) if *count > 0 => {
                number(if self.mean { total.checked_div((*count).into()) } else { Some(*total) })
            }
            _ => Ok(Value::Null),
        }
    }
}

impl Aggregate<Sum, Value> for Total {
    fn init(&self, _: &mut Context<'_>) -> Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        let value = context.get_raw(0);
        if value != ValueRef::Null {
            let added = sum.total.checked_add(decimal_of(value)?);
            sum.total = added.ok_or_else(|| refused("a sum of more digits than fit"))?;
            sum.count += 1;
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> Result<Value> {
        self.result(sum.as_ref())
    }
}

impl WindowAggregate<Sum, Value> for Total {
    fn value(&self, sum: Option<&mut Sum>) -> Result<Value> {
        self.result(sum.as_deref())
    }

    fn inverse(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        let value = context.get_raw(0);
        if value != ValueRef::Null {
            let left = sum.total.checked_sub(decimal_of(value)?);
            sum.total = left.ok_or_else(|| refused("a sum of more digits than fit"))?;
            sum.count -= 1;
        }
        Ok(())
    }
}
