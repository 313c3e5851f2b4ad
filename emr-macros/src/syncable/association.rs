//! A field that is the slot of an association.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{GenericArgument, Ident, Path, PathArguments, Type};

use super::structure::Structure;
use crate::attribute::{Setting, Settings};
use crate::errors::Errors;
use crate::names::{Name, snake};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BelongsTo,
    HasOne,
    HasMany,
    ManyToMany,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::BelongsTo, Kind::HasOne, Kind::HasMany, Kind::ManyToMany];

    /// The slot type, which is also the name of the core's `AssociationKind`.
    pub(super) fn slot(self) -> &'static str {
        match self {
            Kind::BelongsTo => "BelongsTo",
            Kind::HasOne => "HasOne",
            Kind::HasMany => "HasMany",
            Kind::ManyToMany => "ManyToMany",
        }
    }

    pub(super) fn attribute(self) -> &'static str {
        match self {
            Kind::BelongsTo => "belongs_to",
            Kind::HasOne => "has_one",
            Kind::HasMany => "has_many",
            Kind::ManyToMany => "many_to_many",
        }
    }

    /// As `many_to_many` has to be written at the least.
    pub(super) fn example(self) -> &'static str {
        match self {
            Kind::ManyToMany => "many_to_many(table = \"posts_tags\")",
            other => other.attribute(),
        }
    }

    fn settings(self) -> &'static [&'static str] {
        match self {
            Kind::BelongsTo => &["key", "references", "filter", "on_replace"],
            Kind::HasOne | Kind::HasMany => {
                &["key", "references", "through", "filter", "preload_order", "on_replace", "on_delete"]
            }
            Kind::ManyToMany => &[
                "through",
                "table",
                "owner_key",
                "related_key",
                "references",
                "related_references",
                "filter",
                "preload_order",
                "on_replace",
                "on_delete",
                "unique",
            ],
        }
    }

    /// What `on_replace` may say, and what the core calls it.
    fn replacements(self) -> &'static [(&'static str, &'static str)] {
        const ALL: [(&str, &str); 6] = [
            ("raise", "Raise"),
            ("mark_as_invalid", "MarkAsInvalid"),
            ("delete", "Delete"),
            ("delete_if_exists", "DeleteIfExists"),
            ("nilify", "Nilify"),
            ("update", "Update"),
        ];
        match self {
            Kind::BelongsTo | Kind::HasOne => &ALL,
            Kind::HasMany => &ALL[..5],
            Kind::ManyToMany => &ALL[..3],
        }
    }

    /// What `on_delete` may say, and what the core calls it.
    fn removals(self) -> &'static [(&'static str, &'static str)] {
        const ALL: [(&str, &str); 3] =
            [("nothing", "Nothing"), ("delete_all", "DeleteAll"), ("nilify_all", "NilifyAll")];
        match self {
            Kind::ManyToMany => &ALL[..2],
            _ => &ALL,
        }
    }
}

/// The core's name of what a setting says.
fn chosen(
    settings: &mut Settings,
    name: &str,
    words: &'static [(&'static str, &'static str)],
    errors: &mut Errors,
) -> Option<&'static str> {
    let text = settings.text(name, words.last()?.0, errors)?;
    let found = words.iter().find(|(word, _)| *word == text.value());
    if found.is_none() {
        let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        errors.at(&text, format!("`{name}` is one of {} here", all.join(", ")));
    }
    found.map(|(_, core)| *core)
}

/// The slot that a field's type is, and the type at the other end.
pub(super) fn slot(ty: &Type) -> Option<(Kind, &Type)> {
    let path = match ty {
        Type::Group(group) => return slot(&group.elem),
        Type::Path(path) => &path.path,
        _ => return None,
    };
    let segment = path.segments.last()?;
    let kind = Kind::ALL.into_iter().find(|kind| segment.ident == kind.slot())?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(related)) if arguments.args.len() == 1 => Some((kind, related)),
        _ => None,
    }
}

/// An association as it is written, before its keys are looked up among the columns.
pub(super) struct Association {
    pub(super) field: Ident,
    pub(super) ty: Type,
    pub(super) related: Type,
    pub(super) kind: Kind,
    pub(super) filter: Option<Path>,
    pub(super) order: Option<Path>,
    pub(super) on_replace: Option<&'static str>,
    pub(super) on_delete: Option<&'static str>,
    pub(super) unique: bool,
    key: Option<Vec<Name>>,
    references: Option<Vec<Name>>,
    related_key: Option<Vec<Name>>,
    related_references: Option<Vec<Name>>,
    through: Written,
    /// Where errors about the whole association point.
    span: Span,
}

/// What `through` and `table` say.
enum Written {
    Nothing,
    Schema(Path),
    Table(String),
    Chain(Vec<Name>),
}

/// The keys of an association, by their names in the database.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) owner: Vec<String>,
    pub(super) related: Vec<String>,
    pub(super) through: Through,
}

#[derive(Default)]
pub(super) enum Through {
    #[default]
    Direct,
    Schema {
        schema: Path,
        owner: Vec<String>,
        related: Vec<String>,
    },
    Table {
        table: String,
        owner: Vec<String>,
        related: Vec<String>,
    },
    Chain(Vec<String>),
}

impl Association {
    pub(super) fn read(
        field: Ident,
        ty: Type,
        related: Type,
        kind: Kind,
        setting: Setting,
        errors: &mut Errors,
    ) -> Self {
        let span = setting.name.span();
        let bare = setting.is_word();
        let mut settings = setting.settings(kind.attribute(), kind.settings(), errors);
        let through = match (settings.take("through"), settings.text("table", "posts_tags", errors)) {
            (Some(through), Some(_)) => {
                errors.at(through, "`through` and `table` both name the join table: keep one");
                Written::Nothing
            }
            (Some(through), None) if kind == Kind::ManyToMany => {
                errors.ok(through.path("PostTag")).map_or(Written::Nothing, |path| Written::Schema(path.clone()))
            }
            (Some(through), None) => read_chain(&through, &settings, errors),
            (None, Some(table)) => Written::Table(table.value()),
            (None, None) => {
                if kind == Kind::ManyToMany {
                    let hint = if bare { "" } else { " beside the other options" };
                    errors.push(syn::Error::new(
                        span,
                        format!(
                            "many_to_many needs its join table{hint}: write many_to_many(table = \"posts_tags\"), or \
                             many_to_many(through = PostTag) for one that is a struct"
                        ),
                    ));
                }
                Written::Nothing
            }
        };
        let key = if kind == Kind::ManyToMany { "owner_key" } else { "key" };
        Association {
            key: settings.names(key, "post_id", errors),
            references: settings.names("references", "id", errors),
            related_key: settings.names("related_key", "tag_id", errors),
            related_references: settings.names("related_references", "id", errors),
            filter: settings.function("filter", errors),
            order: settings.function("preload_order", errors),
            on_replace: chosen(&mut settings, "on_replace", kind.replacements(), errors),
            on_delete: chosen(&mut settings, "on_delete", kind.removals(), errors),
            unique: settings.word("unique", errors).is_some(),
            field,
            ty,
            related,
            kind,
            through,
            span,
        }
    }

    pub(super) fn name(&self) -> String {
        self.field.unraw().to_string()
    }

    /// Looks the keys up.
    pub(super) fn keys(&self, structure: &Structure, errors: &mut Errors) -> Keys {
        match (self.kind, &self.through) {
            (_, Written::Chain(steps)) => self.chain_keys(steps, structure, errors),
            (Kind::BelongsTo, _) => self.belongs_to_keys(structure, errors),
            (Kind::ManyToMany, through) => self.many_to_many_keys(through, structure, errors),
            (Kind::HasOne | Kind::HasMany, _) => {
                let owner = self.owner_references(structure, errors);
                let related = self.key_or(&snake(&structure.name()), &owner, "key", self.key.as_ref(), errors);
                Keys { owner, related, through: Through::Direct }
            }
        }
    }

    fn belongs_to_keys(&self, structure: &Structure, errors: &mut Errors) -> Keys {
        let owner = if let Some(names) = &self.key {
            structure.find_columns(names, errors)
        } else {
            let default = format!("{}_id", self.name());
            let found = structure.find_column(&default);
            if found.is_none() {
                let field = &self.field;
                errors.at(
                    field,
                    format!(
                        "`{}` has no column `{default}` that `{field}` could belong by: add a field `{default}`, or \
                         name the foreign key: #[emr(belongs_to(key = \"…\"))]",
                        structure.ident
                    ),
                );
            }
            found.into_iter().collect()
        };
        let related = texts(self.references.as_ref());
        if !related.is_empty() && related.len() != owner.len() {
            self.uneven("key", owner.len(), "references", related.len(), errors);
        }
        Keys { owner, related, through: Through::Direct }
    }

    fn many_to_many_keys(&self, through: &Written, structure: &Structure, errors: &mut Errors) -> Keys {
        let owner = self.owner_references(structure, errors);
        let related = texts(self.related_references.as_ref());
        let owner_columns = self.key_or(&snake(&structure.name()), &owner, "owner_key", self.key.as_ref(), errors);
        let related_columns = match &self.related_key {
            Some(names) => texts(Some(names)),
            None => vec![format!("{}_id", snake(&type_name(&self.related)))],
        };
        if !related.is_empty() && related.len() != related_columns.len() {
            self.uneven("related_key", related_columns.len(), "related_references", related.len(), errors);
        }
        let through = match through {
            Written::Schema(schema) => {
                Through::Schema { schema: schema.clone(), owner: owner_columns, related: related_columns }
            }
            Written::Table(table) => {
                Through::Table { table: table.clone(), owner: owner_columns, related: related_columns }
            }
            Written::Nothing | Written::Chain(_) => Through::Direct,
        };
        Keys { owner, related, through }
    }

    /// A chain starts from where its first association starts.
    fn chain_keys(&self, steps: &[Name], structure: &Structure, errors: &mut Errors) -> Keys {
        let mut first = &steps[0];
        let mut passed = vec![self.name()];
        let owner = loop {
            if passed.contains(&first.text) {
                errors.push(syn::Error::new(first.span, format!("`{}` leads back to itself", first.text)));
                break Vec::new();
            }
            let Some(association) = structure.associations.iter().find(|found| found.name() == first.text) else {
                let message = format!(
                    "`{}` is no association of `{}`: `through` names the fields to go along, the first one of this \
                     struct",
                    first.text, structure.ident
                );
                errors.push(syn::Error::new(first.span, message));
                break Vec::new();
            };
            passed.push(association.name());
            match &association.through {
                Written::Chain(steps) => first = &steps[0],
                // Its own mistakes are reported with itself.
                _ => break association.keys(structure, &mut Errors::default()).owner,
            }
        };
        let steps = steps.iter().map(|step| step.text.clone()).collect();
        Keys { owner, related: Vec::new(), through: Through::Chain(steps) }
    }

    /// The columns of this struct that others point at.
    fn owner_references(&self, structure: &Structure, errors: &mut Errors) -> Vec<String> {
        if let Some(names) = &self.references {
            return structure.find_columns(names, errors);
        }
        let key = structure.key_names();
        if key.is_empty() {
            errors.push(syn::Error::new(
                self.span,
                format!(
                    "`{}` has no primary key that the others could point at: say which column they do, \
                     references = \"…\"",
                    structure.ident
                ),
            ));
        }
        key
    }

    /// The columns that point at `owner`: as written, else `<stem>_id`.
    fn key_or(
        &self,
        stem: &str,
        owner: &[String],
        option: &str,
        written: Option<&Vec<Name>>,
        errors: &mut Errors,
    ) -> Vec<String> {
        let columns = written.map_or_else(|| vec![format!("{stem}_id")], |names| texts(Some(names)));
        // Without owner columns there is an error already.
        if !owner.is_empty() && columns.len() != owner.len() {
            self.uneven(option, columns.len(), "references", owner.len(), errors);
        }
        columns
    }

    fn uneven(&self, left: &str, lefts: usize, right: &str, rights: usize, errors: &mut Errors) {
        let message = format!(
            "`{left}` has {}, but `{right}` (the primary key, if it is not written) has {}: they belong together in \
             pairs",
            columns(lefts),
            columns(rights)
        );
        errors.push(syn::Error::new(self.span, message));
    }
}

fn columns(count: usize) -> String {
    if count == 1 { "1 column".to_owned() } else { format!("{count} columns") }
}

fn read_chain(through: &Setting, others: &Settings, errors: &mut Errors) -> Written {
    for other in ["key", "references"] {
        if others.has(other) {
            errors.at(
                through,
                format!("`through` and `{other}` contradict each other: a chain takes its keys from its steps"),
            );
        }
    }
    for other in ["on_replace", "on_delete"] {
        if others.has(other) {
            errors.at(
                through,
                format!("`through` and `{other}` contradict each other: nothing is written along a chain"),
            );
        }
    }
    for other in ["filter", "preload_order"] {
        if others.has(other) {
            errors.at(
                through,
                format!(
                    "`through` and `{other}` contradict each other: write `{other}` at an association of the chain"
                ),
            );
        }
    }
    match errors.ok(through.names("comments")) {
        Some(steps) if steps.len() > 1 => return Written::Chain(steps),
        Some(_) => errors.at(
            through,
            "a chain has two steps or more: write through(comments, author), the fields to go along from this struct",
        ),
        None => {}
    }
    Written::Nothing
}

fn texts(names: Option<&Vec<Name>>) -> Vec<String> {
    names.into_iter().flatten().map(|name| name.text.clone()).collect()
}

/// The last name of a type's path: `Comment` of `blog::Comment`.
pub(super) fn type_name(ty: &Type) -> String {
    match ty {
        Type::Group(group) => type_name(&group.elem),
        Type::Path(path) => path.path.segments.last().map_or_else(String::new, |last| last.ident.unraw().to_string()),
        _ => String::new(),
    }
}
