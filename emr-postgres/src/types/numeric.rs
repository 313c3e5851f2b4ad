//! PostgreSQL's numeric in binary: groups of four decimal digits, a weight, a sign and a scale.

use bytes::{BufMut, BytesMut};
use rust_decimal::Decimal;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
/// 96 bits: what a [`Decimal`] holds.
const LARGEST: u128 = (1 << 96) - 1;
const MAX_SCALE: i32 = 28;

/// Writes a decimal with its scale.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // at most 10 groups of 4 digits
pub(super) fn encode(decimal: Decimal, out: &mut BytesMut) {
    let scale = decimal.scale();
    // Fraction digits stand in whole groups, so the last one is filled up with zeros.
    let padding = (4 - scale % 4) % 4;
    let mut rest = decimal.mantissa().unsigned_abs() * 10_u128.pow(padding);
    let fraction_groups = ((scale + padding) / 4) as i16;

    let mut groups = [0_u16; 12];
    let mut len = 0;
    while rest > 0 {
        groups[len] = (rest % 10_000) as u16;
        rest /= 10_000;
        len += 1;
    }
    let trailing_zeros = groups[..len].iter().take_while(|group| **group == 0).count();
    let sign = if decimal.is_sign_negative() && len > 0 { NEGATIVE } else { POSITIVE };

    out.put_i16((len - trailing_zeros) as i16);
    out.put_i16(if len == 0 { 0 } else { len as i16 - 1 - fraction_groups });
    out.put_u16(sign);
    out.put_u16(scale as u16);
    for group in groups[trailing_zeros..len].iter().rev() {
        out.put_u16(*group);
    }
}

/// Reads a numeric with its scale, as far as 28 digits go. `None` for what a [`Decimal`] cannot hold
/// exactly: NaN, the infinities, too many digits.
pub(super) fn decode(raw: &[u8]) -> Option<Decimal> {
    let (header, digits) = raw.split_at_checked(8)?;
    let field = |n: usize| u16::from_be_bytes([header[n * 2], header[n * 2 + 1]]);
    let groups = usize::from(field(0));
    let weight = i32::from(field(1).cast_signed());
    let negative = match field(2) {
        POSITIVE => false,
        NEGATIVE => true,
        _ => return None,
    };
    let wanted = i32::from(field(3)).min(MAX_SCALE);
    let (digits, excess) = digits.as_chunks::<2>();
    if digits.len() != groups || !excess.is_empty() {
        return None;
    }

    // The server strips zero groups at both ends: what overflows here has more digits than fit.
    let mut mantissa = digits
        .iter()
        .try_fold(0_u128, |sum, group| sum.checked_mul(10_000)?.checked_add(u16::from_be_bytes(*group).into()))?;
    let mut scale = (i32::try_from(groups).ok()? - 1 - weight) * 4;
    if mantissa == 0 {
        scale = wanted;
    }
    if !(-MAX_SCALE - 4..=MAX_SCALE + 4).contains(&scale) {
        return None;
    }
    while scale < 0 {
        mantissa = mantissa.checked_mul(10)?;
        scale += 1;
    }
    // The last group may be filled up with zeros that are no digits of the number.
    while scale > wanted || (mantissa > LARGEST && scale > 0) {
        if !mantissa.is_multiple_of(10) {
            return None;
        }
        mantissa /= 10;
        scale -= 1;
    }
    while scale < wanted && mantissa <= LARGEST / 10 {
        mantissa *= 10;
        scale += 1;
    }
    let mantissa = i128::try_from(mantissa).ok()?;
    Decimal::try_from_i128_with_scale(if negative { -mantissa } else { mantissa }, u32::try_from(scale).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use bytes::BytesMut;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    fn round_trip(decimal: Decimal) -> Option<Decimal> {
        let mut out = BytesMut::new();
        encode(decimal, &mut out);
        decode(&out)
    }

    #[test]
    fn the_wire_form_is_the_documented_one() {
        let mut out = BytesMut::new();
        encode("-12345.6700".parse().unwrap(), &mut out);
        // Three groups (1, 2345, 6700), the first one worth 10000, negative, four digits after the point.
        assert_eq!(&out[..], [0, 3, 0, 1, 0x40, 0, 0, 4, 0, 1, 0x09, 0x29, 0x1a, 0x2c]);
    }

    #[test]
    fn what_is_no_number_and_what_is_too_long_is_none() {
        assert_eq!(decode(&[0, 0, 0, 0, 0xc0, 0, 0, 0]), None);
        assert_eq!(decode(&[0, 1, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(decode(&[]), None);
        // 10^40
        assert_eq!(decode(&[0, 1, 0, 10, 0, 0, 0, 0, 0, 1]), None);
        // 10^-40
        assert_eq!(decode(&[0, 1, 0xff, 0xf6, 0, 0, 0, 40, 0, 1]), None);
    }

    proptest! {
        #[test]
        fn every_decimal_comes_back_with_its_scale(mantissa in -(1_i128 << 96) + 1..1_i128 << 96, scale in 0_u32..=28) {
            let decimal = Decimal::from_i128_with_scale(mantissa, scale);
            let back = round_trip(decimal).unwrap();
            prop_assert_eq!(back, decimal);
            prop_assert_eq!(back.scale(), decimal.scale());
        }

        #[test]
        fn no_bytes_panic(raw in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&raw);
        }
    }
}
