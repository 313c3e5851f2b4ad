//! Raw identifiers, `Self`, underscores and letters outside ASCII.

use emr_core::{HasMany, Syncable as _};
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
#[allow(non_camel_case_types)]
struct r#match {
    r#type: i64,
    _hidden: String,
    größe: f64,
    #[emr(has_many(key = "match", references = "type"))]
    r#loop: HasMany<Self>,
}

fn main() {
    let schema = r#match::schema();
    assert_eq!((schema.name, schema.table), ("match", "matchs"));
    assert_eq!(r#match::TYPE.def().name, "type");
    assert_eq!(r#match::_HIDDEN.def().name, "_hidden");
    assert_eq!(r#match::GRÖSSE.def().name, "größe");
    assert_eq!(r#match::LOOP.def().owner_keys, ["type"]);
}
