//! Programs have many schemas, and their associations link nearly all of them.

#![allow(missing_docs, dead_code)]

use emr_core::{BelongsTo, HasMany, Syncable as _};
use emr_macros::Syncable;

/// A ring: each struct leads to the next one and to the one before.
macro_rules! ring {
    ($($last:ident < $row:ident > $next:ident;)*) => {
        $(
            #[derive(Syncable, Debug, Clone, PartialEq)]
            #[emr(crate = "::emr_core")]
            struct $row {
                id: i64,
                owner_id: i64,
                #[emr(belongs_to)]
                owner: BelongsTo<$last>,
                #[emr(has_many(key = "owner_id"))]
                items: HasMany<$next>,
            }
        )*

        /// Asking one struct must not lead the compiler through all of them: it gives up after a dozen.
        #[test]
        fn a_ring_of_schemas_crosses_threads() {
            fn crosses_threads<T: Send + Sync + std::panic::UnwindSafe>() {}

            let associations = [$({
                crosses_threads::<$row>();
                $row::schema().associations.len()
            }),*];

            assert_eq!(associations, [2; 40]);
        }
    };
}

ring! {
    Row39 < Row0 > Row1;
    Row0 < Row1 > Row2;
    Row1 < Row2 > Row3;
    Row2 < Row3 > Row4;
    Row3 < Row4 > Row5;
    Row4 < Row5 > Row6;
    Row5 < Row6 > Row7;
    Row6 < Row7 > Row8;
    Row7 < Row8 > Row9;
    Row8 < Row9 > Row10;
    Row9 < Row10 > Row11;
    Row10 < Row11 > Row12;
    Row11 < Row12 > Row13;
    Row12 < Row13 > Row14;
    Row13 < Row14 > Row15;
    Row14 < Row15 > Row16;
    Row15 < Row16 > Row17;
    Row16 < Row17 > Row18;
    Row17 < Row18 > Row19;
    Row18 < Row19 > Row20;
    Row19 < Row20 > Row21;
    Row20 < Row21 > Row22;
    Row21 < Row22 > Row23;
    Row22 < Row23 > Row24;
    Row23 < Row24 > Row25;
    Row24 < Row25 > Row26;
    Row25 < Row26 > Row27;
    Row26 < Row27 > Row28;
    Row27 < Row28 > Row29;
    Row28 < Row29 > Row30;
    Row29 < Row30 > Row31;
    Row30 < Row31 > Row32;
    Row31 < Row32 > Row33;
    Row32 < Row33 > Row34;
    Row33 < Row34 > Row35;
    Row34 < Row35 > Row36;
    Row35 < Row36 > Row37;
    Row36 < Row37 > Row38;
    Row37 < Row38 > Row39;
    Row38 < Row39 > Row0;
}
