//! Names in the cases that Rust and databases write them in.

use proc_macro2::Span;
use syn::LitStr;

/// The words of a Rust name: `PostTag`, `post_tag` and `HTTPPost` have two each.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split('_').filter(|part| !part.is_empty()) {
        let characters: Vec<char> = part.chars().collect();
        let mut word = String::new();
        for (at, &character) in characters.iter().enumerate() {
            let after_lower = at > 0 && !characters[at - 1].is_uppercase();
            let before_lower = characters.get(at + 1).is_some_and(|next| next.is_lowercase());
            if character.is_uppercase() && !word.is_empty() && (after_lower || before_lower) {
                words.push(std::mem::take(&mut word));
            }
            word.extend(character.to_lowercase());
        }
        words.push(word);
    }
    words
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// `PostTag` as `post_tag`.
pub(crate) fn snake(name: &str) -> String {
    words(name).join("_")
}

/// `post_tag` as `POST_TAG`. A leading underscore stays, so that `_id` and `id` are two constants.
pub(crate) fn screaming(name: &str) -> String {
    let underscores = name.len() - name.trim_start_matches('_').len();
    format!("{}{}", &name[..underscores], words(name).join("_").to_uppercase())
}

/// What `rename_all` makes of names.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Camel,
    Snake,
    Pascal,
    ScreamingSnake,
    Kebab,
}

impl Case {
    pub(crate) fn parse(text: &LitStr) -> syn::Result<Case> {
        match text.value().as_str() {
            "camelCase" => Ok(Case::Camel),
            "snake_case" => Ok(Case::Snake),
            "PascalCase" => Ok(Case::Pascal),
            "SCREAMING_SNAKE_CASE" => Ok(Case::ScreamingSnake),
            "kebab-case" => Ok(Case::Kebab),
            other => Err(syn::Error::new_spanned(
                text,
                format!(
                    "`{other}` is no case: write camelCase, snake_case, PascalCase, SCREAMING_SNAKE_CASE or kebab-case"
                ),
            )),
        }
    }

    pub(crate) fn apply(self, name: &str) -> String {
        let words = words(name);
        match self {
            Case::Snake => words.join("_"),
            Case::Kebab => words.join("-"),
            Case::ScreamingSnake => words.join("_").to_uppercase(),
            Case::Pascal => words.iter().map(|word| capitalized(word)).collect(),
            Case::Camel => words
                .iter()
                .enumerate()
                .map(|(n, word)| if n == 0 { word.clone() } else { capitalized(word) })
                .collect(),
        }
    }
}

/// A name that the user wrote, and where.
#[derive(Clone)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Case, screaming, snake};

    #[test]
    fn snake_splits_words_and_acronyms() {
        for (name, expected) in [
            ("Post", "post"),
            ("PostTag", "post_tag"),
            ("HTTPServer", "http_server"),
            ("OAuth2Token", "o_auth2_token"),
            ("already_snake", "already_snake"),
            ("ÄrgerÜber", "ärger_über"),
        ] {
            assert_eq!(snake(name), expected);
        }
    }

    #[test]
    fn screaming_keeps_a_leading_underscore() {
        assert_eq!(screaming("person_id"), "PERSON_ID");
        assert_eq!(screaming("_person_id"), "_PERSON_ID");
        assert_eq!(screaming("address2"), "ADDRESS2");
        assert_eq!(screaming("personId"), "PERSON_ID");
    }

    #[test]
    fn cases_rename_snake_and_pascal_names() {
        for (case, expected) in [
            (Case::Camel, "personId"),
            (Case::Snake, "person_id"),
            (Case::Pascal, "PersonId"),
            (Case::ScreamingSnake, "PERSON_ID"),
            (Case::Kebab, "person-id"),
        ] {
            assert_eq!(case.apply("person_id"), expected);
            assert_eq!(case.apply("PersonId"), expected);
        }
    }

    proptest! {
        #[test]
        fn any_name_becomes_a_name(name in "[a-zA-Z0-9_\u{e4}\u{130}\u{1c5}]{0,16}|\\PC{0,16}") {
            // Some letters of other scripts are capital and have no small form.
            if name.is_ascii() {
                prop_assert!(!screaming(&name).contains(char::is_lowercase));
                prop_assert_eq!(snake(&snake(&name)), snake(&name));
            }
            for case in [Case::Camel, Case::Snake, Case::Pascal, Case::ScreamingSnake, Case::Kebab] {
                let _ = case.apply(&name);
            }
        }
    }
}
