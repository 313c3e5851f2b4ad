//! Time that is added to times.

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use crate::dialect::IntervalStyle;
use crate::error::Error;
use crate::expr::{Call, Function, Node, Unit};
use crate::sql::SqlBuilder;
use crate::value::{SqlType, Value};

use super::condition::value;
use super::function::{argument, signed};
use super::scope::Scope;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// No time is further away than this from any other: some ten thousand years in microseconds, and in months.
const FARTHEST: i64 = 10_000 * 366 * DAY;
const FARTHEST_MONTHS: i64 = 10_000 * 12;

/// How much is added.
#[derive(Clone, Copy)]
enum Amount<'q> {
    Months(i64),
    Micros(i64),
    /// So many times this many months.
    TimesMonths(&'q Node, i64),
    /// So many times this many microseconds.
    TimesMicros(&'q Node, i64),
}

/// Writes the first argument, later by so many units as the second one says.
pub(super) fn add_interval<'q>(out: &mut SqlBuilder<'q>, call: &'q Call, unit: Unit, scope: Scope<'_, 'q>) {
    let [time, count] = &call.arguments[..] else { return };
    let amount = match amount(count, unit) {
        Ok(amount) => amount,
        Err(problem) => return out.fail(problem),
    };
    match out.dialect().interval_style() {
        IntervalStyle::Interval => interval(out, call.ty, time, amount, scope),
        IntervalStyle::DateAdd => date_add(out, call.ty, time, amount, scope),
        IntervalStyle::DatePart => date_part(out, call.ty, time, amount, scope),
        IntervalStyle::Functions { months, micros } => match amount {
            Amount::Months(n) => function(out, months, time, scope, |out| whole(out, n)),
            Amount::TimesMonths(n, each) => function(out, months, time, scope, |out| times(out, n, each, scope)),
            Amount::Micros(n) => function(out, micros, time, scope, |out| {
                whole(out, n);
                out.push(", 1");
            }),
            Amount::TimesMicros(n, each) => function(out, micros, time, scope, |out| {
                value(out, n, scope);
                out.push(", ");
                signed(out, each);
            }),
        },
    }
}

fn amount(count: &Node, unit: Unit) -> Result<Amount<'_>, Error> {
    let Node::Bind { value, .. } = count else {
        return match unit.months() {
            Some(_) if !matches!(count.sql_type(), Some(SqlType::I16 | SqlType::I32 | SqlType::I64)) => {
                Err(Error::invalid("months and years are counted by integers: cast the number"))
            }
            Some(each) => Ok(Amount::TimesMonths(count, each)),
            None => Ok(Amount::TimesMicros(count, unit.micros())),
        };
    };
    let number = match value {
        Value::I16(n) => Some(Decimal::from(*n)),
        Value::I32(n) => Some(Decimal::from(*n)),
        Value::I64(n) => Some(Decimal::from(*n)),
        Value::F64(n) => Decimal::from_f64(*n),
        Value::Decimal(n) => Some(*n),
        _ => None,
    };
    let too_far = || Error::invalid(format!("no time is {} {unit:?}s away from another", value.describe()));
    let number = number.ok_or_else(too_far)?;
    let (each, farthest) = match unit.months() {
        Some(_) if !number.fract().is_zero() => {
            return Err(Error::invalid("months and years have no fractions: their lengths differ"));
        }
        Some(each) => (each, FARTHEST_MONTHS),
        None => (unit.micros(), FARTHEST),
    };
    let total = number.checked_mul(each.into()).and_then(|total| total.round().to_i64());
    match total.filter(|total| (-farthest..=farthest).contains(total)) {
        Some(total) if unit.months().is_some() => Ok(Amount::Months(total)),
        Some(total) => Ok(Amount::Micros(total)),
        None => Err(too_far()),
    }
}

fn function<'q>(
    out: &mut SqlBuilder<'q>,
    name: &str,
    time: &'q Node,
    scope: Scope<'_, 'q>,
    amount: impl FnOnce(&mut SqlBuilder<'q>),
) {
    out.push(name).push("(");
    argument(out, time, scope);
    out.push(", ");
    amount(out);
    out.push(")");
}

fn whole(out: &mut SqlBuilder<'_>, number: i64) {
    out.bind(Value::I64(number), None);
}

fn times<'q>(out: &mut SqlBuilder<'q>, number: &'q Node, each: i64, scope: Scope<'_, 'q>) {
    out.push("(");
    value(out, number, scope);
    out.push(" * ");
    signed(out, each);
    out.push(")");
}

/// By the type `interval`. Days and months of an instant would be those of the session's time zone.
fn interval<'q>(out: &mut SqlBuilder<'q>, ty: SqlType, time: &'q Node, amount: Amount<'q>, scope: Scope<'_, 'q>) {
    let by_utc = ty == SqlType::Timestamp;
    out.push(if ty == SqlType::Date { "CAST(" } else { "(" });
    if by_utc {
        out.push("(");
    }
    argument(out, time, scope);
    out.push(if by_utc { " AT TIME ZONE 'UTC' + " } else { " + " });
    match amount {
        Amount::Months(n) => {
            out.push("make_interval(months => CAST(");
            whole(out, n);
            out.push(" AS integer))");
        }
        Amount::TimesMonths(n, each) => {
            out.push("make_interval(months => CAST(");
            times(out, n, each, scope);
            out.push(" AS integer))");
        }
        Amount::Micros(n) => {
            // Both parts are exact: hours are integers, and microseconds of an hour have few digits.
            out.push("make_interval(hours => CAST(");
            whole(out, n / HOUR);
            out.push(" AS integer), secs => CAST(");
            #[allow(clippy::cast_precision_loss)] // less than an hour
            out.bind(Value::F64((n % HOUR) as f64 / 1e6), None).push(" AS double precision))");
        }
        Amount::TimesMicros(n, each) => {
            out.push("CAST(round(CAST(");
            value(out, n, scope);
            out.push(" AS numeric) * ");
            signed(out, each);
            out.push(") AS bigint) * interval '1 microsecond'");
        }
    }
    out.push(match ty {
        SqlType::Date => " AS date)",
        SqlType::Timestamp => ") AT TIME ZONE 'UTC')",
        _ => ")",
    });
}

/// Writes the time; a parameter with its type, as the engine would take it for text.
fn timed<'q>(out: &mut SqlBuilder<'q>, ty: SqlType, time: &'q Node, names: [&str; 3], scope: Scope<'_, 'q>) {
    let [date, datetime, timestamp] = names;
    if is_parameter(time) {
        out.push("CAST(");
        value(out, time, scope);
        out.push(" AS ");
        out.push(match ty {
            SqlType::Date => date,
            SqlType::Timestamp => timestamp,
            _ => datetime,
        });
        out.push(")");
    } else {
        value(out, time, scope);
    }
}

fn is_parameter(node: &Node) -> bool {
    match node {
        Node::Bind { .. } => true,
        // A literal: a cast to the type that it has.
        Node::Call(call) => matches!(&call.arguments[..], [Node::Bind { .. }]) && call.function == Function::Cast,
        _ => false,
    }
}

fn date_add<'q>(out: &mut SqlBuilder<'q>, ty: SqlType, time: &'q Node, amount: Amount<'q>, scope: Scope<'_, 'q>) {
    out.push(if ty == SqlType::Date { "CAST(date_add(" } else { "date_add(" });
    timed(out, ty, time, ["date", "datetime(6)", "datetime(6)"], scope);
    out.push(", INTERVAL ");
    match amount {
        Amount::Months(n) => {
            whole(out, n);
            out.push(" MONTH");
        }
        Amount::TimesMonths(n, each) => {
            times(out, n, each, scope);
            out.push(" MONTH");
        }
        Amount::Micros(n) => {
            whole(out, n);
            out.push(" MICROSECOND");
        }
        Amount::TimesMicros(n, each) => {
            out.push("round(");
            times(out, n, each, scope);
            out.push(") MICROSECOND");
        }
    }
    out.push(if ty == SqlType::Date { ") AS date)" } else { ")" });
}

/// By parts of 32 bits each.
fn date_part<'q>(out: &mut SqlBuilder<'q>, ty: SqlType, time: &'q Node, amount: Amount<'q>, scope: Scope<'_, 'q>) {
    let names = ["date", "datetime2(6)", "datetimeoffset(6)"];
    let months = matches!(amount, Amount::Months(_) | Amount::TimesMonths(..));
    if months {
        out.push("dateadd(month, ");
        match amount {
            Amount::Months(n) => whole(out, n),
            Amount::TimesMonths(n, each) => times(out, n, each, scope),
            Amount::Micros(_) | Amount::TimesMicros(..) => {}
        }
        out.push(", ");
        timed(out, ty, time, names, scope);
        out.push(")");
        return;
    }
    let part = |out: &mut SqlBuilder<'q>, name: &str, over: i64, of: i64| {
        out.push("dateadd(").push(name).push(", ");
        match amount {
            Amount::Micros(n) => whole(out, n % over / of),
            Amount::TimesMicros(n, each) => {
                out.push("CAST(round(");
                times(out, n, each, scope);
                out.push(", 0) AS bigint) % ");
                signed(out, over);
                out.push(" / ");
                signed(out, of);
            }
            Amount::Months(_) | Amount::TimesMonths(..) => {}
        }
        out.push(", ");
    };
    if ty == SqlType::Date {
        out.push("CAST(");
    }
    part(out, "microsecond", 1_000_000, 1);
    part(out, "second", DAY, 1_000_000);
    part(out, "day", i64::MAX, DAY);
    if ty == SqlType::Date {
        out.push("CAST(");
    }
    timed(out, ty, time, names, scope);
    if ty == SqlType::Date {
        out.push(" AS datetime2(6))");
    }
    out.push(")))");
    if ty == SqlType::Date {
        out.push(" AS date)");
    }
}
