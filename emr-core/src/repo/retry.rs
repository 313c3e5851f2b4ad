//! Work that runs again when its transaction gave way to another one.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::transaction::{TransactionOptions, Tx};

/// How often work runs again if its options do not say it.
const TIMES: u32 = 3;

/// The longest wait before the first of the later runs; it doubles from run to run.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// The longest wait of all.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

pub(super) async fn transaction<R, E, W>(
    executor: &impl Executor,
    mut options: TransactionOptions,
    work: impl Fn() -> W,
) -> Result<R, E>
where
    E: From<Error>,
    W: AsyncFnOnce(&Tx) -> Result<R, E>,
{
    if executor.is_transaction() {
        return Err(E::from(Error::invalid(
            "only the outermost transaction can run again: the server gives up all of it, not the nested part",
        )));
    }
    let times = options.retry.take().unwrap_or(TIMES);
    let mut run = 0;
    loop {
        let tx = executor.start(options.clone()).await?;
        let core = Arc::clone(&tx.core);
        let error = match work()(&tx).await {
            Ok(result) => match tx.commit().await {
                Ok(()) => return Ok(result),
                Err(error) => E::from(error),
            },
            Err(error) => {
                let _ = tx.rollback().await;
                error
            }
        };
        if run == times || !core.gave_way() {
            return Err(error);
        }
        drop((core, error));
        tokio::time::sleep(wait(run)).await;
        run += 1;
    }
}

/// A random part of a time that doubles: two that met shall not meet again.
fn wait(run: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << run.min(10)).min(LONGEST_WAIT);
    // The seed of a new state is random; this is no secret.
    let part = u32::try_from(RandomState::new().hash_one(run) % 1_000).unwrap_or(0);
    longest * (part + 1) / 1_000
}
