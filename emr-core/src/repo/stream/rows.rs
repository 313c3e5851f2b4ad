//! The rows of batches one by one.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;

use crate::error::Result;

/// Rows that are there cost no more than a queue's end: the future that fetches is polled once per batch.
pub(super) struct Rows<'a, T> {
    there: VecDeque<T>,
    batches: BoxStream<'a, Result<VecDeque<T>>>,
}

impl<'a, T> Rows<'a, T> {
    /// The rows of batches, of which none is empty. The stream of them must go on to end once it has ended.
    pub(super) fn of(batches: impl Stream<Item = Result<VecDeque<T>>> + Send + 'a) -> Self {
        Rows { there: VecDeque::new(), batches: batches.boxed() }
    }
}

// The rows are moved out, never pinned.
impl<T> Unpin for Rows<'_, T> {}

impl<T> Stream for Rows<'_, T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = self.get_mut();
        loop {
            if let Some(row) = this.there.pop_front() {
                return Poll::Ready(Some(Ok(row)));
            }
            // A batch that was used up makes room for the next one.
            this.there = VecDeque::new();
            match ready!(this.batches.poll_next_unpin(cx)) {
                Some(Ok(batch)) => this.there = batch,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}
