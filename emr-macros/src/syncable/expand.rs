//! The code that a struct gets.

use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::association::{Association, Keys, Through, type_name};
use super::column::{Column, Filled, Stamp};
use super::structure::{Structure, constant};

pub(super) fn expand(structure: &Structure) -> TokenStream {
    let Structure { base, ident, .. } = structure;
    let constants = constants(structure);
    let schema = schema(structure);
    let decode = decode(structure);
    let value = value(structure);
    let key = key(structure);
    let slots = slots(structure);
    quote! {
        #[automatically_derived]
        #[allow(dead_code, deprecated, private_interfaces)]
        impl #ident {
            #constants
        }

        #base::from_row_of_schema!(#ident);

        #[automatically_derived]
        #[allow(deprecated)]
        impl #base::Syncable for #ident {
            #schema
            #decode
            #value
            #key
            #slots
        }
    }
}

fn constants(structure: &Structure) -> TokenStream {
    let Structure { base, ident, visibility, .. } = structure;
    let columns = structure.columns.iter().enumerate().map(|(at, column)| {
        let (name, ty) = (constant(&column.field), &column.ty);
        let doc = format!(" The column `{}` of `{}`.", column.name, structure.table);
        quote! {
            #[doc = #doc]
            #visibility const #name: #base::Column<#ident, #ty> = #base::Column::new(#at);
        }
    });
    let associations = structure.associations.iter().enumerate().map(|(at, association)| {
        let (name, related) = (constant(&association.field), &association.related);
        let kind = association.kind.attribute().replace('_', " ");
        let doc = format!(" The association `{}`: {kind} `{}`.", association.name(), type_name(related));
        quote! {
            #[doc = #doc]
            #visibility const #name: #base::Association<#ident, #related> = #base::Association::new(#at);
        }
    });
    quote! { #(#columns)* #(#associations)* }
}

fn schema(structure: &Structure) -> TokenStream {
    let Structure { base, table, primary_key, extra_columns, .. } = structure;
    let name = structure.name();
    let prefix = optional(structure.prefix.as_ref());
    let columns = structure.columns.iter().enumerate().map(|(at, column)| column_def(structure, at, column));
    let checks = structure.columns.iter().enumerate().map(|(at, column)| checks(structure, at, column));
    let associations = structure.associations.iter().zip(&structure.keys);
    let associations = associations.map(|(association, keys)| association_def(structure, association, keys));
    quote! {
        fn schema() -> &'static #base::Schema {
            #(#checks)*
            static SCHEMA: #base::Schema = #base::Schema {
                name: #name,
                table: #table,
                prefix: #prefix,
                columns: &[#(#columns),*],
                primary_key: &[#(#primary_key),*],
                associations: &[#(#associations),*],
                extra_columns: &[#(#extra_columns),*],
            };
            &SCHEMA
        }
    }
}

fn column_def(structure: &Structure, at: usize, column: &Column) -> TokenStream {
    let Structure { base, .. } = structure;
    let Column { ty, name, .. } = column;
    let field = column.field.unraw().to_string();
    let mut said = TokenStream::new();
    let sole_key = structure.primary_key == [at] && !structure.is_foreign_key(column);
    let generated = match &column.filled {
        Filled::Unsaid if sole_key => {
            let sql_type = sql_type(structure, column);
            Some(quote!(#base::Generated::for_sole_key(#sql_type)))
        }
        Filled::Unsaid | Filled::Program => None,
        Filled::Identity => Some(quote!(#base::Generated::Identity)),
        Filled::Uuid => Some(quote!(#base::Generated::Client(#base::__new_uuid))),
        Filled::Client(make) => {
            let value = quote_spanned!(make.span()=> <#ty as #base::Field>::into_value(#make()));
            Some(quote!(#base::Generated::Client(|| #value)))
        }
        Filled::Stored(expression) => Some(quote!(#base::Generated::Stored(#expression))),
    };
    if let Some(generated) = generated {
        said.extend(quote!(generated: #generated,));
    }
    for (set, flag) in
        [(column.read_only, quote!(read_only)), (column.redact, quote!(redact)), (column.unique, quote!(unique))]
    {
        if set {
            said.extend(quote!(#flag: true,));
        }
    }
    if let Some(default) = &column.default {
        said.extend(quote!(default: ::core::option::Option::Some(#default),));
    }
    if let Some(sql_type) = &column.sql_type {
        said.extend(quote!(sql_type: ::core::option::Option::Some(#sql_type),));
    }
    if let Some(stamp) = column.stamp {
        let stamp = match stamp {
            Stamp::Inserted => quote!(Inserted),
            Stamp::Updated => quote!(Updated),
        };
        said.extend(quote!(stamp: ::core::option::Option::Some(#base::Stamp::#stamp),));
    }
    let plain = quote!(#base::ColumnDef::of::<#ty>(#name, #field));
    if said.is_empty() { plain } else { quote!(#base::ColumnDef { #said ..#plain }) }
}

/// What only the compiler knows about a column's type, as it may be an alias.
fn checks(structure: &Structure, at: usize, column: &Column) -> TokenStream {
    let Structure { base, .. } = structure;
    let Column { ty, field, .. } = column;
    let sql_type = sql_type(structure, column);
    let mut checks = TokenStream::new();
    let mut check = |condition: TokenStream, message: String| {
        checks.extend(quote_spanned!(ty.span()=> const _: () = ::core::assert!(#condition, #message);));
    };
    if structure.primary_key.contains(&at) {
        check(
            quote!(!<#ty as #base::Field>::NULLABLE),
            format!("the primary key `{field}` is an Option, but a key is never NULL: take the Option away"),
        );
    }
    if column.stamp.is_some() {
        check(
            quote!(::core::matches!(#sql_type, #base::SqlType::Timestamp | #base::SqlType::DateTime)),
            format!("a timestamp is a DateTime<Utc> or a NaiveDateTime: `{field}` must be one"),
        );
    }
    match column.filled {
        Filled::Identity => check(
            quote! {
                ::core::matches!(#sql_type, #base::SqlType::I16 | #base::SqlType::I32 | #base::SqlType::I64)
            },
            format!("the database counts integers: for `identity`, `{field}` must be i16, i32 or i64"),
        ),
        Filled::Uuid => check(
            quote!(::core::matches!(#sql_type, #base::SqlType::Uuid)),
            format!("`uuid` makes a Uuid: `{field}` must be one; for another type write client = path::to::function"),
        ),
        _ => {}
    }
    checks
}

fn sql_type(structure: &Structure, column: &Column) -> TokenStream {
    let (base, ty) = (&structure.base, &column.ty);
    quote!(<<#ty as #base::Field>::Scalar as #base::Scalar>::TYPE)
}

fn association_def(structure: &Structure, association: &Association, keys: &Keys) -> TokenStream {
    let base = &structure.base;
    let (field, related) = (association.name(), &association.related);
    let kind = proc_macro2::Ident::new(association.kind.slot(), association.field.span());
    let Keys { owner: owner_keys, related: related_keys, through } = keys;
    let mut said = TokenStream::new();
    for (columns, name) in [(owner_keys, quote!(owner_keys)), (related_keys, quote!(related_keys))] {
        if !columns.is_empty() {
            said.extend(quote!(#name: &[#(#columns),*],));
        }
    }
    let through = match through {
        Through::Direct => None,
        Through::Chain(fields) => Some(quote!(Chain(&[#(#fields),*]))),
        Through::Table { table, owner, related } => Some(quote! {
            Table { table: #table, owner_columns: &[#(#owner),*], related_columns: &[#(#related),*] }
        }),
        Through::Schema { schema, owner, related } => Some(quote! {
            Schema {
                schema: <#schema as #base::Syncable>::schema,
                owner_columns: &[#(#owner),*],
                related_columns: &[#(#related),*],
            }
        }),
    };
    if let Some(through) = through {
        said.extend(quote!(through: #base::Through::#through,));
    }
    if let Some(filter) = &association.filter {
        let node = quote_spanned!(filter.span()=> #base::Expr::<bool>::into_node(#filter()));
        said.extend(quote!(filter: ::core::option::Option::Some(|| #node),));
    }
    if let Some(order) = &association.order {
        let order = quote_spanned!(order.span()=> #base::IntoOrder::into_order(#order()));
        said.extend(quote!(order: ::core::option::Option::Some(|| #order),));
    }
    if let Some(what) = association.on_replace {
        let what = proc_macro2::Ident::new(what, association.field.span());
        said.extend(quote!(on_replace: #base::OnReplace::#what,));
    }
    if let Some(what) = association.on_delete {
        let what = proc_macro2::Ident::new(what, association.field.span());
        said.extend(quote!(on_delete: #base::OnDelete::#what,));
    }
    if association.unique {
        said.extend(quote!(unique: true,));
    }
    let plain = quote! {
        #base::AssociationDef::of(#field, #base::AssociationKind::#kind, <#related as #base::Syncable>::schema)
    };
    if said.is_empty() { plain } else { quote!(#base::AssociationDef { #said ..#plain }) }
}

fn decode(structure: &Structure) -> TokenStream {
    let base = &structure.base;
    let columns = structure.columns.iter().map(|Column { field, ty, .. }| quote!(#field: __cells.next::<#ty>()?));
    let slots = structure.associations.iter().map(|association| {
        let (field, related) = (&association.field, &association.related);
        let slot = proc_macro2::Ident::new(association.kind.slot(), association.field.span());
        // By the core's slot, so that another type of the same name is an error here, at the field's type.
        let empty = quote_spanned! {association.ty.span()=>
            <#base::#slot<#related> as ::core::default::Default>::default()
        };
        quote!(#field: #empty)
    });
    let skipped = structure
        .skipped
        .iter()
        .map(|(field, ty)| quote_spanned!(ty.span()=> #field: <#ty as ::core::default::Default>::default()));
    let cells = if structure.columns.is_empty() { quote!(_) } else { quote!(__cells) };
    quote! {
        fn decode(#cells: &mut #base::Cells<'_>) -> #base::Result<Self> {
            ::core::result::Result::Ok(Self { #(#columns,)* #(#slots,)* #(#skipped,)* })
        }
    }
}

fn value(structure: &Structure) -> TokenStream {
    let base = &structure.base;
    let columns = structure.columns.iter().enumerate().map(|(at, Column { field, ty, .. })| {
        let at = Literal::usize_unsuffixed(at);
        quote!(#at => <#ty as #base::Field>::to_value(&self.#field),)
    });
    quote! {
        fn value(&self, __column: usize) -> #base::Value<'_> {
            match __column {
                #(#columns)*
                _ => #base::Value::Null(#base::SqlType::Unknown),
            }
        }
    }
}

fn key(structure: &Structure) -> TokenStream {
    let base = &structure.base;
    let types: Vec<_> = structure.primary_key.iter().map(|&at| &structure.columns[at].ty).collect();
    let (ty, parameter, values) = match types.as_slice() {
        [] => (quote!(()), quote!((): ()), quote!(::std::vec::Vec::new())),
        [ty] => {
            let value = quote!(<#ty as #base::Field>::into_value(__key));
            (quote!(#ty), quote!(__key: #ty), quote!(::std::vec![#value]))
        }
        types => {
            let parts = (0..types.len()).map(Literal::usize_unsuffixed);
            let values = quote!(::std::vec![#(<#types as #base::Field>::into_value(__key.#parts)),*]);
            (quote!((#(#types,)*)), quote!(__key: (#(#types,)*)), values)
        }
    };
    quote! {
        type Key = #ty;

        fn key_values(#parameter) -> ::std::vec::Vec<#base::Value<'static>> {
            #values
        }
    }
}

/// The slots by the positions of their associations.
fn slots(structure: &Structure) -> TokenStream {
    if structure.associations.is_empty() {
        return TokenStream::new();
    }
    let base = &structure.base;
    let arms = |exclusive: bool| {
        let arms = structure.associations.iter().enumerate().map(move |(at, Association { field, ty, .. })| {
            let at = Literal::usize_unsuffixed(at);
            // What is wrong with the slot is an error at the field's type.
            let slot = if exclusive {
                quote_spanned!(ty.span()=> ::core::option::Option::Some(&mut self.#field))
            } else {
                quote_spanned!(ty.span()=> ::core::option::Option::Some(&self.#field))
            };
            quote!(#at => #slot,)
        });
        quote! { #(#arms)* _ => ::core::option::Option::None, }
    };
    let (shared, exclusive) = (arms(false), arms(true));
    quote! {
        fn slot(&self, __association: usize) -> ::core::option::Option<&dyn #base::Slot> {
            match __association { #shared }
        }

        fn slot_mut(&mut self, __association: usize) -> ::core::option::Option<&mut dyn #base::Slot> {
            match __association { #exclusive }
        }
    }
}

fn optional(value: Option<&impl quote::ToTokens>) -> TokenStream {
    value.map_or_else(|| quote!(::core::option::Option::None), |value| quote!(::core::option::Option::Some(#value)))
}

#[cfg(test)]
mod tests {
    use syn::{Data, DeriveInput, parse_quote};

    use crate::syncable::structure::Structure;

    /// Compile time is paid for every schema: some 120 lines for ten fields, as rustc prints them.
    #[test]
    fn ten_fields_expand_to_little_code() {
        let input: DeriveInput = parse_quote! {
            struct Article {
                id: i64,
                title: String,
                body: String,
                views: i32,
                rating: Option<f64>,
                author_id: i64,
                slug: Option<String>,
                hidden: bool,
                #[emr(redact)]
                notes: Option<String>,
                #[emr(default = "now()")]
                created: DateTime<Utc>,
            }
        };
        let Data::Struct(data) = &input.data else { panic!("no struct") };

        let code = super::expand(&Structure::read(&input, &data.fields).unwrap());

        let columns = code.to_string().matches("ColumnDef :: of").count();
        assert_eq!(columns, 10);
        assert!(code.to_string().len() < 6_000, "{} characters", code.to_string().len());
    }
}
