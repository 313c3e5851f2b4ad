//! A field that is a column.

use syn::{Ident, LitStr, Path, Type};

use crate::attribute::Settings;
use crate::errors::Errors;
use crate::names::Case;

/// What `#[emr(...)]` takes on a column.
pub(super) const SETTINGS: [&str; 14] = [
    "primary_key",
    "column",
    "identity",
    "not_identity",
    "uuid",
    "client",
    "default",
    "sql_type",
    "unique",
    "redact",
    "read_only",
    "generated",
    "inserted_at",
    "updated_at",
];

pub(super) struct Column {
    pub(super) field: Ident,
    pub(super) ty: Type,
    /// The name in the database.
    pub(super) name: String,
    /// Where the user says that it is the key.
    pub(super) primary_key: Option<Ident>,
    pub(super) filled: Filled,
    pub(super) read_only: bool,
    pub(super) redact: bool,
    pub(super) unique: bool,
    pub(super) default: Option<LitStr>,
    pub(super) sql_type: Option<LitStr>,
    pub(super) stamp: Option<Stamp>,
}

/// Which time is written here.
#[derive(Clone, Copy)]
pub(super) enum Stamp {
    Inserted,
    Updated,
}

/// Who fills it.
pub(super) enum Filled {
    /// The user says nothing: an integer that is the only key column counts.
    Unsaid,
    /// The program, or the default.
    Program,
    Identity,
    Uuid,
    Client(Path),
    Stored(LitStr),
}

impl Column {
    pub(super) fn read(
        field: Ident,
        plain_name: &str,
        ty: Type,
        case: Option<Case>,
        mut settings: Settings,
        errors: &mut Errors,
    ) -> Self {
        let renamed = settings.text("column", "name", errors).map(|text| text.value());
        let name = renamed.unwrap_or_else(|| case.map_or_else(|| plain_name.to_owned(), |case| case.apply(plain_name)));
        let primary_key = settings.word("primary_key", errors);
        let default = settings.text("default", "0", errors);
        let filled = read_filled(default.as_ref(), &mut settings, errors);
        let stamp = read_stamp(&mut settings, errors);
        Column {
            stamp,
            read_only: settings.word("read_only", errors).is_some() || matches!(filled, Filled::Stored(_)),
            redact: settings.word("redact", errors).is_some(),
            unique: settings.word("unique", errors).is_some(),
            sql_type: settings.text("sql_type", "numeric(10, 2)", errors),
            field,
            ty,
            name,
            primary_key,
            filled,
            default,
        }
    }
}

/// Which time the user wants here. At most one may be named.
fn read_stamp(settings: &mut Settings, errors: &mut Errors) -> Option<Stamp> {
    let inserted = settings.word("inserted_at", errors);
    let updated = settings.word("updated_at", errors);
    match (inserted, updated) {
        (Some(_), Some(updated)) => {
            errors
                .at(updated, "`inserted_at` and `updated_at` contradict each other: `updated_at` is set on insert too");
            None
        }
        (Some(_), None) => Some(Stamp::Inserted),
        (None, Some(_)) => Some(Stamp::Updated),
        (None, None) => None,
    }
}

/// Who fills the column. At most one may be named.
fn read_filled(default: Option<&LitStr>, settings: &mut Settings, errors: &mut Errors) -> Filled {
    let mut said: Option<(&str, Filled)> = None;
    for name in ["identity", "not_identity", "uuid", "client", "generated"] {
        let Some(setting) = settings.take(name) else { continue };
        let filled = match name {
            "identity" => setting.word().map(|()| Filled::Identity),
            "not_identity" => setting.word().map(|()| Filled::Program),
            "uuid" => setting.word().map(|()| Filled::Uuid),
            "client" => setting.path("path::to::function").map(|path| Filled::Client(path.clone())),
            _ => setting.text("price * amount").map(Filled::Stored),
        };
        let Some(filled) = errors.ok(filled) else { continue };
        if default.is_some() && matches!(filled, Filled::Identity | Filled::Stored(_)) {
            errors.at(&setting, format!("`{name}` and `default` contradict each other: keep one"));
        }
        match &said {
            Some((first, _)) => errors.at(&setting, format!("`{first}` and `{name}` contradict each other: keep one")),
            None => said = Some((name, filled)),
        }
    }
    match said {
        Some((_, filled)) => filled,
        None if default.is_some() => Filled::Program,
        None => Filled::Unsaid,
    }
}
