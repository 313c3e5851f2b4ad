//! Several statements in one text, each with a result.

use emr_core::{Control, Done, Result, RowSink, Sql};

use super::session::Session;
use crate::dialect::LEXIS;

impl Session {
    /// Runs the statements one by one: the protocol's own way to send several gives texts without types.
    pub(super) async fn query_many(
        &mut self,
        controls: &[Control],
        sql: &str,
        new_sink: fn() -> Box<dyn RowSink>,
    ) -> Result<Vec<(Box<dyn RowSink>, Done)>> {
        self.control(controls).await?;
        let mut results = Vec::new();
        for statement in LEXIS.statements(sql) {
            let mut sink = new_sink();
            let done = self.statement(&Sql::once(statement), &[], &mut *sink).await?;
            results.push((sink, done));
        }
        Ok(results)
    }
}
