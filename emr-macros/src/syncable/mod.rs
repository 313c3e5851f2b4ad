//! `#[derive(Syncable)]`.

mod association;
mod column;
mod enumeration;
mod expand;
mod structure;

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Generics};

use crate::errors::Errors;

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    match &input.data {
        Data::Struct(data) => Ok(expand::expand(&structure::Structure::read(input, &data.fields)?)),
        Data::Enum(data) => enumeration::derive(input, data),
        Data::Union(data) => Err(syn::Error::new(
            data.union_token.span,
            "a union is no schema: write #[derive(Syncable)] on a struct with named fields or an enum without fields",
        )),
    }
}

/// Refuses type parameters, lifetimes and constants.
fn refuse_generics(generics: &Generics, errors: &mut Errors) {
    if !generics.params.is_empty() {
        errors.at(
            generics,
            "a schema has no generic parameters: its table and columns are one static value; write a type for each use",
        );
    }
}
