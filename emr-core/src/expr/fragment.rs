//! SQL text inside a query.

use std::borrow::Cow;

use super::{Expr, FragmentPart, IntoArgument, Node};

/// SQL text as a condition or value, for what EMR has no words for. Each `?` takes the next argument;
/// `\?` is a question mark.
///
/// The text must be a literal, so that no input can get into it; [`Fragment::unchecked`] takes text that
/// was made at run time. What it means is up to the backend.
///
/// ```
/// use emr_core::{Expr, fragment};
/// let long: Expr<bool> = fragment("length(?) > ?").arg("some text".to_owned()).arg(5_i64).into();
/// ```
pub fn fragment(sql: &'static str) -> Fragment {
    Fragment { sql: Cow::Borrowed(sql), arguments: Vec::new() }
}

/// An SQL fragment whose arguments are being given. See [`fragment`].
#[derive(Debug, Clone)]
#[must_use = "turn it into an expression with `into` or `typed`"]
pub struct Fragment {
    sql: Cow<'static, str>,
    arguments: Vec<Node>,
}

impl Fragment {
    /// A fragment from text made at run time. **Whatever is in the text is sent as SQL**: never build it
    /// from input.
    pub fn unchecked(sql: impl Into<String>) -> Fragment {
        Fragment { sql: Cow::Owned(sql.into()), arguments: Vec::new() }
    }

    /// The expression or value for the next `?`.
    pub fn arg(mut self, argument: impl IntoArgument) -> Fragment {
        self.arguments.push(argument.into_argument());
        self
    }

    /// The fragment as an expression of a type that the caller vouches for. A number of arguments that
    /// does not fit the text is an error when the query runs.
    pub fn typed<T>(self) -> Expr<T> {
        Expr::from_node(Node::Fragment(self.parts()))
    }

    pub(crate) fn parts(self) -> Vec<FragmentPart> {
        let mut parts = Vec::new();
        let redacted = self.arguments.iter().find_map(Node::redacted);
        let mut arguments = self.arguments.into_iter().map(|argument| argument.in_context(redacted));
        let mut text = String::new();
        let mut characters = self.sql.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if characters.peek() == Some(&'?') => {
                    characters.next();
                    text.push('?');
                }
                '?' => {
                    if !text.is_empty() {
                        parts.push(FragmentPart::Sql(Cow::Owned(std::mem::take(&mut text))));
                    }
                    match arguments.next() {
                        Some(argument) => parts.push(FragmentPart::Argument(argument)),
                        // Shows up as an error of the renderer: an empty text never comes from a fragment.
                        None => parts.push(FragmentPart::Sql(Cow::Borrowed(""))),
                    }
                }
                other => text.push(other),
            }
        }
        if !text.is_empty() {
            parts.push(FragmentPart::Sql(Cow::Owned(text)));
        }
        if arguments.next().is_some() {
            parts.push(FragmentPart::Sql(Cow::Borrowed("")));
        }
        parts
    }
}

impl<T> From<Fragment> for Expr<T> {
    fn from(fragment: Fragment) -> Expr<T> {
        fragment.typed()
    }
}

impl IntoArgument for Fragment {
    fn into_argument(self) -> Node {
        self.typed::<()>().node
    }
}
