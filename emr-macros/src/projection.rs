//! `#[derive(Projection)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields};

use crate::attribute::Settings;
use crate::errors::Errors;

/// As many as a tuple that can be selected.
const MOST_FIELDS: usize = 12;

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = match &input.data {
        Data::Struct(data) if !data.fields.is_empty() => &data.fields,
        Data::Struct(_) => {
            return Err(syn::Error::new_spanned(
                &input.ident,
                "a projection has a field for each thing that is selected: this one has none",
            ));
        }
        Data::Enum(_) | Data::Union(_) => {
            return Err(syn::Error::new_spanned(
                &input.ident,
                "a projection is a struct, with a field for each thing that is selected",
            ));
        }
    };
    let mut errors = Errors::default();
    if !input.generics.params.is_empty() {
        errors.at(
            &input.generics,
            "a projection has no generic parameters: write a struct for each use, or select a tuple",
        );
    }
    let mut settings = Settings::read(&input.attrs, "emr", "a projection", &["crate"], &mut errors);
    let base = settings.base(&mut errors);
    for field in fields {
        Settings::read(&field.attrs, "emr", "a field of a projection", &[], &mut errors);
    }
    if let Some(field) = fields.iter().nth(MOST_FIELDS) {
        errors.at(field, "a projection has at most 12 fields: put some of them into a projection of their own");
    }
    errors.check()?;
    let ident = &input.ident;
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let names: Vec<_> = (0..types.len()).map(|at| format_ident!("__field_{at}")).collect();
    let made = if let Fields::Named(fields) = fields {
        let fields = fields.named.iter().map(|field| &field.ident);
        quote!(Self { #(#fields: #names),* })
    } else {
        quote!(Self(#(#names),*))
    };
    // Here, so that a field of a wrong type is marked itself.
    let checks = types.iter().map(|ty| {
        quote_spanned!(ty.span()=> const _: () = { const fn __from_row<T: #base::FromRow>() {} __from_row::<#ty>(); };)
    });
    Ok(quote! {
        #(#checks)*

        #[automatically_derived]
        impl #base::FromRow for #ident {
            fn width() -> usize {
                <(#(#types,)*) as #base::FromRow>::width()
            }

            #[inline]
            fn read(row: &dyn #base::Row, at: usize) -> #base::Result<Self> {
                <(#(#types,)*) as #base::FromRow>::read(row, at).map(<Self as #base::Projection>::from_fields)
            }
        }

        #[automatically_derived]
        impl #base::Projection for #ident {
            type Fields = (#(#types,)*);

            #[inline]
            fn from_fields((#(#names,)*): Self::Fields) -> Self {
                #made
            }
        }
    })
}
