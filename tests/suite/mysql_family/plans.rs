//! EXPLAIN.

use emr::prelude::*;
use emr::{ExplainOptions, PlanFormat, QueryResult};

use super::is_elsewhere;
use crate::harness::{Db, assert_unsupported_in_part};
use crate::schemas::{Post, post, titles};

db_cases![my2_my3_my4_plans_of_each_verb, my5_a_plan_of_what_is_wrong, my6_a_plan_in_json, my7_a_plan_runs_nothing];

fn text(plan: &QueryResult) -> String {
    plan.rows().map(|cells| format!("{cells:?}")).collect::<Vec<_>>().concat()
}

async fn my2_my3_my4_plans_of_each_verb(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.create_table::<Post>().await.unwrap();
    post(&db.repo, "x").await;
    let here = || Post::query().filter(Post::TITLE.eq("x"));
    let select = db.repo.explain(here()).await.unwrap();
    assert!(select.columns().iter().any(|column| column.name == "select_type"), "{:?}", select.columns());
    assert!(text(&select).contains("t0") && text(&select).contains("SIMPLE"), "{}", text(&select));
    for plan in
        [db.repo.explain(here().set(Post::TITLE, "y")).await.unwrap(), db.repo.explain(here().delete()).await.unwrap()]
    {
        assert!(text(&plan).contains("t0") && plan.len() == 1, "{}", text(&plan));
    }
}

async fn my5_a_plan_of_what_is_wrong(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.create_table::<Post>().await.unwrap();
    let wrong = Post::query().filter(fragment("no_such_column = 1"));
    let error = db.repo.explain(wrong).await.unwrap_err();
    let ErrorKind::Database { code, message } = error.kind() else { panic!("{error:?}") };
    assert!(code == "1054" && message.contains("no_such_column"), "{error}");
}

async fn my6_a_plan_in_json(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.create_table::<Post>().await.unwrap();
    let json = || ExplainOptions::new().format(PlanFormat::Json);
    let plan = db.repo.explain_with(Post::query().filter(Post::TITLE.eq("x")), json()).await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&plan.scalar::<String>().unwrap()).unwrap();
    assert!(document.is_object() && document.to_string().contains("t0"), "{document}");
    for format in [PlanFormat::Yaml, PlanFormat::Xml] {
        let refused = db.repo.explain_with(Post::query(), json().format(format)).await;
        assert_unsupported_in_part(&refused.unwrap_err());
    }
}

async fn my7_a_plan_runs_nothing(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.create_table::<Post>().await.unwrap();
    post(&db.repo, "x").await;
    db.repo.explain(Post::query().delete()).await.unwrap();
    for options in [ExplainOptions::new().analyze(), ExplainOptions::new().analyze().keep()] {
        let refused = db.repo.explain_with(Post::query().delete(), options).await;
        assert_unsupported_in_part(&refused.unwrap_err());
    }
    assert_eq!(titles(&db.repo).await, ["x"]);
}
