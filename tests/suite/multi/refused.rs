//! What is wrong with steps is found before anything is sent.

use emr::prelude::*;
use emr::test::{Instrument, Verb};
use emr::{IsolationLevel, Multi};

use super::{Track, row, track, tracks};
use crate::harness::{Backend, Db};

db_cases![
    nothing_is_sent_for_steps_that_are_wrong,
    nothing_is_sent_for_no_steps,
    a_step_that_is_right_is_sent,
    steps_on_a_read_only_repo,
];

/// What was sent since the last look, in its order. A connection alone sends nothing of the program's.
fn operations(instrument: &Instrument) -> Vec<Verb> {
    instrument.take().into_iter().map(|one| one.verb).filter(|verb| *verb != Verb::Connect).collect()
}

/// Good steps, and then one that is wrong in this way.
fn wrong<S>(add: impl FnOnce(&mut Multi) -> S) -> Multi {
    let mut multi = Multi::new();
    multi.insert("first", track("first"));
    add(&mut multi);
    multi.insert("last", track("last"));
    multi
}

async fn nothing_is_sent_for_steps_that_are_wrong(db: &Db) {
    db.repo.create_table::<Track>().await.unwrap();
    let stored = db.repo.insert(track("stored")).await.unwrap();
    let (repo, statements) = db.instrumented().await;
    let invalid = |changes: Changeset<Track>| changes.add_error(Track::TITLE, "is odd");
    let mut steps = vec![
        ("a name twice", wrong(|multi| multi.insert("first", track("x")))),
        ("an invalid row", wrong(|multi| multi.insert("wrong", invalid(track("x"))))),
        ("invalid rows", wrong(|multi| multi.insert_all("wrong", [track("x"), invalid(track("y"))]))),
        ("invalid changes", wrong(|multi| multi.update("wrong", invalid(stored.change())))),
        ("changes of no row", wrong(|multi| multi.update("wrong", track("x")))),
        ("a delete of no row", wrong(|multi| multi.delete("wrong", track("x")))),
        ("an invalid upsert", wrong(|multi| multi.upsert("wrong", invalid(track("x")), OnConflict::nothing()))),
        ("an invalid either", wrong(|multi| multi.insert_or_update("wrong", invalid(track("x"))))),
        ("a known error", wrong(|multi| multi.error("wrong", Error::invalid("no")))),
        (
            "a column of a table that is not joined",
            wrong(|multi| multi.one("wrong", Track::query().filter(crate::blog::Post::ID.eq(1)))),
        ),
        (
            "an update with a limit",
            wrong(|multi| multi.update_all("wrong", Track::query().limit(1).set(Track::PLAYS, 1))),
        ),
        ("a delete with an order", wrong(|multi| multi.delete_all("wrong", Track::query().first()))),
        (
            "options that contradict each other",
            wrong(|multi| {
                *multi = std::mem::take(multi).with_options(TransactionOptions::new().retry(3));
            }),
        ),
    ];
    if !db.backend.is_mysql_family() {
        // Any unique key fires there, so that no target has to be named.
        let aimless = || OnConflict::update().set(Track::PLAYS, 1);
        steps.push(("a change without a target", wrong(|multi| multi.upsert("wrong", track("x"), aimless()))));
    }
    if db.backend == Backend::Sqlite {
        let locked = |multi: &mut Multi| multi.all("wrong", Track::query().lock(Lock::UPDATE));
        steps.push(("a lock that the engine has not", wrong(locked)));
        let options = TransactionOptions::new().isolation(IsolationLevel::ReadUncommitted);
        steps.push(("a level that the engine has not", wrong(|_| {}).with_options(options)));
    } else {
        let ties = Track::query().with_ties();
        steps.push((
            "ties without a limit",
            wrong(|multi| multi.all("wrong", ties.first().lock(Lock::UPDATE).distinct())),
        ));
    }
    for (what, multi) in steps {
        let failed = repo.multi(multi).await.map(|done| format!("{done:?}")).expect_err(what);
        assert_eq!(failed.done().names().count(), 0, "{what}");
        let options = what.starts_with("options") || what.starts_with("a level");
        let step = if what == "a name twice" { "first" } else { "wrong" };
        assert_eq!(failed.step(), (!options).then_some(step), "{what}: {failed}");
        assert_eq!(operations(&statements), [], "{what}");
    }
    assert_eq!(tracks(&db.repo).await, [row("stored", 0)]);
}

async fn nothing_is_sent_for_no_steps(db: &Db) {
    let (repo, statements) = db.instrumented().await;
    let done = repo.multi(Multi::new()).await.unwrap();
    assert_eq!((done.names().count(), operations(&statements).len()), (0, 0));
    assert_eq!(repo.stats().connections, 0);
    // The control of the statements: something is seen.
    repo.query("select 1", &[]).await.unwrap();
    assert_eq!(operations(&statements), [Verb::Statement]);
}

async fn a_step_that_is_right_is_sent(db: &Db) {
    db.repo.create_table::<Track>().await.unwrap();
    let (repo, statements) = db.instrumented().await;
    repo.multi(wrong(|_| {})).await.unwrap();
    let mut expected = vec![Verb::Begin];
    expected.extend(vec![Verb::Statement; 2 * db.backend.statements_of_insert()]);
    expected.push(Verb::Commit);
    assert_eq!(operations(&statements), expected);
    assert_eq!(tracks(&db.repo).await, [row("first", 0), row("last", 0)]);
}

async fn steps_on_a_read_only_repo(db: &Db) {
    db.repo.create_table::<Track>().await.unwrap();
    db.repo.insert(track("stored")).await.unwrap();
    let (repo, statements) = db.instrumented().await;
    let mut multi = Multi::new();
    multi.exists("there", Track::query());
    multi.update_all("played", Track::query().inc(Track::PLAYS, 1));
    let failed = repo.read_only().multi(multi).await.unwrap_err();
    assert_eq!((failed.step(), failed.error().kind()), (Some("played"), &ErrorKind::ReadOnly));
    assert_eq!(operations(&statements), []);
    // Reading steps are welcome; those that are made later are refused in their turn.
    let mut multi = Multi::new();
    let there = multi.exists("there", Track::query());
    assert!(repo.read_only().multi(multi).await.unwrap().take(there).unwrap());
    let mut multi = Multi::new();
    multi.exists("there", Track::query());
    multi.update_all_with("played", |_| Ok(Track::query().inc(Track::PLAYS, 1)));
    let failed = repo.read_only().multi(multi).await.unwrap_err();
    assert_eq!((failed.step(), failed.error().kind()), (Some("played"), &ErrorKind::ReadOnly));
    assert_eq!(tracks(&db.repo).await, [row("stored", 0)]);
}
