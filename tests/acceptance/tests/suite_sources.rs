//! What the cases of the suite must not do behind the tool's back.

use std::path::Path;

/// The files of the suite, without the harness itself.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "harness" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "harness.rs" {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// A refusal that is only looked at leaves its rows covered on a backend that refuses them.
#[test]
fn refusals_are_asserted_by_the_helper_that_records_them() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../suite"), &mut files);
    assert!(files.len() > 20, "where is the suite?");
    for (path, text) in files {
        for (n, line) in text.lines().enumerate() {
            let looked_at = line.contains("ErrorKind::Unsupported") || line.contains("is_unsupported()");
            assert!(!looked_at, "{path}:{}: use assert_unsupported or assert_unsupported_in_part", n + 1);
        }
    }
}
