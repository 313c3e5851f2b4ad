//! Names of the objects that an installer makes.

use std::fmt::Write;

use sha1::{Digest, Sha1};

/// The first `digits` hexadecimal digits of the SHA-1 hash of a text; at most 40.
pub fn hex_digest(text: &str, digits: usize) -> String {
    let hash: [u8; 20] = Sha1::digest(text.as_bytes()).into();
    let mut hex = String::with_capacity(40);
    for byte in hash {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(digits);
    hex
}

/// A name of at most `limit` bytes for the object that belongs to `text`: the text itself in small ASCII letters where it
/// fits and nothing of it is lost, else the beginning of it and a hash of all of it. Two texts never share a name (but by
/// a collision of 40 bits).
///
/// ```
/// use emr_core::watch::object_name;
/// assert_eq!(object_name("emr", "billing", 63), "emr_billing");
/// assert!(object_name("emr", "Größe \"x\"", 63).starts_with("emr_gr__e__x__"));
/// assert!(object_name("emr", &"long ".repeat(60), 63).len() <= 63);
/// ```
pub fn object_name(start: &str, text: &str, limit: usize) -> String {
    const HASH: usize = 10;
    let plain: String = text
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '_' => c,
            'A'..='Z' => c.to_ascii_lowercase(),
            _ => '_',
        })
        .collect();
    let name = format!("{start}_{plain}");
    if plain == text && name.len() <= limit {
        return name;
    }
    // One underscore and the hash; all characters are of one byte now.
    let kept = limit.saturating_sub(HASH + 1).min(name.len());
    format!("{}_{}", &name[..kept], hex_digest(text, HASH))
}
