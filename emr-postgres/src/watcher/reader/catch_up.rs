//! Reading much: the server sorts it once, and a cursor gives it piece by piece.

use emr_core::watch::{Batch, Wake};
use emr_core::{Error, Result};

use super::PgReader;
use super::commits::{Commits, LogRow};
use crate::watcher::snapshot::{Position, Snapshot};

/// Rows of one fetch.
const FETCH: usize = 2_000;

/// A catch-up under way.
pub(super) struct CatchUp {
    /// What is being caught up with.
    to: Snapshot,
    commits: Commits,
}

impl PgReader {
    /// Opens a cursor over what `to` sees and the reader's snapshot does not, from after the commit that ends at `last`. It outlives
    /// its transaction, so that a slow consumer keeps nothing back on the server but the sorted rows.
    pub(super) async fn begin_catch_up(&mut self, to: Snapshot, last: i64) -> Result<Batch> {
        let from = &self.position.from;
        let running: Vec<_> = from.running.iter().map(|xid| format!("'{xid}'")).collect();
        let holds = !matches!(self.set.wake, Wake::Poll(_));
        let (begin, hold) = if holds { ("", "WITH HOLD") } else { ("BEGIN; ", "") };
        let cursor = format!(
            "{begin}DECLARE emr_catch_up NO SCROLL CURSOR {hold} FOR \
             SELECT pos, xid::text, src, op, old, new, origin, size, highest FROM (\
             SELECT *, pg_catalog.count(*) OVER w AS size, pg_catalog.max(pos) OVER w AS highest FROM {log} \
             WHERE (xid >= '{xmax}'::xid8 OR xid = ANY (ARRAY[{running}]::xid8[])) \
             AND pg_catalog.pg_visible_in_snapshot(xid, '{to}'::pg_catalog.pg_snapshot) \
             WINDOW w AS (PARTITION BY xid)) l WHERE highest > {last} ORDER BY highest, pos",
            log = self.names.own("log"),
            xmax = from.xmax,
            running = running.join(", "),
        );
        self.session.script(&cursor).await.map_err(|error| self.damaged(error))?;
        self.catch_up = Some(CatchUp { to, commits: Commits::default() });
        self.catch_up_on().await
    }

    /// The next piece.
    pub(super) async fn catch_up_on(&mut self) -> Result<Batch> {
        let rows = self.session.query(&format!("FETCH {FETCH} FROM emr_catch_up"), &[]).await?;
        let Some(mut catch_up) = self.catch_up.take() else { return Ok(Batch::default()) };
        for row in &rows {
            let unreadable = || Error::connection_lost("the server gave a transaction id that is none");
            let size = usize::try_from(row.get::<_, i64>(7)).unwrap_or(usize::MAX);
            catch_up.commits.add(LogRow::of(row, 0).ok_or_else(unreadable)?, size, row.get(8));
        }
        let items = self.items(&mut catch_up.commits, Some(&catch_up.to)).await?;
        if rows.len() == FETCH {
            self.catch_up = Some(catch_up);
        } else {
            let end = if matches!(self.set.wake, Wake::Poll(_)) { "COMMIT" } else { "CLOSE emr_catch_up" };
            self.session.script(end).await?;
            self.position = Position { from: catch_up.to, within: None };
        }
        Ok(Batch::new(items, self.token(), true))
    }
}
