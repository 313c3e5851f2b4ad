//! Associated rows that are written with the row.

use std::any::Any;
use std::borrow::Cow;

use super::{Action, Changeset, Input, required};
use crate::association::Association;
use crate::error::ErrorKind;
use crate::graph::{self, Branch, Children, Given, IntoChildren, Items, Problem};
use crate::schema::{AssociationDef, AssociationKind, Syncable};

/// Associated rows are written with the row, by `insert`, `update`, `insert_or_update` and `upsert`: all in one transaction, or
/// in a nested one where there is one already, and nothing is written if any of it fails. `belongs_to` rows come first, then
/// the row, then those of `has_one` and `has_many` with their foreign keys filled in, then the links of many-to-many
/// associations. New rows of one level that set the same columns go in by one statement.
///
/// The row that comes back has the written associations loaded. A call that is dropped half way wrote nothing. The errors of associated rows stand in the changeset's
/// own under their paths: `comments.1.text`.
impl<T: Syncable> Changeset<T> {
    /// The association shall have these rows, and no others. A new row (a changeset made by
    /// [`build`](crate::SyncableExt::build)) is inserted. A row that is there, as it is or as a changeset, keeps its
    /// place, found by its primary key, or comes from another owner; where nothing changes, nothing is sent. What becomes of
    /// rows that are left out says the association's [`on_replace`](crate::OnReplace). The last call for an association
    /// counts, but what an earlier one got wrong stays wrong.
    ///
    /// A new owner has no rows yet; if its changeset has a row, say [`as_insert`](Changeset::as_insert) first. For an owner
    /// that is there the association must be loaded.
    ///
    /// Mistakes are the error of the write, before anything is sent:
    /// [`AssociationNotLoaded`](ErrorKind::AssociationNotLoaded), [`Replaced`](ErrorKind::Replaced) where
    /// [`on_replace`](crate::OnReplace) says nothing, and [`InvalidCall`](ErrorKind::InvalidCall) for a chain, for one row
    /// where the association is a list, and for a foreign key that is set as well.
    ///
    /// ```
    /// # use emr_core::{Association, Changeset, Column, Repo, Result, Syncable, SyncableExt};
    /// # async fn f<Post: Syncable, Comment: Syncable + Clone>(
    /// #     repo: &impl Repo, TITLE: Column<Post, String>, COMMENTS: Association<Post, Comment>,
    /// #     TEXT: Column<Comment, String>,
    /// # ) -> Result<()> {
    /// // With the derived constants: Post::TITLE, Post::COMMENTS, Comment::TEXT
    /// let comments = vec![Comment::build().set(TEXT, "First!"), Comment::build().set(TEXT, "Second")];
    /// let post = repo.insert(Post::build().set(TITLE, "Hello").put_assoc(COMMENTS, comments)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_assoc<R: Syncable + Clone>(
        self,
        association: Association<T, R>,
        children: impl IntoChildren<R>,
    ) -> Self {
        self.attach(association, |_| Given::Rows(children.into_children()))
    }

    /// The association shall have no row: as [`put_assoc`](Changeset::put_assoc) with none.
    pub fn clear_assoc<R: Syncable + Clone>(self, association: Association<T, R>) -> Self {
        let is_list = is_list(association.def());
        self.attach(association, move |_| {
            Given::Rows(if is_list { Children::list(Vec::new()) } else { Children::one(None) })
        })
    }

    /// The association shall have the rows that the input of [`cast`](Changeset::cast) has under its name: objects in a
    /// list, or the pairs of a form (`comments[0][text]`), or one object. The function makes of each its changeset, to begin
    /// with: of the row that is there if the input has its primary key, of a new one otherwise.
    ///
    /// Nothing happens if the input does not name the association. Null, and a blank text, mean none. Rows that the input
    /// leaves out are replaced, as [`put_assoc`](Changeset::put_assoc) does it; a function may also answer
    /// [`as_delete`](Changeset::as_delete). Input of another form is the error `cast` of the association.
    ///
    /// ```
    /// # use emr_core::{Association, Changeset, Column, Syncable};
    /// # fn f<Post: Syncable, Comment: Syncable + Clone>(
    /// #     post: Changeset<Post>, TITLE: Column<Post, String>, COMMENTS: Association<Post, Comment>,
    /// #     TEXT: Column<Comment, String>,
    /// # ) {
    /// let input = serde_json::json!({ "title": "Hello", "comments": [{ "text": "First!" }, { "text": "" }] });
    /// let post = post.cast(&input, TITLE).cast_assoc(COMMENTS, |comment, input| {
    ///     comment.cast(input, TEXT).validate_required(TEXT)
    /// });
    /// assert!(post.errors().has("comments.1.text"));
    /// # }
    /// ```
    pub fn cast_assoc<R: Syncable + Clone>(
        self,
        association: Association<T, R>,
        make: impl Fn(Changeset<R>, &Input) -> Changeset<R>,
    ) -> Self {
        let def = association.def();
        let Some(input) = self.input().and_then(|input| input.get(def.field)).cloned() else { return self };
        self.attach(association, |current| graph::given(&input, def, current, &make))
    }

    /// The association must have a row then: otherwise it gets the error `required`. Of a row whose association is neither
    /// loaded nor written that cannot be known, and is [`AssociationNotLoaded`](ErrorKind::AssociationNotLoaded).
    pub fn validate_required_assoc<R: Syncable>(mut self, association: Association<T, R>) -> Self {
        let def = association.def();
        let (rows, is_loaded) = self.current_rows::<R>(association);
        let is_empty = match self.branches().iter().find(|branch| branch.association == association.index()) {
            Some(branch) => branch.members.is_empty(),
            None if is_loaded => rows.is_empty(),
            None => {
                let (schema, association) = (T::schema().name, def.field);
                return self.fault_of(ErrorKind::AssociationNotLoaded { schema, association });
            }
        };
        if is_empty && !self.errors().has(def.field) {
            self.rules().errors.add(def.field, required());
        }
        self
    }

    /// The changesets that the association was given, in their order; none if it was given nothing.
    pub fn children<R: Syncable>(&self, association: Association<T, R>) -> Vec<&Changeset<R>> {
        let branch = self.branches().iter().find(|branch| branch.association == association.index());
        let items = branch.and_then(|branch| Items::<R>::of(&*branch.members));
        items.map_or_else(Vec::new, |items| items.changesets().collect())
    }

    /// In an association: the row is new, though the changeset has a row. All its columns are inserted. For a call of a repo
    /// it does not matter, but that its associations are taken to have no rows yet.
    pub fn as_insert(mut self) -> Self {
        self.rules().wish = Some(Action::Insert);
        self
    }

    /// In an association: the row is deleted; in a many-to-many one its link. For a call of a repo it does not matter.
    pub fn as_delete(mut self) -> Self {
        self.rules().wish = Some(Action::Delete);
        self
    }

    /// The rows that an association has, and whether that is known.
    fn current_rows<R: Syncable>(&self, association: Association<T, R>) -> (Vec<&R>, bool) {
        let Some(data) = self.data.as_ref().filter(|_| self.wish() != Some(Action::Insert)) else {
            return (Vec::new(), true);
        };
        let def = association.def();
        let Some(slot) = data.slot(association.index()).filter(|slot| slot.is_loaded()) else {
            // A row without a foreign key belongs to none.
            let key = |name: &&str| T::schema().column_position(name).map(|at| data.value(at));
            let mut keys = def.owner_keys.iter().filter_map(key);
            return (Vec::new(), def.kind == AssociationKind::BelongsTo && keys.any(|key| key.is_null()));
        };
        let mut rows = Vec::new();
        slot.for_each(&mut |row| {
            let row: &dyn Any = row;
            rows.extend(row.downcast_ref::<R>());
        });
        (rows, true)
    }

    fn attach<R: Syncable + Clone>(
        mut self,
        association: Association<T, R>,
        given: impl FnOnce(&[&R]) -> Given<R>,
    ) -> Self {
        let def = association.def();
        let (current, is_loaded) = self.current_rows(association);
        let items = match given(&current) {
            Given::Wrong(error) => Err(Problem::Field(error)),
            Given::Rows(children) => graph::diff(T::schema(), def, &current, children),
        };
        drop(current);
        let rules = self.rules();
        rules.branches.list.retain(|branch| branch.association != association.index());
        rules.errors.forget_below(def.field);
        let items = match items {
            Ok(items) => items,
            Err(Problem::Fault(kind)) => return self.fault_of(kind),
            Err(Problem::Field(error)) => {
                rules.errors.add(def.field, error);
                return self;
            }
        };
        for (path, child) in items.with_paths(def.field) {
            if let Some(of_child) = child.rules_ref() {
                rules.errors.nest(&path, of_child.errors.clone());
                rules.fault = rules.fault.take().or_else(|| of_child.fault.clone());
            }
        }
        let branch = Branch { association: association.index(), not_loaded: !is_loaded, members: Box::new(items) };
        rules.branches.list.push(branch);
        rules.branches.make_root = Some(graph::make_root::<T>);
        self
    }
}

fn is_list(def: &AssociationDef) -> bool {
    matches!(def.kind, AssociationKind::HasMany | AssociationKind::ManyToMany)
}

/// What the write of a graph asks a changeset.
impl<T: Syncable> Changeset<T> {
    pub(crate) fn wish(&self) -> Option<Action> {
        self.rules_ref()?.wish
    }

    pub(crate) fn branches(&self) -> &[Branch] {
        self.rules_ref().map_or(&[], |rules| &rules.branches.list)
    }

    pub(crate) fn branches_mut(&mut self) -> &mut [Branch] {
        self.rules.as_mut().map_or(&mut [], |rules| &mut rules.branches.list)
    }

    pub(crate) fn make_root(&self) -> Option<graph::MakeRoot> {
        self.rules_ref()?.branches.make_root
    }

    pub(crate) fn take_data(&mut self) -> Option<T> {
        self.data.take()
    }

    /// Whether it changes this column.
    pub(crate) fn sets(&self, column: usize) -> bool {
        self.changes.iter().any(|change| change.column == column)
    }

    /// Whether an update writes the row itself: a version also counts the changes of what belongs to the row.
    pub(crate) fn writes_row(&self) -> bool {
        let Some(rules) = self.rules_ref() else { return !self.changes.is_empty() };
        let is_guarded = !rules.locks.is_empty() || !rules.guards.is_empty();
        !self.changes.is_empty() || rules.force || (is_guarded && !rules.branches.is_idle())
    }

    /// Whether some constraint is declared.
    pub(crate) fn declares(&self) -> bool {
        self.rules_ref().is_some_and(|rules| !rules.constraints.is_empty())
    }

    /// Whether there is nothing to its delete but its key.
    pub(crate) fn is_plain_delete(&self) -> bool {
        let is_plain = self.rules_ref().is_none_or(|rules| {
            rules.guards.is_empty() && rules.constraints.is_empty() && rules.stale.is_none() && rules.fault.is_none()
        });
        is_plain && self.prepares.is_empty()
    }

    /// Whether a row that is not there is no error.
    pub(crate) fn may_be_gone(&self) -> bool {
        self.rules_ref().is_some_and(|rules| rules.allow_stale)
    }

    pub(crate) fn inherit_prefix(&mut self, prefix: Option<&Cow<'static, str>>) {
        if self.prefix.is_none() {
            self.prefix = prefix.cloned();
        }
    }

    /// The same changes, to this row.
    pub(crate) fn onto(mut self, row: T) -> Self {
        let changes = std::mem::take(&mut self.changes);
        self.data = Some(row);
        for change in changes {
            self.assign(change.column, change.value);
        }
        self
    }

    /// Remembers input that nothing was taken out of yet.
    pub(crate) fn with_input(mut self, input: Input) -> Self {
        self.rules().input = Some(input);
        self
    }
}
