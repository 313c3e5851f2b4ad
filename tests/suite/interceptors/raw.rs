//! SQL that EMR did not write is shown, wherever it stands.

use emr::prelude::*;
use emr::{SqlPlace, cte_sql};

use super::rules::{Note, Spy, Tenant, create, note, titles};

repo_cases![raw_sql_is_shown, raw_sql_is_refused];

async fn raw_sql_is_shown(repo: &impl Repo) {
    create(repo).await;
    note(repo, "here").await;
    let spy = Spy::default();
    let seen = &repo.with_interceptor(spy.clone());

    seen.query("select 1", &[]).await.unwrap();
    seen.query_as::<Note>("select * from notes", &[]).await.unwrap();
    seen.script("delete from remarks").await.unwrap();
    seen.query_many("select 1; select 2").await.unwrap();
    assert_eq!(
        spy.take(),
        [
            "query Statement: select 1",
            "query Statement: select * from notes",
            "script Statement: delete from remarks",
            "query_many Statement: select 1; select 2",
        ]
    );
    let long = fragment("length(?) > ?").arg(Note::TITLE).arg(3_i64);
    assert_eq!(seen.count(Note::query().filter(long.clone())).await.unwrap(), 1);
    assert_eq!(spy.take(), ["count Expression: length(?) > ?", "count notes"]);
    let hidden = Note::query().with(cte_sql("hidden", fragment("select * from notes where id > ?").arg(0_i64)));
    assert_eq!(seen.count(hidden.from_cte("hidden")).await.unwrap(), 1);
    assert_eq!(spy.take(), ["count Source: select * from notes where id > ?"]);
    let rows = fragment("select * from notes").rows_as::<Note>().query_as::<Note>();
    assert_eq!(seen.all(rows).await.unwrap().len(), 1);
    assert_eq!(spy.take(), ["all Source: select * from notes"]);
    let in_select = Note::query().select(fragment("(select count(*) from notes)").typed::<i64>());
    assert_eq!(seen.all(in_select).await.unwrap(), [1]);
    assert_eq!(spy.take(), ["all Expression: (select count(*) from notes)", "all notes"]);
    seen.update_all(Note::query().set_expr(Note::TITLE, fragment("upper(?)").arg(Note::TITLE).typed())).await.unwrap();
    let shown = spy.take();
    assert!(shown.contains(&"update_all Expression: upper(?)".to_owned()), "{shown:?}");
    let draft = Draft::<Note>::new().set_expr(Note::TITLE, fragment("lower('NEW')").typed());
    seen.insert(draft).await.unwrap();
    let shown = spy.take();
    assert!(shown.contains(&"insert Expression: lower('NEW')".to_owned()), "{shown:?}");
    assert_eq!(titles(repo).await, ["HERE", "new"]);
    // A hint is SQL too.
    let hinted = Note::query().hint("/* a hint */");
    assert!(seen.to_sql(hinted).unwrap().0.contains("/* a hint */"));
    assert_eq!(spy.take(), ["to_sql Expression: /* a hint */", "to_sql notes"]);
    assert_ne!(SqlPlace::Source, SqlPlace::Statement);
}

async fn raw_sql_is_refused(repo: &impl Repo) {
    create(repo).await;
    let here = note(repo, "here").await;
    let tenant = &repo.with_interceptor(Tenant(0));
    let stolen = fragment("select * from notes");
    let refused = [
        tenant.query("select * from notes", &[]).await.map(drop),
        tenant.query_as::<Note>("select * from notes", &[]).await.map(drop),
        tenant.script("delete from notes").await,
        tenant.query_many("delete from notes; select 1").await.map(drop),
        tenant.all(stolen.clone().rows_as::<Note>().query_as::<Note>()).await.map(drop),
        tenant.count(Note::query().with(cte_sql("s", stolen)).from_cte("s")).await.map(drop),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused { .. }) && error.repo().is_some(), "{error:?}");
        assert!(error.to_string().contains("SQL of no tenant"), "{error}");
    }
    // A fragment in an expression is let pass by this one.
    let long = fragment("length(?) > 3").arg(Note::TITLE);
    assert_eq!(tenant.all(Note::query().filter(long)).await.unwrap(), [here]);
    // The way past it.
    tenant.without_interceptors().script("delete from notes").await.unwrap();
    assert_eq!(titles(repo).await, [] as [&str; 0]);
}
