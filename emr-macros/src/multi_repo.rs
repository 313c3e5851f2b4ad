//! `#[derive(MultiRepo)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Lit, LitInt, LitStr};

use crate::attribute::{Setting, Settings};
use crate::errors::Errors;
use crate::names::screaming;

/// The settings of a definition, and what each takes.
const SETTINGS: [(&str, Takes); 17] = [
    ("database", Takes::OneOf(&["postgres", "mysql", "mssql", "sqlite"])),
    ("timeout", Takes::Duration { infinite: true }),
    ("idle_timeout", Takes::Duration { infinite: true }),
    ("connect_timeout", Takes::Duration { infinite: false }),
    ("connection_idle_timeout", Takes::Duration { infinite: true }),
    ("pool_size", Takes::Number { most: u32::MAX }),
    ("eager", Takes::Flag),
    ("host", Takes::Text),
    ("port", Takes::Number { most: u16::MAX as u32 }),
    ("user", Takes::Text),
    ("tls", Takes::OneOf(&["disable", "prefer", "require", "verify-full"])),
    ("tls_ca", Takes::Text),
    ("prepare", Takes::OneOf(&["named", "unnamed"])),
    ("application_name", Takes::Text),
    ("after_connect", Takes::Text),
    ("read_only", Takes::Flag),
    ("prefix", Takes::Text),
];

/// The names that the attribute takes.
const NAMES: [&str; SETTINGS.len() + 3] = {
    let mut names = ["crate"; SETTINGS.len() + 3];
    let mut at = 0;
    while at < SETTINGS.len() {
        names[at] = SETTINGS[at].0;
        at += 1;
    }
    names[at] = "env";
    names[at + 1] = "conf";
    names
};

#[derive(Clone, Copy)]
enum Takes {
    Text,
    OneOf(&'static [&'static str]),
    Duration { infinite: bool },
    Number { most: u32 },
    Flag,
}

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    if !matches!(input.data, Data::Struct(_)) {
        errors.at(&input.ident, "a definition of repos is a struct: struct TenantRepo;");
    }
    if !input.generics.params.is_empty() {
        errors.at(&input.generics, "a definition of repos has no generic parameters: write one for each use");
    }
    let mut settings = Settings::read(&input.attrs, "repo", "a definition", &NAMES, &mut errors);
    let base = settings.base(&mut errors);
    let ident = &input.ident;
    let name = ident.unraw().to_string();
    let environment = settings.text("env", "ACME", &mut errors);
    let environment = environment.map_or_else(|| screaming(&name), |text| text.value());
    let conf = settings.function("conf", &mut errors).map(|function| {
        quote! {
            fn conf(environment: &str) -> #base::Result<#base::RepoOptions> {
                #function(environment)
            }
        }
    });
    let mut names = Vec::new();
    let mut values = Vec::new();
    for (name, takes) in SETTINGS {
        let Some(setting) = settings.take(name) else { continue };
        if let Some(value) = errors.ok(takes.read(&setting)) {
            // In URLs and in the environment `database` is the name of one database, here it is the backend.
            names.push(if name == "database" { "database_type" } else { name });
            values.push(value);
        }
    }
    errors.finish(quote! {
        #[automatically_derived]
        impl #base::MultiRepo for #ident {
            fn definition() -> &'static #base::Definition {
                static DEFINITION: #base::Definition =
                    #base::Definition::new(#name, #environment, &[#((#names, #values)),*]);
                &DEFINITION
            }

            #conf
        }
    })
}

impl Takes {
    /// The setting's value as text.
    fn read(self, setting: &Setting) -> syn::Result<String> {
        let name = &setting.name;
        match self {
            Takes::Text => setting.text("…").map(|text| text.value()),
            Takes::OneOf(choices) => {
                let text = setting.text(choices[0])?;
                let value = text.value();
                if choices.contains(&value.as_str()) {
                    return Ok(value);
                }
                Err(wrong(&text, format!("`{name}` cannot be \"{value}\": it is one of {}", choices.join(", "))))
            }
            Takes::Duration { infinite } => {
                let text = setting.text("15s")?;
                check_duration(&text, infinite)?;
                Ok(text.value())
            }
            Takes::Number { most } => match setting.literal() {
                Some(Lit::Int(number)) => read_number(number, name, most),
                _ => Err(setting.wrong(format!("`{name}` is a number: write {name} = 4"))),
            },
            Takes::Flag => match setting.literal() {
                Some(Lit::Bool(flag)) => Ok(flag.value.to_string()),
                None if setting.is_word() => Ok("true".to_owned()),
                _ => Err(setting.wrong(format!("`{name}` is true or false: write {name} = true"))),
            },
        }
    }
}

fn read_number(literal: &LitInt, name: &syn::Ident, most: u32) -> syn::Result<String> {
    match literal.base10_parse::<u32>() {
        Ok(number) if (1..=most).contains(&number) => Ok(number.to_string()),
        _ => Err(wrong(literal, format!("`{name}` is a number from 1 to {most}"))),
    }
}

/// Accepts what the core's `Timeout::parse` does.
fn check_duration(text: &LitStr, infinite: bool) -> syn::Result<()> {
    let value = text.value();
    let value = value.trim();
    if matches!(value, "infinite" | "infinity") {
        return if infinite { Ok(()) } else { Err(wrong(text, "it must end: write for example \"10s\"")) };
    }
    let unit = value.trim_start_matches(|character: char| character.is_ascii_digit());
    let millis: u64 = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let number = value[..value.len() - unit.len()].parse::<u64>().ok();
    match number.and_then(|number| number.checked_mul(millis)) {
        Some(0) if millis > 0 => Err(wrong(text, "zero is over before it begins: write a longer duration")),
        Some(millis) if millis > 0 => Ok(()),
        _ => {
            let endless = if infinite { " or \"infinite\"" } else { "" };
            let message =
                format!("\"{value}\" is no duration: write for example \"500ms\", \"15s\", \"10m\", \"2h\"{endless}");
            Err(wrong(text, message))
        }
    }
}

fn wrong(tokens: impl quote::ToTokens, message: impl std::fmt::Display) -> syn::Error {
    syn::Error::new_spanned(tokens, message)
}
