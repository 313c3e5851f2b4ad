//! The columns of a unique key that refused a write: the server names the key alone.

use emr_core::{Error, ErrorKind, Result, Row, RowSink, Sql, Value};

use super::session::{Health, Session};

/// The columns of an index, in their order.
const COLUMNS: &str = "SELECT column_name FROM information_schema.statistics WHERE table_schema = database() \
                       AND table_name = ? AND index_name = ? ORDER BY seq_in_index";

/// Takes names. An expression has none.
#[derive(Default)]
struct Names(Vec<Option<String>>);

impl RowSink for Names {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.0.push(row.str(0).ok().flatten().map(ToOwned::to_owned));
        Ok(())
    }
}

impl Session {
    /// The same error, with the table and the columns of the key, where they can be found. Asks the server once.
    pub(super) async fn with_columns(&mut self, error: Error, sql: &Sql, parameters: usize) -> Error {
        let ErrorKind::Constraint(violation) = error.kind() else { return error };
        if !error.is_unique_violation() || self.health != Health::Sound {
            return error;
        }
        let mut violation = violation.clone();
        let of_statement = || (0..parameters).find_map(|n| sql.context(n)).map(|(schema, _)| schema.table.to_owned());
        let (Some(table), Some(name)) = (violation.table.take().or_else(of_statement), violation.name.clone()) else {
            return error;
        };
        let asked = [Value::Text(table.as_str().into()), Value::Text(name.into())];
        let mut names = Names::default();
        if self.run(&Sql::raw(COLUMNS), &asked, &mut names).await.is_err() {
            return error;
        }
        violation.columns = names.0.into_iter().collect::<Option<_>>().unwrap_or_default();
        violation.table = Some(table);
        Error::new(ErrorKind::Constraint(violation))
    }
}
