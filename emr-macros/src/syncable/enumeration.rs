//! `#[derive(Syncable)]` on an enum: a column type that is stored as text or as an integer.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{DataEnum, DeriveInput, Fields, Ident, Lit, Path};

use crate::attribute::Settings;
use crate::errors::Errors;
use crate::names::{Case, snake};

const ENUM_SETTINGS: [&str; 4] = ["text", "integer", "rename_all", "crate"];
const VARIANT_SETTINGS: [&str; 1] = ["rename"];

struct Enumeration<'i> {
    base: Path,
    ident: &'i Ident,
    variants: Vec<Variant<'i>>,
}

struct Variant<'i> {
    ident: &'i Ident,
    /// What text columns hold.
    text: String,
    renamed: bool,
}

pub(super) fn derive(input: &DeriveInput, data: &DataEnum) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    super::refuse_generics(&input.generics, &mut errors);
    let mut settings = Settings::read(&input.attrs, "emr", "an enum", &ENUM_SETTINGS, &mut errors);
    let base = settings.base(&mut errors);
    let case = settings.text("rename_all", "snake_case", &mut errors);
    let renames = case.clone();
    let case = case.and_then(|text| errors.ok(Case::parse(&text)));
    let text = settings.word("text", &mut errors);
    let integer = read_integer(&mut settings, &mut errors);
    if let (Some(text), Some(_)) = (text, &integer) {
        errors.at(text, "`text` and `integer` contradict each other: keep one");
    }
    let variants = data.variants.iter().map(|variant| read_variant(variant, case, &mut errors)).collect();
    let enumeration = Enumeration { base, ident: &input.ident, variants };
    if enumeration.variants.is_empty() {
        errors.at(&input.ident, "an enum without variants has no value that a column could hold");
    }
    if integer.is_some() {
        if let Some(renames) = renames {
            errors.at(renames, "an enum stored as integers has no names to rename: take `rename_all` away");
        }
        for variant in enumeration.variants.iter().filter(|variant| variant.renamed) {
            errors.at(variant.ident, "an enum stored as integers has no names to rename: take `rename` away");
        }
    } else {
        refuse_twins(&enumeration.variants, &mut errors);
    }
    let code = match &integer {
        Some(integer) => stored_as_integer(&enumeration, integer),
        None => stored_as_text(&enumeration),
    };
    errors.finish(code)
}

/// The Rust type of `integer`, if it is there.
fn read_integer(settings: &mut Settings, errors: &mut Errors) -> Option<Ident> {
    let setting = settings.take("integer")?;
    if let Some(Lit::Str(text)) = setting.literal()
        && matches!(text.value().as_str(), "i16" | "i32" | "i64")
    {
        return Some(Ident::new(&text.value(), text.span()));
    }
    if !setting.is_word() {
        errors.at(&setting, "write just `integer` for 32 bits, or integer = \"i16\" or integer = \"i64\"");
    }
    Some(Ident::new("i32", setting.name.span()))
}

fn read_variant<'i>(variant: &'i syn::Variant, case: Option<Case>, errors: &mut Errors) -> Variant<'i> {
    let mut settings = Settings::read(&variant.attrs, "emr", "a variant", &VARIANT_SETTINGS, errors);
    if !matches!(variant.fields, Fields::Unit) {
        errors.at(
            variant,
            format!(
                "`{}` has fields, which one column cannot hold: take them away, or store the enum as Json<T>",
                variant.ident
            ),
        );
    }
    let rename = settings.text("rename", "name", errors).map(|text| text.value());
    let name = variant.ident.unraw().to_string();
    Variant {
        ident: &variant.ident,
        renamed: rename.is_some(),
        text: rename.unwrap_or_else(|| case.map_or_else(|| snake(&name), |case| case.apply(&name))),
    }
}

fn refuse_twins(variants: &[Variant<'_>], errors: &mut Errors) {
    for (at, variant) in variants.iter().enumerate() {
        if let Some(first) = variants[..at].iter().find(|first| first.text == variant.text) {
            errors.at(
                variant.ident,
                format!(
                    "`{}` and `{}` are both stored as \"{}\": give one another #[emr(rename = \"…\")]",
                    first.ident, variant.ident, variant.text
                ),
            );
        }
    }
}

fn stored_as_text(enumeration: &Enumeration<'_>) -> TokenStream {
    let Enumeration { base, ident, variants } = enumeration;
    let expected = expected(ident, variants.iter().map(|variant| variant.text.as_str()));
    let variant: Vec<_> = variants.iter().map(|variant| variant.ident).collect();
    let text: Vec<_> = variants.iter().map(|variant| variant.text.as_str()).collect();
    let mismatch = quote!(#base::Mismatch::new(#expected, __found));
    quote! {
        #[automatically_derived]
        impl #base::Scalar for #ident {
            const TYPE: #base::SqlType = #base::SqlType::Text;

            fn to_value(&self) -> #base::Value<'_> {
                #base::Value::Text(::std::borrow::Cow::Borrowed(match self { #(Self::#variant => #text,)* }))
            }

            fn into_value(self) -> #base::Value<'static> {
                #base::Value::Text(::std::borrow::Cow::Borrowed(match self { #(Self::#variant => #text,)* }))
            }

            fn read(__row: &dyn #base::Row, __at: usize) -> #base::Cell<Self> {
                match __row.str(__at) {
                    ::core::result::Result::Ok(::core::option::Option::Some(__text)) => {
                        let __text = #base::Value::Text(::std::borrow::Cow::Borrowed(__text));
                        <Self as #base::FromValue>::from_value(__text).map(::core::option::Option::Some)
                    }
                    ::core::result::Result::Ok(::core::option::Option::None) => {
                        ::core::result::Result::Ok(::core::option::Option::None)
                    }
                    ::core::result::Result::Err(#base::Mismatch { found: __found, .. }) => {
                        ::core::result::Result::Err(#mismatch)
                    }
                }
            }
        }

        #[automatically_derived]
        impl #base::Element for #ident {}

        #[automatically_derived]
        impl #base::FromValue for #ident {
            fn from_value(__value: #base::Value<'_>) -> ::core::result::Result<Self, #base::Mismatch> {
                if let #base::Value::Text(__text) = &__value {
                    match &**__text {
                        #(#text => return ::core::result::Result::Ok(Self::#variant),)*
                        _ => {}
                    }
                }
                let __found = __value.describe();
                ::core::result::Result::Err(#mismatch)
            }
        }
    }
}

fn stored_as_integer(enumeration: &Enumeration<'_>, integer: &Ident) -> TokenStream {
    let Enumeration { base, ident, variants } = enumeration;
    let expected = ident.to_string();
    let value = format_ident!("{}", integer.to_string().to_uppercase());
    let variant: Vec<_> = variants.iter().map(|variant| variant.ident).collect();
    let checks = variant.iter().map(|variant| {
        let message =
            format!("the value of `{ident}::{variant}` does not fit into {integer}: choose a wider `integer`");
        quote_spanned! {variant.span()=>
            const _: () = ::core::assert!(#ident::#variant as i128 == #ident::#variant as #integer as i128, #message);
        }
    });
    let mismatch = quote!(#base::Mismatch::new(#expected, __found));
    quote! {
        #(#checks)*

        #[automatically_derived]
        #[allow(clippy::cast_possible_truncation)]
        impl #base::Scalar for #ident {
            const TYPE: #base::SqlType = #base::SqlType::#value;

            fn to_value(&self) -> #base::Value<'_> {
                #base::Value::#value(match self { #(Self::#variant => Self::#variant as #integer,)* })
            }

            fn read(__row: &dyn #base::Row, __at: usize) -> #base::Cell<Self> {
                match __row.#integer(__at) {
                    ::core::result::Result::Ok(::core::option::Option::Some(__number)) => {
                        let __number = #base::Value::#value(__number);
                        <Self as #base::FromValue>::from_value(__number).map(::core::option::Option::Some)
                    }
                    ::core::result::Result::Ok(::core::option::Option::None) => {
                        ::core::result::Result::Ok(::core::option::Option::None)
                    }
                    ::core::result::Result::Err(#base::Mismatch { found: __found, .. }) => {
                        ::core::result::Result::Err(#mismatch)
                    }
                }
            }
        }

        #[automatically_derived]
        impl #base::Element for #ident {}

        #[automatically_derived]
        #[allow(clippy::cast_possible_truncation)]
        impl #base::FromValue for #ident {
            fn from_value(__value: #base::Value<'_>) -> ::core::result::Result<Self, #base::Mismatch> {
                match <#integer as #base::FromValue>::from_value(__value.borrowed()) {
                    #(
                        ::core::result::Result::Ok(__number) if __number == Self::#variant as #integer => {
                            ::core::result::Result::Ok(Self::#variant)
                        }
                    )*
                    _ => {
                        let __found = __value.describe();
                        ::core::result::Result::Err(#mismatch)
                    }
                }
            }
        }
    }
}

/// What errors say was expected: the enum, and for few variants all of them.
fn expected<'t>(ident: &Ident, texts: impl ExactSizeIterator<Item = &'t str>) -> String {
    if texts.len() > 10 {
        return ident.to_string();
    }
    let texts: Vec<_> = texts.collect();
    format!("{ident} ({})", texts.join(", "))
}
