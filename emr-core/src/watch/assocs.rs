//! Associations to follow: one, or a tuple of them.

use crate::association::{Association, IntoPath, Path};
use crate::schema::{AssociationDef, Schema, Syncable};

/// Associations of `S`: a constant, a chain, or a tuple of up to eight of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no association of `{S}`",
    label = "expected associations of `{S}`",
    note = "give constants such as Post::COMMENTS, chains of them, or a tuple"
)]
pub trait IntoAssocs<S> {
    /// The steps of each.
    #[doc(hidden)]
    fn into_assocs(self) -> Vec<Steps>;
}

/// The steps of one path: each association with the schema that has it.
pub type Steps = Vec<(&'static Schema, &'static AssociationDef)>;

impl<S: Syncable, T: Syncable> IntoAssocs<S> for Association<S, T> {
    fn into_assocs(self) -> Vec<Steps> {
        self.into_path().into_assocs()
    }
}

impl<S: Syncable, T: Syncable> IntoAssocs<S> for Path<S, T> {
    fn into_assocs(self) -> Vec<Steps> {
        vec![self.into_steps()]
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<S, $($name: IntoAssocs<S>),+> IntoAssocs<S> for ($($name,)+) {
            #[allow(non_snake_case)]
            fn into_assocs(self) -> Vec<Steps> {
                let ($($name,)+) = self;
                let mut all = Vec::new();
                $(all.extend($name.into_assocs());)+
                all
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
