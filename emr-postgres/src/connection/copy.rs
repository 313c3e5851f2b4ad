//! COPY: the fastest road in, for many rows that need not come back.

use std::pin::pin;

use bytes::{BufMut, Bytes, BytesMut};
use emr_core::{BulkInsert, Done, Result};
use futures_util::SinkExt;
use tokio_postgres::Column;
use tokio_postgres::types::{IsNull, Type};

use super::bulk::{column_names, table_name};
use super::query::Failure;
use super::session::{Prepared, Session, TransactionState};
use crate::types::{Refused, Wire, encode_as};

const CHUNK: usize = 64 * 1024;
/// Encoded before COPY begins: a value that is refused in here leaves an open transaction whole.
const AHEAD: usize = 8 * 1024 * 1024;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

impl Session {
    pub(super) async fn copy(&mut self, rows: &BulkInsert, table: &Prepared) -> Result<Done> {
        let sql = self.made(|out| {
            out.push("COPY ");
            table_name(out, rows);
            out.push(" (");
            column_names(out, rows);
            out.push(") FROM STDIN (FORMAT binary)");
        })?;
        let (prepared, _) = self.prepared(&sql).await?;
        let mut encoder = Encoder::new(rows, table.statement.columns());
        let refused = |refused: &Refused| {
            let cell = rows.cell(refused.row, rows.columns[refused.parameter]);
            let (schema, column) = (rows.schema, &rows.schema.columns[rows.columns[refused.parameter]]);
            let found = if column.redact { "a redacted value".to_owned() } else { cell.describe() };
            emr_core::Error::new(emr_core::ErrorKind::Encode {
                table: schema.table.to_owned(),
                column: column.name.to_owned(),
                expected: refused.expected.0.clone().into_owned(),
                found,
            })
        };
        let mut chunks = encoder.chunks(AHEAD).map_err(|r| refused(&r))?;
        let copied = async {
            let sink = self.client()?.copy_in::<_, Bytes>(&prepared.statement).await;
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
                chunks = encoder.chunks(CHUNK).map_err(|r| refused(&r))?;
            }
        };
        match copied.await {
            Ok(Ok(rows)) => Ok(Done { rows, ..Done::default() }),
            Ok(Err(error)) => Err(self.fail_cell(Failure::from(error), &sql, rows)),
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
    fn new(rows: &'r BulkInsert, columns: &[Column]) -> Self {
        let mut buffer = BytesMut::with_capacity(CHUNK + CHUNK / 8);
        buffer.put_slice(SIGNATURE);
        // No flags, no header extension.
        buffer.put_u64(0);
        let types = columns.iter().map(|column| (Wire::of(column.type_()), column.type_().clone())).collect();
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
