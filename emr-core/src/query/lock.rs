//! Row locks.

/// A row lock: how strong, and what to do when it is taken. Held until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lock {
    /// What others may still do.
    pub strength: LockStrength,
    /// What to do when somebody else holds the row.
    pub wait: LockWait,
}

/// How strong a row lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockStrength {
    /// Nobody else may write or lock the row.
    Update,
    /// As `Update`, but rows that point here by foreign key may be written (PostgreSQL; elsewhere
    /// `Update`).
    NoKeyUpdate,
    /// Others may read and share-lock.
    Share,
    /// Others may do all but change the key or delete (PostgreSQL; elsewhere `Share`).
    KeyShare,
}

/// What a locking query does with rows that are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockWait {
    /// Wait, within the call's timeout.
    Wait,
    /// Fail at once with [`LockNotAvailable`](crate::ErrorKind::LockNotAvailable).
    NoWait,
    /// Leave them out.
    SkipLocked,
}

impl Lock {
    /// `FOR UPDATE`.
    pub const UPDATE: Lock = Lock { strength: LockStrength::Update, wait: LockWait::Wait };
    /// `FOR NO KEY UPDATE`.
    pub const NO_KEY_UPDATE: Lock = Lock { strength: LockStrength::NoKeyUpdate, wait: LockWait::Wait };
    /// `FOR SHARE`.
    pub const SHARE: Lock = Lock { strength: LockStrength::Share, wait: LockWait::Wait };
    /// `FOR KEY SHARE`.
    pub const KEY_SHARE: Lock = Lock { strength: LockStrength::KeyShare, wait: LockWait::Wait };

    /// Fails at once instead of waiting.
    #[must_use]
    pub fn nowait(mut self) -> Lock {
        self.wait = LockWait::NoWait;
        self
    }

    /// Leaves locked rows out.
    #[must_use]
    pub fn skip_locked(mut self) -> Lock {
        self.wait = LockWait::SkipLocked;
        self
    }
}
