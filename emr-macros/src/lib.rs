//! The derive macros of EMR.
