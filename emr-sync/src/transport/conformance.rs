//! What every [`Transport`] must do. Call [`check`] in a test of yours.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use emr_core::watch::{Item, Token};

use super::{Passed, PassedStream, Transport};

const LONG: Duration = Duration::from_secs(30);

fn item(n: u64) -> Item {
    let token = Token::new("sqlite", Arc::from("conformance"), n.to_string());
    Item::Progress { token, lag: Duration::ZERO }
}

fn number(item: &Item) -> u64 {
    match item {
        Item::Progress { token, .. } => token.position().parse().expect("a number"),
        other => panic!("{other:?} was never published"),
    }
}

async fn next(stream: &mut PassedStream) -> Passed {
    let next = tokio::time::timeout(LONG, poll_fn(|context| stream.as_mut().poll_next(context))).await;
    next.expect("an item in time").expect("the stream goes on").expect("no error")
}

/// Checks a transport that has no subscribers yet.
///
/// # Panics
/// If it does not keep a promise of [`Transport`].
pub async fn check(transport: &dyn Transport) {
    arrives_in_order_for_all(transport).await;
    who_comes_later_sees_what_comes_later(transport).await;
    a_dropped_subscriber_stops_nobody(transport).await;
    a_slow_subscriber_is_told_of_a_gap(transport).await;
}

async fn arrives_in_order_for_all(transport: &dyn Transport) {
    let mut streams = [subscribe(transport).await, subscribe(transport).await, subscribe(transport).await];
    for n in 1..=100 {
        transport.publish(item(n)).await.expect("it is published");
    }
    for stream in &mut streams {
        let mut last = 0;
        while last < 100 {
            match next(stream).await {
                // Once more is no harm; older after newer would be.
                Passed::Item(item) => {
                    let number = number(&item);
                    assert!(number == last + 1 || number == last, "{number} came after {last}");
                    last = number;
                }
                Passed::Gap => panic!("a gap, though all were read at once"),
            }
        }
    }
}

async fn who_comes_later_sees_what_comes_later(transport: &dyn Transport) {
    transport.publish(item(1)).await.expect("it is published");
    let mut stream = subscribe(transport).await;
    transport.publish(item(2)).await.expect("it is published");
    assert_eq!(next(&mut stream).await, Passed::Item(item(2)));
}

async fn a_dropped_subscriber_stops_nobody(transport: &dyn Transport) {
    let dropped = subscribe(transport).await;
    let mut stays = subscribe(transport).await;
    drop(dropped);
    for n in 1..=10 {
        transport.publish(item(n)).await.expect("it is published");
        assert_eq!(next(&mut stays).await, Passed::Item(item(n)));
    }
}

async fn a_slow_subscriber_is_told_of_a_gap(transport: &dyn Transport) {
    const MANY: u64 = 20_000;
    let mut slow = subscribe(transport).await;
    let mut quick = subscribe(transport).await;
    for n in 1..=MANY {
        tokio::time::timeout(LONG, transport.publish(item(n)))
            .await
            .expect("nobody stops the publisher")
            .expect("published");
        assert_eq!(next(&mut quick).await, Passed::Item(item(n)), "the others are not affected");
    }
    let (mut last, mut gap) = (0, false);
    while last < MANY && !gap {
        // A subscriber that lost the last item learns of it with one that comes after.
        transport.publish(item(MANY)).await.expect("it is published");
        match next(&mut slow).await {
            Passed::Item(item) => {
                let number = number(&item);
                assert!(number <= last + 1, "{number} came after {last}, and no gap was told");
                last = number;
            }
            Passed::Gap => gap = true,
        }
    }
}

async fn subscribe(transport: &dyn Transport) -> PassedStream {
    transport.subscribe().await.expect("a subscription")
}
