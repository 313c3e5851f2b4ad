//! Arrays of one dimension.

use std::borrow::Borrow;
use std::fmt::Write;

use bytes::{BufMut, BytesMut};
use emr_core::{Mismatch, Value};
use tokio_postgres::types::{IsNull, Type};

use super::decode::{self, found};
use super::{Expected, Wire, encode_as};

/// Writes an array in binary. An error says which element was refused.
pub(super) fn encode<'v, V: Borrow<Value<'v>>>(
    len: usize,
    item: impl Fn(usize) -> V,
    element: &Type,
    out: &mut BytesMut,
) -> Result<(), (usize, Expected)> {
    let len_32 = i32::try_from(len).map_err(|_| (0, Expected::new("an array of fewer than 2^31 elements")))?;
    let start = out.len();
    out.put_i32(i32::from(len > 0));
    out.put_i32(0);
    out.put_u32(element.oid());
    if len == 0 {
        return Ok(());
    }
    out.put_i32(len_32);
    out.put_i32(1);
    let wire = Wire::of(element);
    let mut has_null = false;
    for n in 0..len {
        let value = item(n);
        let at = out.len();
        out.put_i32(0);
        let size = match encode_as(value.borrow(), wire, element, out).map_err(|expected| (n, expected))? {
            IsNull::Yes => {
                has_null = true;
                -1
            }
            IsNull::No => {
                i32::try_from(out.len() - at - 4).map_err(|_| (n, Expected::new("a value of less than 2 GiB")))?
            }
        };
        out[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    if has_null {
        out[start + 4..start + 8].copy_from_slice(&1_i32.to_be_bytes());
    }
    Ok(())
}

/// Writes an array as text, for elements whose binary form only the server knows. Every element is
/// quoted, so that none is taken for NULL or for a delimiter.
pub(super) fn encode_text<'v, V: Borrow<Value<'v>>>(
    len: usize,
    item: impl Fn(usize) -> V,
    out: &mut BytesMut,
) -> Result<(), (usize, Expected)> {
    out.put_u8(b'{');
    for n in 0..len {
        if n > 0 {
            out.put_u8(b',');
        }
        match item(n).borrow() {
            Value::Null(_) => out.put_slice(b"NULL"),
            Value::Text(text) | Value::Json(text) if !text.as_bytes().contains(&0) => {
                out.put_u8(b'"');
                for byte in text.bytes() {
                    if matches!(byte, b'"' | b'\\') {
                        out.put_u8(b'\\');
                    }
                    out.put_u8(byte);
                }
                out.put_u8(b'"');
            }
            // Digits need neither quotes nor escapes. Writing to a buffer that grows cannot fail.
            Value::I16(v) => drop(write!(out, "{v}")),
            Value::I32(v) => drop(write!(out, "{v}")),
            Value::I64(v) => drop(write!(out, "{v}")),
            _ => return Err((n, Expected::new("an array of texts without NUL characters"))),
        }
    }
    out.put_u8(b'}');
    Ok(())
}

/// Reads an array. `ty` is the element's type.
pub(super) fn decode<'r>(raw: &'r [u8], element: &Type) -> Result<Value<'r>, Mismatch> {
    let wire = Wire::of(element);
    let malformed = || Mismatch::new("an array", "bytes that are none");
    let mut rest = raw;
    let mut int = || -> Option<i32> {
        let (head, tail) = rest.split_first_chunk()?;
        rest = tail;
        Some(i32::from_be_bytes(*head))
    };
    let (dimensions, _has_null, _oid) =
        (int().ok_or_else(malformed)?, int().ok_or_else(malformed)?, int().ok_or_else(malformed)?);
    if dimensions == 0 {
        return Ok(Value::Array(wire.sql_type(), Vec::new()));
    }
    if dimensions != 1 {
        return Err(Mismatch::new("an array of one dimension", format!("{dimensions} dimensions")));
    }
    let (len, _lower) = (int().ok_or_else(malformed)?, int().ok_or_else(malformed)?);
    let len = usize::try_from(len).map_err(|_| malformed())?;
    // The length comes from outside: what is not there cannot be reserved.
    let mut items = Vec::with_capacity(len.min(rest.len() / 4));
    for _ in 0..len {
        let (size, tail) = rest.split_first_chunk().ok_or_else(malformed)?;
        let size = i32::from_be_bytes(*size);
        rest = tail;
        items.push(match usize::try_from(size) {
            Err(_) => Value::Null(wire.sql_type()),
            Ok(size) => {
                let (cell, tail) = rest.split_at_checked(size).ok_or_else(malformed)?;
                rest = tail;
                decode::scalar(wire, cell).ok_or_else(|| Mismatch::new("an array that EMR knows", found(element)))??
            }
        });
    }
    Ok(Value::Array(wire.sql_type(), items))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::decode::scalar;

    const TYPES: [Type; 16] = [
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::OID,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::NUMERIC,
        Type::TEXT,
        Type::BYTEA,
        Type::UUID,
        Type::DATE,
        Type::TIME,
        Type::TIMESTAMP,
        Type::TIMESTAMPTZ,
        Type::JSONB,
    ];

    proptest! {
        #[test]
        fn no_bytes_of_any_type_panic(raw in prop::collection::vec(any::<u8>(), 0..40), ty in prop::sample::select(&TYPES[..])) {
            let _ = scalar(Wire::of(&ty), &raw);
            let _ = decode(&raw, &ty);
        }

        #[test]
        fn bytes_that_are_nearly_an_array_do_not_panic(
            dimensions in 0..3_i32,
            len in any::<i32>(),
            rest in prop::collection::vec(any::<u8>(), 0..60),
            ty in prop::sample::select(&TYPES[..]),
        ) {
            let head = [dimensions, 0, 25, len, 1];
            let raw: Vec<u8> = head.into_iter().flat_map(i32::to_be_bytes).chain(rest).collect();
            let _ = decode(&raw, &ty);
        }

        #[test]
        fn what_is_written_is_read(texts in prop::collection::vec(prop::option::of("[^\0]{0,12}"), 0..6)) {
            let items: Vec<_> = texts
                .iter()
                .map(|text| text.as_ref().map_or(Value::Null(emr_core::SqlType::Text), |text| Value::Text(text.into())))
                .collect();
            let mut out = BytesMut::new();
            encode(items.len(), |n| &items[n], &Type::TEXT, &mut out).unwrap();
            prop_assert_eq!(decode(&out, &Type::TEXT).unwrap(), Value::Array(emr_core::SqlType::Text, items));
        }
    }
}
