//! COPY: the fastest road in, for many rows that need not come back.

use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use emr_core::{BulkInsert, Done, Result};
use futures_util::SinkExt;
use futures_util::future::try_join;
use tokio_postgres::types::{IsNull, Type};

use super::bulk::{column_names, refused_cell, table_name, types};
use super::query::Failure;
use super::session::{Prepared, Session, TransactionState};
use crate::types::{Refused, Wire, encode_as, is_text_format};

const CHUNK: usize = 64 * 1024;
/// Encoded before COPY begins: a value that is refused in here leaves an open transaction whole.
const AHEAD: usize = 8 * 1024 * 1024;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

impl Session {
    /// `None` if a column has become a type whose binary form only the server knows.
    pub(super) async fn copy(&mut self, rows: &BulkInsert) -> Result<Option<Done>> {
        let describe = self.describe_sql(rows)?;
        let copy = self.made(|out| {
            out.push("COPY ");
            table_name(out, rows);
            out.push(" (");
            column_names(out, rows);
            out.push(") FROM STDIN (FORMAT binary)");
        })?;
        // Described anew each time, in the trip that prepares the COPY: a column that has become another type
        // of the same size would take the bytes of the old one without a word.
        let client = self.client()?;
        let (table, copy) = match try_join(client.prepare(describe.text()), client.prepare(copy.text())).await {
            Ok((table, copy)) => (Arc::new(Prepared::new(table)), copy),
            Err(error) => return Err(self.fail_cell(Failure::before(error), rows)),
        };
        self.keep(&describe, &table);
        if types(&table).any(is_text_format) {
            return Ok(None);
        }
        let mut encoder = Encoder::new(rows, types(&table).map(|ty| (Wire::of(ty), ty.clone())).collect());
        let mut chunks = encoder.chunks(AHEAD).map_err(|refused| refused_cell(rows, &refused))?;
        let copied = async {
            let sink = self.client()?.copy_in::<_, Bytes>(&copy).await;
            let mut sink = pin!(match sink {
                Ok(sink) => sink,
                Err(error) => return Ok(Err(error)),
            });
            loop {
                for chunk in chunks.drain(..) {
                    if let Err(error) = sink.feed(chunk).await {
                        return Ok(Err(error));
                    }
                }
                if encoder.ended {
                    return Ok(sink.as_mut().finish().await);
                }
                // A sink that is dropped tells the server to give up.
                chunks = encoder.chunks(CHUNK).map_err(|refused| refused_cell(rows, &refused))?;
            }
        };
        match copied.await {
            Ok(Ok(rows)) => Ok(Some(Done { rows, ..Done::default() })),
            Ok(Err(error)) => Err(self.fail_cell(Failure::from(error), rows)),
            Err(error) => {
                if self.transaction == TransactionState::Open {
                    self.transaction = TransactionState::Aborted;
                }
                Err(error)
            }
        }
    }
}

/// Writes rows in COPY's binary format.
struct Encoder<'r> {
    rows: &'r BulkInsert,
    types: Vec<(Wire, Type)>,
    next: usize,
    buffer: BytesMut,
    ended: bool,
}

impl<'r> Encoder<'r> {
    fn new(rows: &'r BulkInsert, types: Vec<(Wire, Type)>) -> Self {
        let mut buffer = BytesMut::with_capacity(CHUNK + CHUNK / 8);
        buffer.put_slice(SIGNATURE);
        // No flags, no header extension.
        buffer.put_u64(0);
        Encoder { rows, types, next: 0, buffer, ended: false }
    }

    /// The next rows, as chunks of about `bytes` in all.
    fn chunks(&mut self, bytes: usize) -> Result<Vec<Bytes>, Refused> {
        let mut chunks = Vec::new();
        let mut written = 0;
        while self.next < self.rows.len() && written < bytes {
            self.row()?;
            self.next += 1;
            if self.buffer.len() >= CHUNK {
                written += self.buffer.len();
                chunks.push(self.buffer.split().freeze());
                self.buffer.reserve(CHUNK + CHUNK / 8);
            }
        }
        if self.next == self.rows.len() {
            self.ended = true;
            self.buffer.put_i16(-1);
            chunks.push(self.buffer.split().freeze());
        }
        Ok(chunks)
    }

    fn row(&mut self) -> Result<(), Refused> {
        #[allow(clippy::cast_possible_truncation)] // a table has at most 1,600 columns
        self.buffer.put_u16(self.types.len() as u16);
        for (parameter, ((wire, ty), &column)) in self.types.iter().zip(self.rows.columns.iter()).enumerate() {
            let at = self.buffer.len();
            self.buffer.put_i32(0);
            let refused = |expected| Refused { parameter, row: self.next, expected };
            let size =
                match encode_as(&self.rows.cell(self.next, column), *wire, ty, &mut self.buffer).map_err(refused)? {
                    IsNull::Yes => -1,
                    IsNull::No => i32::try_from(self.buffer.len() - at - 4).unwrap_or(i32::MAX),
                };
            self.buffer[at..at + 4].copy_from_slice(&size.to_be_bytes());
        }
        Ok(())
    }
}
