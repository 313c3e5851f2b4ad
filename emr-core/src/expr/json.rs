//! Places in JSON documents.

use std::borrow::Cow;

use super::call::{Call, Function, JsonRead, JsonStep};
use super::maybe::{Maybe, Operand};
use super::{Expr, IntoExpr, Node};
use crate::types::Scalar;
use crate::value::SqlType;

/// A place in a JSON document. Made by [`json`](JsonFunctions::json); ends by saying what is read there.
///
/// What is read is NULL where the document has no such place, where JSON's `null` stands there, and where something of
/// another type stands there: on every backend the same, and never an error. Keys may be any text: they are sent as
/// parameters, or quoted exactly.
///
/// ```
/// # use emr_core::{Column, JsonFunctions, SyncableExt, Syncable};
/// # fn f<Post: Syncable>(META: Column<Post, serde_json::Value>) {
/// let first_tag = META.json().key("tags").index(0).as_text();
/// let tagged = Post::query().filter(first_tag.eq("news")).select(META.json().key("size").as_i64());
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "say what is read: as_text(), as_i64(), …"]
pub struct JsonPath {
    document: Node,
    path: Vec<JsonStep>,
}

/// What columns and expressions that hold JSON can do.
pub trait JsonFunctions: Operand {
    /// The document, to be walked into.
    fn json(self) -> JsonPath;
}

impl<X: Operand> JsonFunctions for X
where
    X::Scalar: JsonDocument,
{
    fn json(self) -> JsonPath {
        JsonPath { document: self.operand().into_node(), path: Vec::new() }
    }
}

/// Types that hold JSON: [`serde_json::Value`] and [`Json`](crate::Json).
#[diagnostic::on_unimplemented(message = "`{Self}` holds no JSON", label = "only JSON has places in it")]
pub trait JsonDocument: Scalar {}

impl JsonDocument for serde_json::Value {}
impl<T> JsonDocument for crate::Json<T> where crate::Json<T>: Scalar {}

impl JsonPath {
    /// The value of this key of an object. A key with NUL in it is found nowhere.
    pub fn key(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.path.push(JsonStep::Key(key.into()));
        self
    }

    /// This element of an array, from 0.
    pub fn index(mut self, at: u32) -> Self {
        self.path.push(JsonStep::Index(at));
        self
    }

    /// The value of the key of an object that another column or expression holds. NULL is the name of no key.
    pub fn key_of(self, key: impl IntoExpr<String>) -> Self {
        let document = if self.path.is_empty() { self.document } else { self.read(JsonRead::Json, SqlType::Json) };
        let arguments = vec![document, key.into_expr().into_node()];
        JsonPath {
            document: Call::new(Function::JsonKey, arguments, SqlType::Json, SqlType::Json).into_node(),
            path: Vec::new(),
        }
    }

    fn read(self, read: JsonRead, ty: SqlType) -> Node {
        let function = Function::Json { path: self.path, read };
        Call::new(function, vec![self.document], SqlType::Json, ty).into_node()
    }

    /// A text; NULL if it is none.
    pub fn as_text(self) -> Maybe<String> {
        Maybe::of(self.read(JsonRead::Text, SqlType::Text))
    }

    /// A whole number (`5` and `5.0`) that fits 64 bits; NULL if it is none.
    pub fn as_i64(self) -> Maybe<i64> {
        Maybe::of(self.read(JsonRead::I64, SqlType::I64))
    }

    /// A number; NULL if it is none.
    pub fn as_f64(self) -> Maybe<f64> {
        Maybe::of(self.read(JsonRead::F64, SqlType::F64))
    }

    /// True or false; NULL if it is neither.
    pub fn as_bool(self) -> Maybe<bool> {
        Maybe::of(self.read(JsonRead::Bool, SqlType::Bool))
    }

    /// The part of the document as it is, JSON's `null` included; NULL only where there is no such place.
    pub fn as_json(self) -> Maybe<serde_json::Value> {
        Maybe::of(self.read(JsonRead::Json, SqlType::Json))
    }

    /// Whether the document has such a place, whatever stands there. NULL if there is no document.
    pub fn exists(self) -> Expr<bool> {
        Expr::from_node(self.read(JsonRead::Exists, SqlType::Bool))
    }

    /// Whether nothing stands there: there is no such place (or no document), or JSON's `null` is there.
    pub fn is_null(self) -> Expr<bool> {
        let there = self.clone().as_json().is_null();
        there.or(Expr::from_node(self.read(JsonRead::IsNull, SqlType::Bool)))
    }
}
