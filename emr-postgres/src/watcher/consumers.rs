//! Durable consumers: a name, the position it has acknowledged, and how often it was started.

use emr_core::watch::{Consumer, Token, WatchFault};
use emr_core::{Error, Result};
use tokio_postgres::types::Type;

use super::names::Names;
use super::session::{Session, doing};

/// Takes a consumer over from whoever read as it, and tells where it stands. A new one stands at `head`.
pub(super) async fn take(
    session: &Session,
    names: &Names,
    name: &str,
    head: &Token,
) -> Result<(Consumer, String, bool)> {
    if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
        let problem = "a consumer's name has 1 to 255 bytes and no control characters".to_owned();
        return Err(Error::watch(WatchFault::BadSetting { setting: "consumer".to_owned(), problem }));
    }
    let sql = format!(
        "INSERT INTO {} AS c (name, epoch, token) VALUES ($1, 1, $2) \
         ON CONFLICT (name) DO UPDATE SET epoch = c.epoch + 1 RETURNING epoch, token",
        names.own("consumers")
    );
    let row = session.one(&sql, &[(&name, Type::TEXT), (&head.to_string(), Type::TEXT)]).await;
    let row = row.map_err(|error| doing("keep the position of a consumer", error))?;
    let epoch = row.get(0);
    Ok((Consumer { name: name.to_owned(), epoch }, row.get(1), epoch == 1))
}

/// Keeps a position, unless somebody else has taken the consumer over.
pub(super) async fn keep(session: &Session, names: &Names, consumer: &Consumer, token: &Token) -> Result<()> {
    let sql = format!(
        "UPDATE {} SET token = $3, at = pg_catalog.now() WHERE name = $1 AND epoch = $2 RETURNING epoch",
        names.own("consumers")
    );
    let params = [
        (&consumer.name as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT),
        (&consumer.epoch, Type::INT8),
        (&token.to_string(), Type::TEXT),
    ];
    let rows = session.query(&sql, &params).await.map_err(|error| doing("keep the position of a consumer", error))?;
    if rows.is_empty() {
        return Err(Error::watch(WatchFault::Fenced { consumer: consumer.name.clone() }));
    }
    Ok(())
}
