//! What comes of a watcher, one after the other: for all tests of watchers, those of the adapters among them.

use std::sync::Arc;
use std::time::Duration;

use emr_core::Value;
use emr_core::watch::{Changes, Event, Item, Txn};

/// The next item that is not the mere passing of time. Waits long: the machine may be busy.
pub(crate) async fn next_item(changes: &mut Changes) -> Item {
    let next = async {
        loop {
            match changes.recv().await.expect("the stream goes on").expect("no error") {
                Item::Progress { .. } => {}
                item => return item,
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), next).await.expect("an item within a minute")
}

/// The next commit.
pub(crate) async fn next_txn(changes: &mut Changes) -> Arc<Txn> {
    match next_item(changes).await {
        Item::Txn(txn) => txn,
        other => panic!("a commit was to come, not {other:?}"),
    }
}

pub(crate) fn int(event: &Event, column: &str) -> i64 {
    match event.value(column) {
        Some(Value::I64(value)) => *value,
        other => panic!("{column} is {other:?}"),
    }
}
