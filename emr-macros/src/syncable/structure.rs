//! A struct as the derive understands it.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{DeriveInput, Field, Fields, Ident, Path, Type, Visibility};

use super::association::{self, Association, Keys, Kind};
use super::column::{self, Column, Stamp};
use crate::attribute::Settings;
use crate::errors::Errors;
use crate::names::{Case, Name, screaming, snake};

const STRUCT_SETTINGS: [&str; 7] =
    ["table", "prefix", "extra_columns", "no_primary_key", "timestamps", "rename_all", "crate"];

/// Those of a column, and what makes a field something else.
const FIELD_SETTINGS: [&str; column::SETTINGS.len() + 5] = {
    let mut all = ["skip"; column::SETTINGS.len() + 5];
    let mut at = 0;
    while at < column::SETTINGS.len() {
        all[at] = column::SETTINGS[at];
        at += 1;
    }
    (all[at + 1], all[at + 2], all[at + 3], all[at + 4]) = ("belongs_to", "has_one", "has_many", "many_to_many");
    all
};

pub(super) struct Structure {
    /// The path below which the core is.
    pub(super) base: Path,
    pub(super) ident: Ident,
    pub(super) visibility: Visibility,
    pub(super) table: String,
    pub(super) prefix: Option<String>,
    pub(super) columns: Vec<Column>,
    /// Positions in `columns`.
    pub(super) primary_key: Vec<usize>,
    pub(super) associations: Vec<Association>,
    /// One for each association.
    pub(super) keys: Vec<Keys>,
    pub(super) skipped: Vec<(Ident, Type)>,
    pub(super) extra_columns: Vec<String>,
}

impl Structure {
    pub(super) fn read(input: &DeriveInput, fields: &Fields) -> syn::Result<Self> {
        let Fields::Named(fields) = fields else {
            return Err(syn::Error::new_spanned(
                &input.ident,
                "a schema has named fields, one for each column; for a newtype that is a column, implement Scalar",
            ));
        };
        let mut errors = Errors::default();
        super::refuse_generics(&input.generics, &mut errors);
        let mut settings = Settings::read(&input.attrs, "emr", "a struct", &STRUCT_SETTINGS, &mut errors);
        let base = settings.base(&mut errors);
        let table = settings.text("table", "posts", &mut errors);
        let prefix = settings.text("prefix", "crm", &mut errors);
        let case = settings.text("rename_all", "camelCase", &mut errors);
        let case = case.and_then(|text| errors.ok(Case::parse(&text)));
        let no_primary_key = settings.word("no_primary_key", &mut errors);
        let timestamps = settings.word("timestamps", &mut errors);
        let extra_columns = settings.names("extra_columns", "title", &mut errors).unwrap_or_default();
        let mut structure = Structure {
            base,
            ident: input.ident.clone(),
            visibility: input.vis.clone(),
            table: table.map_or_else(|| snake(&input.ident.unraw().to_string()) + "s", |text| text.value()),
            prefix: prefix.map(|text| text.value()),
            columns: Vec::new(),
            primary_key: Vec::new(),
            associations: Vec::new(),
            keys: Vec::new(),
            skipped: Vec::new(),
            extra_columns: Vec::new(),
        };
        for field in &fields.named {
            structure.read_field(field, case, &mut errors);
        }
        structure.find_primary_key(no_primary_key.as_ref(), &mut errors);
        if let Some(timestamps) = &timestamps {
            structure.mark_timestamps(timestamps, &mut errors);
        }
        structure.refuse_twins(&mut errors);
        structure.keys =
            structure.associations.iter().map(|association| association.keys(&structure, &mut errors)).collect();
        structure.extra_columns = structure.find_columns(&extra_columns, &mut errors);
        errors.check()?;
        Ok(structure)
    }

    /// The struct's name.
    pub(super) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    fn read_field(&mut self, field: &Field, case: Option<Case>, errors: &mut Errors) {
        // A named field has a name.
        let Some(ident) = field.ident.clone() else { return };
        let ty = named_self(&field.ty, &self.ident);
        let mut settings = Settings::read(&field.attrs, "emr", "a field", &FIELD_SETTINGS, errors);
        if let Some(skip) = settings.word("skip", errors) {
            if !settings.rest().is_empty() {
                errors.at(skip, "`skip` makes the field no column and no association: it stands alone");
            }
            return self.skipped.push((ident, ty));
        }
        let mut kinds = Kind::ALL.into_iter().filter_map(|kind| Some((kind, settings.take(kind.attribute())?)));
        let (said, second) = (kinds.next(), kinds.next());
        drop(kinds);
        if let (Some((first, _)), Some((second, setting))) = (&said, &second) {
            let (first, second) = (first.attribute(), second.attribute());
            errors.at(setting, format!("`{first}` and `{second}` contradict each other: keep one"));
            return;
        }
        match (association::slot(&ty), said) {
            (None, None) => {
                let name = ident.unraw().to_string();
                self.columns.push(Column::read(ident, &name, ty, case, settings, errors));
            }
            (Some((slot, related)), Some((kind, setting))) if slot == kind => {
                for other in settings.rest() {
                    let name = other.name.unraw();
                    errors.at(&other, format!("`{name}` is for columns, and `{ident}` is an association"));
                }
                let related = related.clone();
                self.associations.push(Association::read(ident, ty, related, kind, setting, errors));
            }
            (Some((slot, _)), Some((kind, setting))) => errors.at(
                setting,
                format!(
                    "`{}` needs a slot of type {}<T>, and this one is {}: write #[emr({})]",
                    kind.attribute(),
                    kind.slot(),
                    slot.slot(),
                    slot.example()
                ),
            ),
            (None, Some((kind, setting))) => errors.at(
                setting,
                format!("`{}` needs a slot: write the field's type as {}<T>", kind.attribute(), kind.slot()),
            ),
            (Some((slot, _)), None) => errors.at(
                &field.ty,
                format!(
                    "this slot needs its association: write #[emr({})] above the field, or #[emr(skip)]",
                    slot.example()
                ),
            ),
        }
    }

    fn find_primary_key(&mut self, no_primary_key: Option<&Ident>, errors: &mut Errors) {
        if self.columns.is_empty() {
            errors.at(&self.ident, "a schema needs at least one column");
        }
        let columns = self.columns.iter().enumerate();
        let said = columns.filter(|(_, column)| column.primary_key.is_some()).map(|(at, _)| at);
        self.primary_key = said.collect();
        if no_primary_key.is_some() {
            for column in self.columns.iter().filter_map(|column| column.primary_key.as_ref()) {
                errors
                    .at(column, "`no_primary_key` above the struct and `primary_key` contradict each other: keep one");
            }
        } else if self.primary_key.is_empty() {
            self.primary_key.extend(self.columns.iter().position(|column| column.field.unraw() == "id"));
        }
    }

    /// The fields with the usual names are the timestamps.
    fn mark_timestamps(&mut self, timestamps: &Ident, errors: &mut Errors) {
        let mut found = false;
        for column in &mut self.columns {
            let stamp = match column.field.unraw().to_string().as_str() {
                "inserted_at" => Stamp::Inserted,
                "updated_at" => Stamp::Updated,
                _ => continue,
            };
            found = true;
            column.stamp.get_or_insert(stamp);
        }
        if !found {
            errors.at(
                timestamps,
                "`timestamps` is for the fields `inserted_at` and `updated_at`, and there is neither: add them, or write \
                 #[emr(inserted_at)] or #[emr(updated_at)] above fields of other names",
            );
        }
    }

    /// Refuses two columns of one name, and two fields that would share a constant.
    fn refuse_twins(&self, errors: &mut Errors) {
        for (at, column) in self.columns.iter().enumerate() {
            if let Some(first) = self.columns[..at].iter().find(|first| first.name == column.name) {
                let message = format!("`{}` and `{}` are both the column `{}`", first.field, column.field, column.name);
                errors.at(&column.field, message);
            }
        }
        let fields: Vec<&Ident> = self.fields().collect();
        for (at, field) in fields.iter().enumerate() {
            let constant = constant(field);
            if let Some(first) = fields[..at].iter().find(|first| self::constant(first) == constant) {
                errors.at(field, format!("`{first}` and `{field}` both make the constant `{constant}`: rename one"));
            }
        }
    }

    /// The fields that have a constant.
    fn fields(&self) -> impl Iterator<Item = &Ident> {
        let associations = self.associations.iter().map(|association| &association.field);
        self.columns.iter().map(|column| &column.field).chain(associations)
    }

    /// The column of a field, or of this name in the database.
    pub(super) fn find_column(&self, name: &str) -> Option<String> {
        let by_field = self.columns.iter().find(|column| column.field.unraw() == name);
        let found = by_field.or_else(|| self.columns.iter().find(|column| column.name == name));
        found.map(|column| column.name.clone())
    }

    /// The columns of these names; one that is not there is an error.
    pub(super) fn find_columns(&self, names: &[Name], errors: &mut Errors) -> Vec<String> {
        let find = |name: &Name| {
            let found = self.find_column(&name.text);
            if found.is_none() {
                let all: Vec<_> = self.columns.iter().map(|column| column.field.unraw().to_string()).collect();
                let message =
                    format!("`{}` has no column `{}`; its columns are {}", self.ident, name.text, all.join(", "));
                errors.push(syn::Error::new(name.span, message));
            }
            found
        };
        names.iter().filter_map(find).collect()
    }

    /// The names of the key columns.
    pub(super) fn key_names(&self) -> Vec<String> {
        self.primary_key.iter().map(|&at| self.columns[at].name.clone()).collect()
    }

    /// Whether the column is the foreign key of a `belongs_to`.
    pub(super) fn is_foreign_key(&self, column: &Column) -> bool {
        let pairs = self.associations.iter().zip(&self.keys);
        let mut belongs = pairs.filter(|(association, _)| association.kind == Kind::BelongsTo);
        belongs.any(|(_, keys)| keys.owner.contains(&column.name))
    }
}

/// The constant of a field.
pub(super) fn constant(field: &Ident) -> Ident {
    // Not every Unicode name has an upper case that is a name too.
    let mut constant: Ident = syn::parse_str(&screaming(&field.unraw().to_string())).unwrap_or_else(|_| field.clone());
    constant.set_span(field.span());
    constant
}

/// The type with the struct's name for `Self`, which means nothing inside a `static`.
fn named_self(ty: &Type, name: &Ident) -> Type {
    fn replace(tokens: TokenStream, name: &Ident) -> TokenStream {
        let replaced = tokens.into_iter().map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" => {
                let mut named = name.clone();
                named.set_span(ident.span());
                TokenTree::Ident(named)
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replace(group.stream(), name));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other,
        });
        replaced.collect()
    }
    // Where the struct's name is no type, `Self` was none.
    syn::parse2(replace(ty.to_token_stream(), name)).unwrap_or_else(|_| ty.clone())
}
