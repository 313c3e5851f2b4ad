//! Timestamps that EMR fills in.

use chrono::{TimeZone, Utc};
use emr::prelude::*;

use super::schemas::Stamped;

repo_cases![
    r10_timestamps_are_set_on_insert_and_update,
    timestamps_that_the_program_sets_stay,
    insert_all_fills_timestamps_of_changesets,
];

async fn r10_timestamps_are_set_on_insert_and_update(repo: &impl Repo) {
    repo.create_table::<Stamped>().await.unwrap();
    let before = now();
    let row = repo.insert(Stamped::build().set(Stamped::TITLE, "x")).await.unwrap();
    assert!(row.inserted_at >= before && row.inserted_at <= now(), "{row:?}");
    assert_eq!(row.updated_at, Some(row.inserted_at.naive_utc()), "one instant for both");
    assert_eq!(repo.fetch::<Stamped>(row.id).await.unwrap(), row);

    assert_eq!(repo.update(row.change()).await.unwrap(), row, "nothing changed, nothing is touched");
    let changed = repo.update(row.change().set(Stamped::TITLE, "y")).await.unwrap();
    assert_eq!(changed.inserted_at, row.inserted_at);
    assert!(changed.updated_at > row.updated_at, "{changed:?}");
    let forced = repo.update(changed.change().force()).await.unwrap();
    assert!(forced.updated_at > changed.updated_at && forced.title == changed.title, "{forced:?}");
    assert_eq!(repo.fetch::<Stamped>(row.id).await.unwrap(), forced);
}

async fn timestamps_that_the_program_sets_stay(repo: &impl Repo) {
    repo.create_table::<Stamped>().await.unwrap();
    let then = Utc.with_ymd_and_hms(2001, 2, 3, 4, 5, 6).unwrap();
    let row = repo.insert(Stamped::build().set(Stamped::INSERTED_AT, then)).await.unwrap();
    assert_eq!(row.inserted_at, then);
    assert!(row.updated_at.unwrap() > then.naive_utc());
    let update = row.change().set(Stamped::TITLE, "x").set(Stamped::UPDATED_AT, then.naive_utc());
    assert_eq!(repo.update(update).await.unwrap().updated_at, Some(then.naive_utc()));
    // A struct is written as it is, also by insert_all.
    let row = |id| Stamped { id, title: None, inserted_at: then, updated_at: None };
    assert_eq!(repo.insert(row(100)).await.unwrap(), row(100));
    assert_eq!(repo.insert_all_returning([row(101)]).await.unwrap(), [row(101)]);
}

async fn insert_all_fills_timestamps_of_changesets(repo: &impl Repo) {
    repo.create_table::<Stamped>().await.unwrap();
    let then = Utc.with_ymd_and_hms(2001, 2, 3, 4, 5, 6).unwrap();
    let before = now();
    let rows = [Stamped::build().set(Stamped::TITLE, "a"), Stamped::build().set(Stamped::TITLE, "b")];
    assert_eq!(repo.insert_all(rows).await.unwrap(), 2);
    let asked = (10..20)
        .map(|id| Stamped { id, title: None, inserted_at: then, updated_at: None }.into_change().with_timestamps());
    assert_eq!(repo.insert_all(asked).await.unwrap(), 10);
    let rows = repo.all(Stamped::query()).await.unwrap();
    assert_eq!(rows.len(), 12);
    assert!(rows.iter().all(|row| row.inserted_at >= before && row.updated_at == Some(row.inserted_at.naive_utc())));
}
