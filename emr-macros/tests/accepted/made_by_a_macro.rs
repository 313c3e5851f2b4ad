//! Types that come through `macro_rules!` are recognised.

use emr_core::{BelongsTo, Syncable as _};
use emr_macros::Syncable;

macro_rules! schema {
    ($name:ident, $key:ty, $slot:ty) => {
        #[derive(Syncable)]
        #[emr(crate = "::emr_core")]
        struct $name {
            id: $key,
            parent_id: Option<$key>,
            #[emr(belongs_to)]
            parent: $slot,
        }
    };
}

schema!(Node, i64, BelongsTo<Node>);

fn main() {
    assert_eq!(Node::PARENT.def().owner_keys, ["parent_id"]);
    assert!(matches!(Node::schema().columns[0].generated, emr_core::Generated::Identity));
}
