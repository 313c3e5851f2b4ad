//! EMR.
