//! What the renderer writes, case by case.

mod catalog;
mod condition;
mod ddl;
mod function;
mod query;
mod read;
mod upsert;
mod write;
