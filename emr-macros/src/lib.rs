#![doc = include_str!("docs/crate.md")]

mod attribute;
mod errors;
mod multi_repo;
mod names;
mod projection;
mod syncable;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

#[doc = include_str!("docs/syncable.md")]
#[proc_macro_derive(Syncable, attributes(emr))]
pub fn syncable(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    syncable::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

#[doc = include_str!("docs/projection.md")]
#[proc_macro_derive(Projection, attributes(emr))]
pub fn projection(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    projection::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

#[doc = include_str!("docs/multi_repo.md")]
#[proc_macro_derive(MultiRepo, attributes(repo))]
pub fn multi_repo(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    multi_repo::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
