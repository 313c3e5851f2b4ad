//! The arguments of `#[emr(...)]` and `#[repo(...)]`.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, Lit, LitStr, Path, Token, parenthesized};

use crate::errors::Errors;
use crate::names::Name;

/// One argument between the commas.
enum Argument {
    /// A text without a name, in a list of columns.
    Text(LitStr),
    Named(Setting),
}

/// A named argument.
pub(crate) struct Setting {
    pub(crate) name: Ident,
    value: Value,
}

enum Value {
    /// `unique`
    Word,
    /// `table = "posts"`
    Literal(Lit),
    /// `client = path::to::function`
    Path(Path),
    /// `belongs_to(key = "author_id")`
    List(Vec<Argument>, Span),
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            return input.parse().map(Argument::Text);
        }
        // Any: `crate` and `default` are keywords.
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(syn::token::Paren) {
            let content;
            let parentheses = parenthesized!(content in input);
            let arguments = Punctuated::<Argument, Token![,]>::parse_terminated(&content)?;
            Value::List(arguments.into_iter().collect(), parentheses.span.join())
        } else if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            if input.peek(Lit) { Value::Literal(input.parse()?) } else { Value::Path(input.parse()?) }
        } else {
            Value::Word
        };
        Ok(Argument::Named(Setting { name, value }))
    }
}

impl ToTokens for Setting {
    /// The name: what errors about the setting mark.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.name.to_tokens(tokens);
    }
}

impl Setting {
    fn wrong(&self, message: impl std::fmt::Display) -> syn::Error {
        match &self.value {
            Value::Word => syn::Error::new_spanned(&self.name, message),
            Value::Literal(literal) => syn::Error::new_spanned(literal, message),
            Value::Path(path) => syn::Error::new_spanned(path, message),
            Value::List(_, span) => syn::Error::new(*span, message),
        }
    }

    /// Nothing but the name.
    pub(crate) fn word(&self) -> syn::Result<()> {
        match self.value {
            Value::Word => Ok(()),
            _ => Err(self.wrong(format!("`{0}` takes no value: write just `{0}`", self.name))),
        }
    }

    /// A text that is not empty; `example` is one.
    pub(crate) fn text(&self, example: &str) -> syn::Result<LitStr> {
        match &self.value {
            Value::Literal(Lit::Str(text)) => {
                sound(text)?;
                Ok(text.clone())
            }
            _ => Err(self.wrong(format!("write a text: {} = \"{example}\"", self.name))),
        }
    }

    /// A path to an item.
    pub(crate) fn path(&self, example: &str) -> syn::Result<&Path> {
        match &self.value {
            Value::Path(path) => Ok(path),
            _ => Err(self.wrong(format!("write a path without quotes: {} = {example}", self.name))),
        }
    }

    /// Any literal.
    pub(crate) fn literal(&self) -> Option<&Lit> {
        match &self.value {
            Value::Literal(literal) => Some(literal),
            _ => None,
        }
    }

    /// Whether the value is missing.
    pub(crate) fn is_word(&self) -> bool {
        matches!(self.value, Value::Word)
    }

    /// One name as a text, or several in parentheses, with or without quotes.
    pub(crate) fn names(&self, example: &str) -> syn::Result<Vec<Name>> {
        let mistake = || self.wrong(format!("write {0} = \"{example}\", or several: {0}(\"a\", \"b\")", self.name));
        match &self.value {
            Value::Literal(Lit::Str(text)) => Ok(vec![sound(text)?]),
            Value::List(arguments, _) if !arguments.is_empty() => arguments
                .iter()
                .map(|argument| match argument {
                    Argument::Text(text) => sound(text),
                    Argument::Named(Setting { name, value: Value::Word }) => {
                        Ok(Name { text: name.unraw().to_string(), span: name.span() })
                    }
                    Argument::Named(_) => Err(mistake()),
                })
                .collect(),
            _ => Err(mistake()),
        }
    }

    /// The settings in parentheses; none for a bare word.
    pub(crate) fn settings(self, of: &'static str, known: &'static [&'static str], errors: &mut Errors) -> Settings {
        let mut settings = Settings { of, known, given: Vec::new() };
        match self.value {
            Value::Word => {}
            Value::List(arguments, _) => settings.add(arguments, errors),
            _ => errors.push(self.wrong(format!("write the options of `{0}` in parentheses: {0}(...)", self.name))),
        }
        settings
    }
}

/// The text as a name, unless no database can have it.
fn sound(text: &LitStr) -> syn::Result<Name> {
    let value = text.value();
    if value.is_empty() {
        return Err(syn::Error::new_spanned(text, "the text is empty"));
    }
    if value.contains('\0') {
        return Err(syn::Error::new_spanned(text, "the text has a NUL character in it, which no database takes"));
    }
    Ok(Name { text: value, span: text.span() })
}

/// Names that users of other libraries and of our own options try, the place, and what to do instead.
const REFUSED: [(&str, &str, &str); 8] = [
    (
        "a definition",
        "password",
        "a password does not belong into source code: give it to start_repo, or put it into the environment",
    ),
    (
        "a definition",
        "url",
        "a URL names one database, and a definition is for many: give it to start_url, or put it into the environment",
    ),
    ("a definition", "database_type", "the backend is called `database` here: write database = \"postgres\""),
    ("a struct", "schema", "write prefix = \"…\" for the database's schema that the table is in"),
    ("a struct", "primary_key", "write #[emr(primary_key)] above each field that is part of it"),
    ("a field", "rename", "write column = \"…\" for the name in the database"),
    ("belongs_to", "foreign_key", "write key = \"…\" for the foreign key"),
    ("has_many", "foreign_key", "write key = \"…\" for the foreign key in the other table"),
];

/// The settings of one place, to be taken by name. Whatever is unknown or there twice is an error.
pub(crate) struct Settings {
    /// The place, for errors: `a struct`.
    of: &'static str,
    known: &'static [&'static str],
    given: Vec<Setting>,
}

impl Settings {
    /// The settings in all attributes of this name.
    pub(crate) fn read(
        attributes: &[Attribute],
        attribute: &str,
        of: &'static str,
        known: &'static [&'static str],
        errors: &mut Errors,
    ) -> Settings {
        let mut settings = Settings { of, known, given: Vec::new() };
        for found in attributes.iter().filter(|found| found.path().is_ident(attribute)) {
            let arguments = found.parse_args_with(Punctuated::<Argument, Token![,]>::parse_terminated);
            if let Some(arguments) = errors.ok(arguments) {
                settings.add(arguments, errors);
            }
        }
        settings
    }

    fn add(&mut self, arguments: impl IntoIterator<Item = Argument>, errors: &mut Errors) {
        for argument in arguments {
            let setting = match argument {
                Argument::Named(setting) => setting,
                Argument::Text(text) => {
                    errors.at(text, format!("a text without a name; {}", self.list()));
                    continue;
                }
            };
            let name = setting.name.unraw().to_string();
            if !self.known.contains(&name.as_str()) {
                let refusal = REFUSED.iter().find(|(of, refused, _)| *of == self.of && *refused == name);
                match refusal {
                    Some((_, _, why)) => errors.at(&setting, why),
                    None => errors.at(&setting, format!("`{name}` is unknown here; {}", self.list())),
                }
            } else if self.has(&name) {
                errors.at(&setting, format!("`{name}` is written twice"));
            } else {
                self.given.push(setting);
            }
        }
    }

    fn list(&self) -> String {
        format!("{} takes {}", self.of, self.known.join(", "))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|setting| setting.name.unraw() == name)
    }

    /// Takes a setting.
    pub(crate) fn take(&mut self, name: &str) -> Option<Setting> {
        let at = self.given.iter().position(|setting| setting.name.unraw() == name)?;
        Some(self.given.remove(at))
    }

    /// Takes a setting that has no value; `None` if it is not there.
    pub(crate) fn word(&mut self, name: &str, errors: &mut Errors) -> Option<Ident> {
        let setting = self.take(name)?;
        errors.ok(setting.word());
        Some(setting.name)
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, name: &str, example: &str, errors: &mut Errors) -> Option<LitStr> {
        let setting = self.take(name)?;
        errors.ok(setting.text(example))
    }

    /// Takes one or several names.
    pub(crate) fn names(&mut self, name: &str, example: &str, errors: &mut Errors) -> Option<Vec<Name>> {
        let setting = self.take(name)?;
        errors.ok(setting.names(example))
    }

    /// Takes the path to a function.
    pub(crate) fn function(&mut self, name: &str, errors: &mut Errors) -> Option<Path> {
        let setting = self.take(name)?;
        errors.ok(setting.path("path::to::function").cloned())
    }

    /// Takes the path below which generated code finds the core.
    pub(crate) fn base(&mut self, errors: &mut Errors) -> Path {
        self.text("crate", "::emr_core", errors)
            .and_then(|text| errors.ok(text.parse_with(Path::parse_mod_style)))
            .unwrap_or_else(|| syn::parse_quote!(::emr::__core))
    }

    /// What nobody took.
    pub(crate) fn rest(self) -> Vec<Setting> {
        self.given
    }
}
