//! Plans, and SQL that is not sent.

use emr::prelude::*;
use emr::{ExplainOptions, PlanFormat, QueryResult};

use crate::harness::{Backend, Db, assert_unsupported};
use crate::schemas::{Post, post, titles};

db_cases![
    pg5_explain_with_options,
    pg6_pg7_a_generic_plan_knows_no_values_and_cannot_be_run,
    pg8_a_plan_for_these_values_shows_them,
    pg9_pg10_plans_in_other_formats,
    pg11_what_an_analyzed_statement_does_stays_if_asked_for,
    the_sql_of_every_statement_can_be_seen,
    plans_inside_a_transaction,
];

fn text(plan: &QueryResult) -> String {
    let line = |cells: &[emr::Value<'_>]| format!("{cells:?}");
    plan.rows().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn refused(db: &Db, result: Result<QueryResult>) -> Option<QueryResult> {
    if db.backend == Backend::Postgres {
        return Some(result.unwrap());
    }
    let error = result.unwrap_err();
    assert_unsupported(&error);
    None
}

async fn pg5_explain_with_options(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Post>().await.unwrap();
    let row = post(repo, "x").await;
    let update = || Post::query().filter(Post::ID.eq(row.id)).set(Post::TITLE, "y");
    let delete = || Post::query().filter(Post::ID.eq(row.id)).delete();
    for plan in [
        repo.explain(Post::query()).await.unwrap(),
        repo.explain(update()).await.unwrap(),
        repo.explain(delete()).await.unwrap(),
    ] {
        let table = if db.backend == Backend::Postgres { "posts" } else { "t0" };
        assert!(text(&plan).contains(table) || text(&plan).contains("posts"), "{}", text(&plan));
    }
    let analyzed = ExplainOptions::new().analyze().verbose().costs(false).timing(false).summary(false);
    if let Some(plan) = refused(db, repo.explain_with(Post::query(), analyzed.clone()).await) {
        let plan = text(&plan);
        assert!(plan.contains("actual rows=1") && plan.contains("Output: id, title"), "{plan}");
        assert!(!plan.contains("cost=") && !plan.contains("actual time"), "{plan}");
    }
    refused(db, repo.explain_with(update(), analyzed.clone()).await);
    refused(db, repo.explain_with(delete(), analyzed.buffers(true)).await);
    // What ran was rolled back.
    assert_eq!(repo.fetch::<Post>(row.id).await.unwrap(), row);
    // Options that contradict each other are refused before anything is sent, on every engine.
    for options in [
        ExplainOptions::new().timing(true),
        ExplainOptions::new().wal(true),
        ExplainOptions::new().keep(),
        ExplainOptions::new().analyze().generic(),
    ] {
        let error = repo.explain_with(Post::query(), options).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    }
}

async fn pg6_pg7_a_generic_plan_knows_no_values_and_cannot_be_run(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let query = Post::query().filter(Post::VISITS.eq(7).and(Post::TITLE.eq("seven")));
    for _ in 0..2 {
        let found = db.repo.explain_with(&query, ExplainOptions::new().generic()).await;
        if let Some(plan) = refused(db, found) {
            let plan = text(&plan);
            assert!(plan.contains("$1") && plan.contains("$2") && !plan.contains("seven"), "{plan}");
        }
    }
    let plain = db.repo.explain_with(Post::query(), ExplainOptions::new().generic()).await;
    refused(db, plain);
    let left = db.repo.explain_with(&query, ExplainOptions::new().generic().analyze()).await;
    assert!(matches!(left.unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
    if db.backend == Backend::Postgres {
        let prepared = "select count(*) from pg_prepared_statements where name like 'emr_plan%'";
        assert_eq!(db.repo.query(prepared, &[]).await.unwrap().scalar::<i64>().unwrap(), 0);
        // The connection plans as before.
        let shown = text(&db.repo.explain(&query).await.unwrap());
        assert!(shown.contains("seven"), "{shown}");
    }
}

async fn pg8_a_plan_for_these_values_shows_them(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let query = Post::query().filter(Post::TITLE.eq("shown"));
    let plan = text(&db.repo.explain(&query).await.unwrap());
    match db.backend {
        // This engine's plans show no values.
        Backend::Sqlite | Backend::Mariadb | Backend::Mysql => {
            let error = db.repo.explain_with(&query, ExplainOptions::new().verbose()).await.unwrap_err();
            assert_unsupported(&error);
        }
        Backend::Postgres => assert!(plan.contains("shown") && !plan.contains("$1"), "{plan}"),
    }
}

async fn pg9_pg10_plans_in_other_formats(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    for format in [PlanFormat::Json, PlanFormat::Yaml, PlanFormat::Xml] {
        if format == PlanFormat::Json && db.backend.is_mysql_family() {
            // Its own document: my6_a_plan_in_json.
            continue;
        }
        let found = db.repo.explain_with(Post::query(), ExplainOptions::new().format(format)).await;
        let Some(plan) = refused(db, found) else { continue };
        assert_eq!(plan.len(), 1);
        match format {
            PlanFormat::Json => {
                let json = plan.scalar::<serde_json::Value>().unwrap();
                assert_eq!(json[0]["Plan"]["Relation Name"], "posts", "{json}");
            }
            PlanFormat::Yaml => {
                let yaml = plan.scalar::<String>().unwrap();
                assert!(yaml.contains("Relation Name: \"posts\""), "{yaml}");
            }
            _ => assert!(text(&plan).contains("<Relation-Name>posts</Relation-Name>"), "{}", text(&plan)),
        }
    }
}

async fn pg11_what_an_analyzed_statement_does_stays_if_asked_for(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    post(&db.repo, "x").await;
    let analyze = ExplainOptions::new().analyze();
    let delete = || Post::query().delete();
    refused(db, db.repo.explain_with(delete(), analyze.clone()).await);
    assert_eq!(titles(&db.repo).await, ["x"]);
    if refused(db, db.repo.explain_with(delete(), analyze.keep()).await).is_some() {
        assert!(titles(&db.repo).await.is_empty());
    }
}

async fn the_sql_of_every_statement_can_be_seen(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    post(&db.repo, "x").await;
    let here = || Post::query().filter(Post::ID.eq(7));
    let (select, values) = db.repo.to_sql(here()).unwrap();
    assert!(select.starts_with("SELECT") && values == [emr::Value::I64(7)], "{select} {values:?}");
    let (update, values) = db.repo.to_sql(here().set(Post::TITLE, "y")).unwrap();
    assert!(update.starts_with("UPDATE") && values.len() == 2, "{update} {values:?}");
    let (delete, values) = db.repo.to_sql(here().delete()).unwrap();
    assert!(delete.starts_with("DELETE") && values == [emr::Value::I64(7)], "{delete} {values:?}");
    assert_eq!(titles(&db.repo).await, ["x"]);
}

async fn plans_inside_a_transaction(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "x").await;
    tx.explain(Post::query()).await.unwrap();
    refused(db, tx.explain_with(Post::query().delete(), ExplainOptions::new().analyze()).await);
    refused(db, tx.explain_with(Post::query(), ExplainOptions::new().generic()).await);
    post(&tx, "y").await;
    tx.commit().await.unwrap();
    assert_eq!(titles(&db.repo).await, ["x", "y"]);
}
