//! The columns of a trace in the page's format: variable-length integers, deflated, in base64.
//!
//! Times and tasks are stored as differences, which are small. A million events take a few megabytes this way. As JSON
//! they would take thirty.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// Rising numbers, stored as differences.
pub(super) fn rising(values: impl IntoIterator<Item = u64>) -> String {
    let mut bytes = Vec::new();
    let mut last = 0;
    for value in values {
        varint(&mut bytes, value.saturating_sub(last));
        last = last.max(value);
    }
    pack(&bytes)
}

/// Numbers, where any negative number means "absent".
pub(super) fn numbers(values: impl IntoIterator<Item = i64>) -> String {
    let mut bytes = Vec::new();
    for value in values {
        varint(&mut bytes, present(value));
    }
    pack(&bytes)
}

/// Like [`numbers`], but stored as differences, with the sign in the lowest bit.
pub(super) fn steps(values: impl IntoIterator<Item = i64>) -> String {
    let mut bytes = Vec::new();
    let mut last = 0;
    for value in values {
        let value = present(value);
        let step = value.cast_signed() - last;
        varint(&mut bytes, ((step << 1) ^ (step >> 63)).cast_unsigned());
        last += step;
    }
    pack(&bytes)
}

/// Unchanged bytes.
pub(super) fn pack(bytes: &[u8]) -> String {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    STANDARD.encode(packed.expect("writing into memory does not fail"))
}

/// 0 for "absent", otherwise the number plus one. A trace contains no numbers that are too large for a script, because
/// ids have 32 bits.
fn present(value: i64) -> u64 {
    u64::try_from(value).map_or(0, |value| value.min(u64::from(u32::MAX)) + 1)
}

/// Seven bits per byte, lowest first. The top bit means that more bytes follow.
fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn unpacked(text: &str) -> Vec<u64> {
        let mut bytes = Vec::new();
        let packed = STANDARD.decode(text).unwrap();
        flate2::read::DeflateDecoder::new(&packed[..])
            .read_to_end(&mut bytes)
            .unwrap();
        let mut values = Vec::new();
        let (mut value, mut shift) = (0, 0);
        for byte in bytes {
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                values.push(value);
                (value, shift) = (0, 0);
            }
        }
        values
    }

    #[test]
    fn columns_hold_differences() {
        assert_eq!(
            unpacked(&rising([5, 5, 300, 1 << 40])),
            [5, 0, 295, (1 << 40) - 300]
        );
        assert_eq!(unpacked(&numbers([-1, 0, 7])), [0, 1, 8]);
        // From absent (0) to 3, back by 2, and back to absent.
        assert_eq!(unpacked(&steps([3, 1, -1])), [8, 3, 3]);
    }

    #[test]
    fn a_time_that_goes_back_shifts_no_later_event() {
        assert_eq!(unpacked(&rising([10, 4, 12])), [10, 0, 2]);
    }
}
