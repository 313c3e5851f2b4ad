//! A chapter that the book shows and `chapters.rs` does not name would never be compiled, and one that only lies
//! there would never be read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What stands between `before` and the next `after`, wherever it does.
fn all_between(text: &str, before: &str, after: char) -> BTreeSet<String> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).map(str::to_owned).collect()
}

#[test]
fn every_chapter_of_the_book_is_compiled() {
    let shown = all_between(&read("src/SUMMARY.md"), "](", ')');
    let compiled = all_between(&read("chapters.rs"), "include_str!(\"src/", '"');

    assert!(!shown.is_empty());
    assert_eq!(shown, compiled);
}

#[test]
fn every_file_is_a_chapter_of_the_book() {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let mut files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
    files.remove("SUMMARY.md");

    assert_eq!(files, all_between(&read("src/SUMMARY.md"), "](", ')'));
}

#[test]
fn no_code_block_is_left_out_of_the_tests_by_a_word() {
    for chapter in all_between(&read("src/SUMMARY.md"), "](", ')') {
        let text = read(&format!("src/{chapter}"));
        for opening in text.lines().filter(|line| line.starts_with("```") && line.len() > 3) {
            let known =
                ["```rust", "```rust,no_run", "```rust,compile_fail", "```toml", "```text", "```console", "```sql"];
            assert!(known.contains(&opening), "{chapter}: {opening}");
        }
    }
}
