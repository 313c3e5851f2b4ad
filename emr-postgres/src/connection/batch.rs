//! Several statements in one round trip.

use std::sync::Arc;

use emr_core::{Control, Done, PrepareMode, Result, RowSink, Sql, Step};
use futures_util::future::join_all;

use super::query::{Failure, check_count, execute, execute_unnamed};
use super::session::{Prepared, Session};
use crate::types::Params;

type Outcome = Result<(Box<dyn RowSink>, Done)>;

impl Session {
    /// Sends all statements before it waits for the first answer. What is not prepared yet is prepared
    /// first, in one trip for all.
    pub(super) async fn batch(&mut self, controls: &[Control], mut steps: Vec<Step<'_>>) -> Result<Vec<Outcome>> {
        self.control(controls).await?;
        if self.prepare == PrepareMode::Unnamed {
            let client = self.client()?;
            let results = join_all(
                steps.iter_mut().map(|step| execute_unnamed(client, &step.sql, &step.params, &mut *step.sink)),
            )
            .await;
            return Ok(steps.into_iter().zip(results).map(|(step, result)| self.outcome(step, result)).collect());
        }
        let wanted = steps.iter().map(|step| (step.sql.clone(), step.params.len())).collect();
        let prepared = self.prepare_all(wanted).await?;
        let client = self.client()?;
        // Each future drains its own rows: the driver holds back all later answers until the first is read.
        let results = join_all(steps.iter_mut().zip(&prepared).map(|(step, prepared)| async move {
            match prepared {
                Ok((prepared, _)) => {
                    execute(client, prepared, Params::new(&step.params), &mut *step.sink).await.map(Some)
                }
                Err(_) => Ok(None),
            }
        }))
        .await;
        let mut outcomes = Vec::with_capacity(steps.len());
        for ((mut step, prepared), result) in steps.into_iter().zip(prepared).zip(results) {
            outcomes.push(match (prepared, result) {
                (Err(error), _) => Err(error),
                (Ok((_, true)), Err(failure)) if failure.is_stale() => {
                    self.statements.remove(&step.sql.key());
                    if self.may_repeat(&failure) {
                        let again = self.statement(&step.sql, &step.params, &mut *step.sink).await;
                        again.map(|done| (step.sink, done))
                    } else {
                        self.outcome(step, Err(failure))
                    }
                }
                (Ok(_), result) => self.outcome(step, result.map(Option::unwrap_or_default)),
            });
        }
        Ok(outcomes)
    }

    fn outcome(&mut self, step: Step<'_>, result: Result<Done, Failure>) -> Outcome {
        match result {
            Ok(done) => Ok((step.sink, done)),
            Err(failure) => Err(self.fail(failure, &step.sql, &step.params)),
        }
    }

    /// The statements of all steps, and whether they were kept from before.
    ///
    /// # Errors
    /// In a transaction, the first statement that cannot be prepared: it has aborted the transaction, and
    /// the others would only say so.
    async fn prepare_all(&mut self, wanted: Vec<(Sql, usize)>) -> Result<Vec<Result<(Arc<Prepared>, bool)>>> {
        let kept: Vec<_> = wanted.iter().map(|(sql, _)| self.kept(sql)).collect();
        let client = self.client()?;
        let made = join_all(wanted.iter().zip(kept).map(|((sql, _), kept)| async move {
            match kept {
                Some(kept) => Ok((kept, true)),
                None => client.prepare(sql.text()).await.map(|made| (Arc::new(Prepared::new(made)), false)),
            }
        }))
        .await;
        let mut all = Vec::with_capacity(wanted.len());
        for ((sql, params), made) in wanted.iter().zip(made) {
            let prepared = match made {
                Ok((prepared, was_kept)) => {
                    if !was_kept {
                        self.keep(sql, &prepared);
                    }
                    check_count(&prepared, *params).map(|()| (prepared, was_kept))
                }
                Err(error) => match self.fail(Failure::before(error), sql, &[]) {
                    error if self.in_transaction() => return Err(error),
                    error => Err(error),
                },
            };
            all.push(prepared);
        }
        Ok(all)
    }
}
