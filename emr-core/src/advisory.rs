//! Locks that are names and no rows.

use sha1::{Digest, Sha1};

/// The number that stands for the name of an advisory lock: the first eight bytes of its SHA-1 hash, the highest first.
/// `BitcrowdEcto` counts the same way, so programs of both sorts exclude each other. For SQL of one's own; the
/// transaction's own methods take names.
///
/// ```
/// assert_eq!(emr_core::advisory_key("foo"), 859_844_163_007_352_795);
/// ```
#[allow(clippy::many_single_char_names)] // eight bytes
pub fn advisory_key(name: &str) -> i64 {
    let hash: [u8; 20] = Sha1::digest(name.as_bytes()).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// A lock that a transaction asks for, as adapters see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdvisoryLock {
    /// The name as the program gave it, for engines whose locks have names.
    pub name: Box<str>,
    /// What stands for the name on engines whose locks are numbers: [`advisory_key`].
    pub key: i64,
    /// Whether others may hold it at the same time, if they share it too.
    pub shared: bool,
    /// Whether to wait until it is free.
    pub wait: bool,
}

impl AdvisoryLock {
    /// The lock of this name, for one holder, waited for.
    pub fn named(name: &str) -> Self {
        AdvisoryLock { name: name.into(), key: advisory_key(name), shared: false, wait: true }
    }

    /// The same, held together with others that share it.
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// The same, without waiting.
    pub fn nowait(mut self) -> Self {
        self.wait = false;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::advisory_key;

    #[test]
    fn keys_are_those_of_bitcrowd_ecto() {
        assert_eq!(advisory_key("foo"), 859_844_163_007_352_795);
        assert_eq!(advisory_key("bar"), 7_119_547_805_428_424_933);
        assert_eq!(advisory_key(""), -2_721_964_255_587_120_371);
    }
}
