//! How several reads run in one round trip.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::Instrument;

use super::{Call, Executor, bounded, retryable, settle};
use crate::capabilities::Capabilities;
use crate::connection::{Connection, Control, Done, Role, Step};
use crate::error::{Error, Result};
use crate::handle::RepoInner;
use crate::observe::{Outcome, Watch};
use crate::preload::Request;
use crate::render;
use crate::row::{ResultColumn, Row, RowSink};
use crate::sinks::unbox;
use crate::sql::{Sql, SqlBuilder};
use crate::value::Value;

/// Runs several reads together: in one round trip where the driver can. All have one deadline. The sinks come back in
/// the same order; the first statement that fails is the error of all.
pub(crate) async fn run_batch(executor: &impl Executor, requests: &[Request]) -> Result<Vec<Box<dyn RowSink>>> {
    let repo = executor.inner().0;
    let options = executor.call_options();
    let locks = requests.iter().any(|request| request.body.lock.is_some());
    if locks && !executor.is_transaction() {
        let problem = "a query with a lock needs a transaction: outside one the lock is gone when the call returns";
        return Err(Error::invalid(problem).with_repo(repo.id()));
    }
    let role = if locks { Role::Write } else { Role::Read };
    let mut batch = Batch::begin(repo, requests, role);
    let span = batch.span.clone();
    let has_connection = AtomicBool::new(false);
    let result = {
        let work = async {
            loop {
                let mut lease = executor.lease(role).await?;
                has_connection.store(true, Ordering::Relaxed);
                batch.has_connection();
                let stale = lease.may_be_stale();
                let steps = batch.steps(requests, repo, repo.capabilities(), options.prefix.as_deref())?;
                let mut ticket = lease.ticket().await?;
                let (connection, controls) = ticket.parts()?;
                let result = batch.send(connection, &controls, steps).await;
                match ticket.end_with(result) {
                    Err(error) if stale && retryable(&error, role) => {}
                    result => return result,
                }
            }
        };
        bounded(executor, options.timeout, &has_connection, work).instrument(span).await
    };
    if has_connection.load(Ordering::Relaxed) && result.as_ref().is_err_and(Error::is_timeout) {
        settle(repo).await;
    }
    batch.end(repo, result)
}

/// The same on a connection that the caller holds, for preloads of a stream.
pub(crate) async fn run_batch_on(
    executor: &impl Executor,
    connection: &mut dyn Connection,
    requests: &[Request],
) -> Result<Vec<Box<dyn RowSink>>> {
    let repo = executor.inner().0;
    let options = executor.call_options();
    let mut batch = Batch::begin(repo, requests, Role::Read);
    batch.has_connection();
    let work = async {
        let steps = batch.steps(requests, repo, repo.capabilities(), options.prefix.as_deref())?;
        batch.send(connection, &[], steps).await
    };
    let result = bounded(executor, options.timeout, &AtomicBool::new(true), work).await;
    batch.end(repo, result)
}

/// Statements that are run together, and what is reported of each.
struct Batch {
    statements: Vec<Statement>,
    span: tracing::Span,
}

struct Statement {
    call: Call,
    watch: Watch,
    queue: Option<Duration>,
    sql: Option<Sql>,
    /// Kept only for who watches.
    params: Vec<Value<'static>>,
    done: Option<Done>,
    spent: Duration,
}

impl Batch {
    fn begin(repo: &RepoInner, requests: &[Request], role: Role) -> Self {
        let statement = |request: &Request| {
            let call = Call { role, table: Some(request.related.table), verb: "preload", enforced: false };
            let watch = Watch::begin(repo, call);
            Statement { call, watch, queue: None, sql: None, params: Vec::new(), done: None, spent: Duration::ZERO }
        };
        let statements: Vec<_> = requests.iter().map(statement).collect();
        let span = statements.first().map_or_else(tracing::Span::none, |statement| statement.watch.span());
        Batch { statements, span }
    }

    fn has_connection(&mut self) {
        for statement in &mut self.statements {
            statement.queue = statement.watch.elapsed();
        }
    }

    fn steps<'q>(
        &mut self,
        requests: &'q [Request],
        repo: &'q RepoInner,
        capabilities: &'q Capabilities,
        prefix: Option<&'q str>,
    ) -> Result<Vec<Step<'q>>> {
        let mut steps = Vec::with_capacity(requests.len());
        for (request, statement) in requests.iter().zip(&mut self.statements) {
            let (sql, params) = SqlBuilder::build(repo.dialect(), capabilities, |out| {
                render::select(out, &request.body, prefix);
            })?;
            statement.sql = Some(sql.clone());
            let mut sink = (request.sink)();
            if statement.watch.is_observed() {
                statement.params = params.iter().map(|value| value.borrowed().into_owned()).collect();
                sink = Box::new(TimedBox { sink, spent: Duration::ZERO });
            }
            steps.push(Step { sql, params: params.into_vec(), sink });
        }
        Ok(steps)
    }

    /// Sends them and takes the sinks back.
    async fn send(
        &mut self,
        connection: &mut dyn Connection,
        controls: &[Control],
        mut steps: Vec<Step<'_>>,
    ) -> Result<Vec<Box<dyn RowSink>>> {
        let results = match (steps.pop(), steps.is_empty()) {
            // One alone goes along with what begins its transaction.
            (Some(only), true) => vec![connection.query(controls, &only.sql, &only.params, only.sink).await],
            (last, _) => {
                steps.extend(last);
                connection.batch(controls, steps).await?
            }
        };
        let mut sinks = Vec::with_capacity(results.len());
        for (result, statement) in results.into_iter().zip(&mut self.statements) {
            let (mut sink, done) = result?;
            statement.done = Some(done);
            if statement.watch.is_observed() {
                let timed = unbox::<TimedBox>(sink)?;
                (sink, statement.spent) = (timed.sink, timed.spent);
            }
            sinks.push(sink);
        }
        if sinks.len() != self.statements.len() {
            return Err(Error::invalid("the adapter left statements of a batch out"));
        }
        Ok(sinks)
    }

    /// Reports each statement. Of a failed batch, those that did not come back have its error.
    fn end(self, repo: &RepoInner, result: Result<Vec<Box<dyn RowSink>>>) -> Result<Vec<Box<dyn RowSink>>> {
        for statement in self.statements {
            let Statement { call, watch, queue, sql, params, done, spent } = statement;
            let text = sql.as_ref().map_or("", Sql::text);
            let rows = match (&result, done) {
                (_, Some(done)) => Ok(done.rows),
                (Err(error), None) => Err(error),
                (Ok(_), None) => Ok(0),
            };
            let outcome =
                Outcome { text, statement: sql.as_ref(), params: &params, queue, decode: spent, result: rows };
            watch.end(repo, call, &outcome);
        }
        result
    }
}

/// Measures the time that a sink spends.
struct TimedBox {
    sink: Box<dyn RowSink>,
    spent: Duration,
}

impl RowSink for TimedBox {
    fn columns(&mut self, columns: &[ResultColumn]) -> Result<()> {
        self.sink.columns(columns)
    }

    fn wants_columns(&self) -> bool {
        self.sink.wants_columns()
    }

    fn reads_once(&self) -> bool {
        self.sink.reads_once()
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        let start = Instant::now();
        let result = self.sink.row(row);
        self.spent += start.elapsed();
        result
    }
}
