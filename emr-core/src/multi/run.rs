//! Running the steps: what is wrong beforehand, then one after the other, then the commit.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};

use super::work::On;
use super::{Entry, Multi, MultiError, MultiResults};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Executor, known};
use crate::transaction::Tx;

/// The step that failed, and why.
type Failed = (Option<Cow<'static, str>>, Error);

pub(crate) async fn run(executor: &impl Executor, multi: Multi) -> Result<MultiResults, MultiError> {
    let any = executor.as_any_repo();
    let repo = On { repo: &any, options: executor.call_options() };
    Box::pin(run_on(&repo, multi)).await
}

async fn run_on(repo: &On<'_>, multi: Multi) -> Result<MultiResults, MultiError> {
    let Multi { entries, options } = multi;
    let mut done = MultiResults::default();
    if entries.is_empty() {
        return Ok(done);
    }
    let early = |(step, error): Failed| MultiError::new(step, error, MultiResults::default());
    let outside = |error: Error| early((None, error));
    check(&HashSet::new(), &entries).map_err(early)?;
    if repo.options.read_only {
        refuse_writes(repo, &entries).map_err(early)?;
    }
    known(repo).await.map_err(outside)?;
    if !repo.is_transaction() {
        options.check(repo.inner().0.capabilities()).map_err(outside)?;
    }
    check_on(repo, &entries).map_err(early)?;
    let tx = repo.start(options).await.map_err(outside)?;
    match steps(repo, &tx, entries, &mut done).await {
        Ok(()) => match tx.commit().await {
            Ok(()) => Ok(done),
            Err(error) => Err(MultiError::new(None, error, done)),
        },
        Err((step, error)) => {
            // Why the step failed matters more.
            let _ = tx.rollback().await;
            Err(MultiError::new(step, error, done))
        }
    }
}

async fn steps(repo: &On<'_>, tx: &Tx, entries: Vec<Entry>, done: &mut MultiResults) -> Result<(), Failed> {
    let mut rest: VecDeque<Entry> = entries.into();
    while let Some(entry) = rest.pop_front() {
        match entry {
            Entry::Step { id, name, work } => match work.run(tx, done).await {
                Ok(value) => done.push(id, name, value),
                Err(error) => return Err((Some(name), error)),
            },
            Entry::Inspect(look) => look(done),
            Entry::Merge { name, make } => {
                let merged = make(done).map_err(|error| (Some(name), error))?.entries;
                let known: HashSet<&str> =
                    done.names().chain(rest.iter().filter_map(Entry::name).map(|name| &**name)).collect();
                check(&known, &merged)?;
                if repo.options.read_only {
                    refuse_writes(repo, &merged)?;
                }
                check_on(repo, &merged)?;
                for entry in merged.into_iter().rev() {
                    rest.push_front(entry);
                }
            }
        }
    }
    Ok(())
}

/// What is wrong with the steps whatever the server can do.
fn check(known: &HashSet<&str>, entries: &[Entry]) -> Result<(), Failed> {
    let mut names: HashSet<&str> = known.clone();
    for entry in entries {
        if let Some(name) = entry.name()
            && !names.insert(name)
        {
            let problem = format!("two steps have the name {name:?}");
            return Err((Some(name.clone()), Error::invalid(problem)));
        }
        if let Entry::Step { name, work, .. } = entry {
            work.check().map_err(|error| (Some(name.clone()), error))?;
        }
    }
    Ok(())
}

fn refuse_writes(repo: &On<'_>, entries: &[Entry]) -> Result<(), Failed> {
    let writes = entries.iter().find_map(|entry| match entry {
        Entry::Step { name, work, .. } if work.writes() => Some(name),
        _ => None,
    });
    match writes {
        Some(name) => Err((Some(name.clone()), Error::new(ErrorKind::ReadOnly).with_repo(repo.inner().0.id()))),
        None => Ok(()),
    }
}

/// What is wrong with the steps on this server.
fn check_on(repo: &On<'_>, entries: &[Entry]) -> Result<(), Failed> {
    for entry in entries {
        if let Entry::Step { name, work, .. } = entry {
            work.check_on(repo).map_err(|error| (Some(name.clone()), error.with_repo(repo.inner().0.id())))?;
        }
    }
    Ok(())
}
