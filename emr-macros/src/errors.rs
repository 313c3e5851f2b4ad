//! All that is wrong with one input, reported at once.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// Collects errors, so that a user sees every wrong token of a struct in one compilation.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Notes an error that marks these tokens.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Notes an error.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// The value, or `None` after noting the error.
    pub(crate) fn ok<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// The code, unless something was wrong.
    pub(crate) fn finish(self, code: TokenStream) -> syn::Result<TokenStream> {
        self.check().map(|()| code)
    }

    /// Ends here if something was wrong.
    pub(crate) fn check(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
