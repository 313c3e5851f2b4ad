//! Removing changes that are old, or too many.

use std::time::Duration;

use emr_core::Result;
use emr_core::watch::Retention;
use tokio_postgres::types::Type;

use super::names::Names;
use super::session::Session;

/// Changes removed by one statement.
const AT_ONCE: i64 = 10_000;
/// Statements of one round: what is left waits for the next.
const ROUNDS: usize = 10;

/// Notes when there was which snapshot, and removes what the retention does not keep. Two trips when there is nothing to do.
/// Of several processes that try at once, one does it.
pub(super) async fn retain(session: &Session, names: &Names, retention: Retention) -> Result<()> {
    let age = retention.age.as_secs_f64();
    // Ticks are as fine as a hundredth of the age.
    let every = (retention.age / 100)
        .max(Duration::from_secs(1))
        .min(Duration::from_mins(5))
        .min(retention.age / 4)
        .as_secs_f64();
    let most = i64::try_from(retention.events).unwrap_or(i64::MAX);
    let (ticks, state, log) = (names.own("ticks"), names.own("state"), names.own("log"));
    let sequence = format!(
        "pg_catalog.pg_sequence_last_value(pg_catalog.pg_get_serial_sequence({}, 'pos'))",
        super::names::literal(&log)
    );
    let tick = format!(
        "INSERT INTO {ticks} (horizon, pos) SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()), \
         coalesce({sequence}, 0) WHERE pg_catalog.pg_try_advisory_xact_lock($1) \
         AND NOT EXISTS (SELECT FROM {ticks} WHERE at > pg_catalog.now() - pg_catalog.make_interval(secs => $2)) \
         ON CONFLICT DO NOTHING"
    );
    session.query(&tick, &[(&names.retain_key, Type::INT8), (&every, Type::FLOAT8)]).await?;
    // The newest tick that is old enough, or that has so many changes after it, is where the log may begin.
    let floor = format!(
        "UPDATE {state} SET floor = t.horizon FROM (SELECT horizon FROM {ticks} \
         WHERE at < pg_catalog.now() - pg_catalog.make_interval(secs => $2) OR pos < coalesce({sequence}, 0) - $3 \
         ORDER BY horizon DESC LIMIT 1) t WHERE t.horizon > floor AND pg_catalog.pg_try_advisory_xact_lock($1) \
         RETURNING floor::text"
    );
    let params = [
        (&names.retain_key as &(dyn tokio_postgres::types::ToSql + Sync), Type::INT8),
        (&age, Type::FLOAT8),
        (&most, Type::INT8),
    ];
    session.query(&floor, &params).await?;
    // Rows below the floor may be left from a round that was cut short, so it is looked for them each time.
    let delete = format!(
        "WITH gone AS (DELETE FROM {log} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {log} \
         WHERE xid < (SELECT floor FROM {state}) ORDER BY xid LIMIT $2)) AND pg_catalog.pg_try_advisory_xact_lock($1) \
         RETURNING 1) SELECT pg_catalog.count(*) FROM gone"
    );
    for _ in 0..ROUNDS {
        let row = session.one(&delete, &[(&names.retain_key, Type::INT8), (&AT_ONCE, Type::INT8)]).await?;
        if row.get::<_, i64>(0) < AT_ONCE {
            break;
        }
    }
    let old = format!("DELETE FROM {ticks} WHERE horizon < (SELECT floor FROM {state})");
    session.query(&old, &[]).await.map(drop)
}
