//! The tables of the cases, and interceptors as programs write them.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use emr::prelude::*;
use emr::{Interceptor, Operation, RawSql, Reading, Schema, SqlPlace, With, Writing, Written, WrittenFuture};

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "notes")]
pub(super) struct Note {
    pub(super) id: i64,
    pub(super) title: String,
    #[emr(default = "0")]
    pub(super) tenant_id: i64,
    pub(super) editor: Option<String>,
    pub(super) deleted_at: Option<DateTime<Utc>>,
    pub(super) parent_id: Option<i64>,
    #[emr(has_many)]
    pub(super) remarks: HasMany<Remark>,
    #[emr(many_to_many(through = Tagging, on_replace = "delete"))]
    pub(super) tags: ManyToMany<Tag>,
    #[emr(many_to_many(table = "plain_taggings", owner_key = "note_id", related_key = "tag_id"))]
    pub(super) plain_tags: ManyToMany<Tag>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "remarks")]
pub(super) struct Remark {
    pub(super) id: i64,
    pub(super) text: String,
    pub(super) note_id: Option<i64>,
    pub(super) deleted_at: Option<DateTime<Utc>>,
    #[emr(belongs_to)]
    pub(super) note: BelongsTo<Note>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "tags")]
pub(super) struct Tag {
    pub(super) id: i64,
    pub(super) name: String,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "taggings")]
pub(super) struct Tagging {
    #[emr(primary_key)]
    pub(super) note_id: i64,
    #[emr(primary_key)]
    pub(super) tag_id: i64,
    pub(super) deleted_at: Option<DateTime<Utc>>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "entries")]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) text: String,
}

pub(super) async fn create(repo: &impl Repo) {
    repo.create_table::<Note>().await.unwrap();
    repo.create_table::<Remark>().await.unwrap();
    repo.create_table::<Tag>().await.unwrap();
    repo.create_table::<Tagging>().await.unwrap();
    repo.create_table::<Entry>().await.unwrap();
    let plain = "CREATE TABLE plain_taggings (note_id BIGINT NOT NULL, tag_id BIGINT NOT NULL)";
    repo.script(plain).await.unwrap();
}

pub(super) fn titled(title: &str) -> Changeset<Note> {
    Note::build().set(Note::TITLE, title)
}

pub(super) async fn note(repo: &impl Repo, title: &str) -> Note {
    repo.insert(titled(title)).await.unwrap()
}

pub(super) async fn remark(repo: &impl Repo, text: &str, note: &Note) -> Remark {
    repo.insert(Remark::build().set(Remark::TEXT, text).set(Remark::NOTE_ID, note.id)).await.unwrap()
}

pub(super) async fn tag(repo: &impl Repo, name: &str) -> Tag {
    repo.insert(Tag::build().set(Tag::NAME, name)).await.unwrap()
}

/// This row and no other.
pub(super) fn only<T>(row: &T) -> &[T] {
    std::slice::from_ref(row)
}

/// The titles that somebody sees, in their order.
pub(super) async fn titles(repo: &impl Repo) -> Vec<String> {
    repo.all(Note::query().order_by(Note::TITLE.asc()).select(Note::TITLE)).await.unwrap()
}

/// Rows with a time in `deleted_at` are gone.
pub(super) struct SoftDelete;

impl Interceptor for SoftDelete {
    fn reading(&self, table: &mut Reading<'_>) -> Result<()> {
        table.filter_null("deleted_at");
        Ok(())
    }

    fn writing(&self, write: &mut Writing<'_>) -> Result<()> {
        if write.operation() == Operation::Delete && write.has_column("deleted_at") {
            write.update_instead("deleted_at", now())?;
        }
        Ok(())
    }

    fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
        Ok(())
    }
}

/// Rows of other tenants are not there, and nobody writes any.
pub(super) struct Tenant(pub(super) i64);

impl Interceptor for Tenant {
    fn reading(&self, table: &mut Reading<'_>) -> Result<()> {
        table.filter_eq("tenant_id", self.0).map(drop)
    }

    fn writing(&self, write: &mut Writing<'_>) -> Result<()> {
        if write.operation() == Operation::Insert && write.has_column("tenant_id") {
            write.set("tenant_id", self.0)?;
        } else if write.operation() == Operation::Update && write.sets("tenant_id") {
            return Err(Error::refused("rows stay with their tenant"));
        }
        Ok(())
    }

    fn raw_sql(&self, sql: &RawSql<'_>) -> Result<()> {
        match sql.place {
            SqlPlace::Expression => Ok(()),
            _ => Err(Error::refused(format!("SQL of no tenant: {}", sql.text))),
        }
    }
}

/// Who writes, in every row that has room for it.
pub(super) struct Editor(pub(super) &'static str);

impl Interceptor for Editor {
    fn writing(&self, write: &mut Writing<'_>) -> Result<()> {
        if write.has_column("editor") { write.set("editor", self.0) } else { Ok(()) }
    }

    fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
        Ok(())
    }
}

/// Notes what it is asked about.
#[derive(Clone, Default)]
pub(super) struct Spy(Arc<Mutex<Vec<String>>>);

impl Spy {
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl Interceptor for Spy {
    fn reading(&self, table: &mut Reading<'_>) -> Result<()> {
        let written = if table.is_written() { " (written)" } else { "" };
        self.note(format!("{} {}{written}", table.verb(), table.table()));
        Ok(())
    }

    fn writing(&self, write: &mut Writing<'_>) -> Result<()> {
        self.note(format!("{} {:?} {}", write.verb(), write.operation(), write.schema().table));
        Ok(())
    }

    fn raw_sql(&self, sql: &RawSql<'_>) -> Result<()> {
        self.note(format!("{} {:?}: {}", sql.verb, sql.place, sql.text));
        Ok(())
    }
}

/// Writes down what was written, in the table of entries.
pub(super) struct Audit;

impl Interceptor for Audit {
    fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
        Ok(())
    }

    fn observes(&self, schema: &'static Schema) -> bool {
        schema.column_position("tenant_id").is_some()
    }

    fn written<'a>(&'a self, repo: &'a With<'a, Tx>, written: &'a Written) -> WrittenFuture<'a> {
        Box::pin(async move {
            let Written { table, operation, verb, rows, keys, columns, .. } = written;
            let keys = keys.as_ref().map(|keys| keys.concat());
            let text = format!("{verb} {operation:?} {table} {rows} {keys:?} {}", columns.join("+"));
            if columns.contains(&"parent_id") {
                return Err(Error::refused("no parents, says the audit"));
            }
            repo.insert(Entry::build().set(Entry::TEXT, text)).await.map(drop)
        })
    }
}

/// What the audit wrote down since the last look.
pub(super) async fn entries(repo: &impl Repo) -> Vec<String> {
    let texts = repo.all(Entry::query().order_by(Entry::ID.asc()).select(Entry::TEXT)).await.unwrap();
    repo.delete_all(Entry::query()).await.unwrap();
    texts
}
