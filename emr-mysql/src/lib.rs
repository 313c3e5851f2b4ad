//! The MySQL and MariaDB dialects of EMR.
