//! Which branch an upsert took.
//!
//! `INSERT … VALUES (CASE WHEN emr_fresh() THEN ?1 END, …) ON CONFLICT … DO UPDATE SET … WHERE emr_mark() RETURNING
//! emr_unmarked()`: the engine makes the cells of a row before it looks for its key, asks for the WHERE of the update
//! branch only where the key is taken, and makes what RETURNING gives after the row was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Result};

/// Each call counts, so that none may be left out or put before the loop.
const FLAGS: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_INNOCUOUS);

pub(super) fn register(db: &Connection) -> Result<()> {
    // A connection is used by one thread at a time.
    let mark = Arc::new(AtomicBool::new(false));
    let set = |name: &str, to: bool| {
        let mark = Arc::clone(&mark);
        db.create_scalar_function(name, 0, FLAGS, move |_| {
            mark.store(to, Ordering::Relaxed);
            Ok(true)
        })
    };
    set("emr_fresh", false)?;
    set("emr_mark", true)?;
    let unmarked = Arc::clone(&mark);
    db.create_scalar_function("emr_unmarked", 0, FLAGS, move |_| Ok(!unmarked.swap(false, Ordering::Relaxed)))
}
