//! What the renderer writes, case by case.

mod condition;
mod ddl;
mod read;
mod write;
