//! The PostgreSQL adapter of EMR.
