//! Row locks of a query.

use crate::dialect::LockStyle;
use crate::query::{Lock, LockStrength, LockWait};
use crate::sql::SqlBuilder;

/// Writes the lock where it stands at the end of the statement, and refuses what the server cannot lock.
pub(super) fn lock_suffix(out: &mut SqlBuilder<'_>, lock: Option<Lock>, joined: bool) {
    let Some(lock) = lock else { return };
    check(out, lock);
    if out.dialect().lock_style() != LockStyle::Suffix {
        return;
    }
    let key_locks = out.capabilities().key_locks;
    let strength = match lock.strength {
        LockStrength::NoKeyUpdate if key_locks => " FOR NO KEY UPDATE",
        LockStrength::Update | LockStrength::NoKeyUpdate => " FOR UPDATE",
        LockStrength::KeyShare if key_locks => " FOR KEY SHARE",
        LockStrength::Share | LockStrength::KeyShare => out.dialect().share_lock(),
    };
    out.push(strength);
    if joined && out.capabilities().lock_of {
        out.push(" OF t0");
    }
    out.push(match lock.wait {
        LockWait::Wait => "",
        LockWait::NoWait => " NOWAIT",
        LockWait::SkipLocked => " SKIP LOCKED",
    });
}

/// Writes the lock where it stands behind the table.
pub(super) fn lock_hint(out: &mut SqlBuilder<'_>, lock: Option<Lock>) {
    let Some(lock) = lock else { return };
    if out.dialect().lock_style() != LockStyle::TableHint {
        return;
    }
    out.push(match lock.strength {
        LockStrength::Update | LockStrength::NoKeyUpdate => " WITH (UPDLOCK, ROWLOCK",
        LockStrength::Share | LockStrength::KeyShare => " WITH (REPEATABLEREAD, ROWLOCK",
    });
    out.push(match lock.wait {
        LockWait::Wait => ")",
        LockWait::NoWait => ", NOWAIT)",
        LockWait::SkipLocked => ", READPAST)",
    });
}

fn check(out: &mut SqlBuilder<'_>, lock: Lock) {
    let capabilities = out.capabilities();
    if !capabilities.row_locks {
        out.unsupported("row locks");
    } else if lock.wait == LockWait::SkipLocked && !capabilities.skip_locked {
        out.unsupported("locks that skip locked rows");
    } else if lock.wait == LockWait::NoWait && !capabilities.nowait {
        out.unsupported("locks that do not wait");
    }
}
