//! Upper and lower case.

use rusqlite::types::Value;
use rusqlite::{Connection, Result};

use super::{scalar, text_of};

/// Character by character, whatever stands beside it: so a part of a text is found in the whole.
pub(super) fn register(db: &Connection) -> Result<()> {
    scalar(db, "emr_lower", 1, |context| {
        Ok(Value::Text(text_of(context, 0)?.chars().flat_map(char::to_lowercase).collect()))
    })?;
    scalar(db, "emr_upper", 1, |context| {
        Ok(Value::Text(text_of(context, 0)?.chars().flat_map(char::to_uppercase).collect()))
    })
}
