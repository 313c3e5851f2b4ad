//! The SQLite adapter of EMR.
