//! The SQL Server dialect of EMR.
