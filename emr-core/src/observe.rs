//! What EMR reports of each statement: spans, counters, and a hook.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Span;

use crate::connection::Role;
use crate::error::{Error, Result};
use crate::exec::Call;
use crate::handle::RepoInner;
use crate::sql::Sql;
use crate::value::Value;

/// A hook that is called after every statement. See [`RepoOptions::log`](crate::RepoOptions::log).
#[derive(Clone)]
pub struct QueryLog(Arc<dyn Fn(&QueryEvent<'_>) + Send + Sync>);

impl QueryLog {
    /// Calls this function. It runs inside the call: keep it short.
    pub fn new(hook: impl Fn(&QueryEvent<'_>) + Send + Sync + 'static) -> Self {
        QueryLog(Arc::new(hook))
    }

    pub(crate) fn call(&self, event: &QueryEvent<'_>) {
        (self.0)(event);
    }
}

impl fmt::Debug for QueryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueryLog")
    }
}

/// One finished statement.
#[non_exhaustive]
pub struct QueryEvent<'a> {
    /// The repo's id.
    pub repo: &'a str,
    /// The adapter's name.
    pub backend: &'static str,
    /// The table, for statements of a schema.
    pub table: Option<&'static str>,
    /// The SQL.
    pub sql: &'a str,
    pub(crate) statement: Option<&'a Sql>,
    pub(crate) params: &'a [Value<'a>],
    /// Rows written or read.
    pub rows: u64,
    /// How long the call waited for a connection.
    pub queue_time: Duration,
    /// From sending the statement to the last row, decoding included.
    pub query_time: Duration,
    /// The part of `query_time` that went into decoding rows, where it was measured.
    pub decode_time: Duration,
    /// Why it failed, if it did.
    pub error: Option<&'a Error>,
}

impl QueryEvent<'_> {
    /// The parameters as text; those of redacted columns as `<redacted>`.
    pub fn params(&self) -> impl Iterator<Item = String> {
        shown(self.statement, self.params)
    }
}

/// Parameters as text; those of redacted columns as `<redacted>`.
pub(crate) fn shown<'a>(sql: Option<&'a Sql>, params: &'a [Value<'a>]) -> impl Iterator<Item = String> + 'a {
    params.iter().enumerate().map(move |(n, value)| match sql.and_then(|sql| sql.context(n)) {
        Some((schema, column)) if schema.columns[column].redact => "<redacted>".to_owned(),
        _ => value.describe(),
    })
}

impl fmt::Debug for QueryEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryEvent")
            .field("repo", &self.repo)
            .field("table", &self.table)
            .field("sql", &self.sql)
            .field("params", &self.params().collect::<Vec<_>>())
            .field("rows", &self.rows)
            .field("queue_time", &self.queue_time)
            .field("query_time", &self.query_time)
            .field("decode_time", &self.decode_time)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// One statement under watch: its span and its clock. Without an observer it costs two tests.
pub(crate) struct Watch {
    span: Span,
    started: Option<Instant>,
}

/// What a statement came to.
pub(crate) struct Outcome<'a> {
    /// What stands for the SQL, where there is no statement or none that is worth its text.
    pub(crate) text: &'a str,
    pub(crate) statement: Option<&'a Sql>,
    pub(crate) params: &'a [Value<'a>],
    /// How long the call waited for a connection; all the time, if it got none.
    pub(crate) queue: Option<Duration>,
    pub(crate) decode: Duration,
    pub(crate) result: Result<u64, &'a Error>,
}

impl<'a> Outcome<'a> {
    /// Of the begin or the end of a transaction.
    pub(crate) fn of_control(text: &'a str, queue: Option<Duration>, result: Result<u64, &'a Error>) -> Self {
        Outcome { text, statement: None, params: &[], queue, decode: Duration::ZERO, result }
    }
}

impl Watch {
    /// The begin or the end of a transaction.
    pub(crate) fn control(repo: &RepoInner, verb: &'static str) -> (Watch, Call) {
        let call = Call { role: Role::Write, table: None, verb, enforced: true };
        (Watch::begin(repo, call), call)
    }

    pub(crate) fn begin(repo: &RepoInner, call: Call) -> Watch {
        let span = if tracing::enabled!(tracing::Level::DEBUG) { statement_span(repo, call) } else { Span::none() };
        let observed = repo.options.log.is_some() || !span.is_disabled();
        Watch { span, started: observed.then(Instant::now) }
    }

    /// The span that the statement runs in.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Whether somebody watches.
    pub(crate) fn is_observed(&self) -> bool {
        self.started.is_some()
    }

    /// The time since it began, for who watches.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        self.started.map(|started| started.elapsed())
    }

    /// Counts the statement, and tells whoever watches.
    pub(crate) fn end(self, repo: &RepoInner, call: Call, outcome: &Outcome<'_>) {
        repo.counters.queries.increment(1);
        match outcome.result {
            Ok(rows) => repo.counters.rows.increment(rows),
            Err(_) => repo.counters.errors.increment(1),
        }
        self.tell(repo, call, outcome);
    }

    /// Tells whoever watches, of what is no statement of the program: the begin and the end of a transaction.
    pub(crate) fn tell(self, repo: &RepoInner, call: Call, outcome: &Outcome<'_>) {
        let Some(total) = self.elapsed() else { return };
        let queue = outcome.queue.unwrap_or(total);
        let query = total.saturating_sub(queue);
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let rows = outcome.result.unwrap_or_default();
        let error = outcome.result.err();
        self.span.record("sql", outcome.text);
        self.span.record("rows", rows);
        self.span.record("queue_us", micros(queue));
        self.span.record("query_us", micros(query));
        self.span.record("decode_us", micros(outcome.decode));
        if let Some(error) = error {
            self.span.record("error", tracing::field::display(error));
        }
        if let Some(log) = &repo.options.log {
            log.call(&QueryEvent {
                repo: repo.id(),
                backend: repo.adapter.name(),
                table: call.table,
                sql: outcome.text,
                statement: outcome.statement,
                params: outcome.params,
                rows,
                queue_time: queue,
                query_time: query,
                decode_time: outcome.decode,
                error,
            });
        }
    }
}

fn statement_span(repo: &RepoInner, call: Call) -> Span {
    use tracing::field::Empty;
    tracing::debug_span!(
        "emr.statement",
        repo = %repo.id(),
        backend = repo.adapter.name(),
        verb = call.verb,
        table = call.table,
        sql = Empty,
        rows = Empty,
        queue_us = Empty,
        query_us = Empty,
        decode_us = Empty,
        error = Empty,
    )
}

/// The counters of one repo.
pub(crate) struct Counters {
    pub(crate) queries: metrics::Counter,
    pub(crate) errors: metrics::Counter,
    pub(crate) rows: metrics::Counter,
    pub(crate) connects: metrics::Counter,
}

impl Counters {
    /// Counters with the repo's id as a label. Without a recorder they do nothing; a recorder must be
    /// installed before the repo is started.
    pub(crate) fn new(repo: &Arc<str>, backend: &'static str) -> Self {
        let labels = || [metrics::Label::new("repo", Arc::clone(repo)), metrics::Label::new("backend", backend)];
        Counters {
            queries: metrics::counter!("emr_queries_total", labels().iter()),
            errors: metrics::counter!("emr_errors_total", labels().iter()),
            rows: metrics::counter!("emr_rows_total", labels().iter()),
            connects: metrics::counter!("emr_connects_total", labels().iter()),
        }
    }
}
