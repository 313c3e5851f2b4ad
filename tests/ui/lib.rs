//! Mistakes in the use of EMR that do not compile: `refused` holds them, each beside what the compiler says.
//!
//! A package of its own, without drivers: each case is compiled against the interface alone, which takes seconds.
