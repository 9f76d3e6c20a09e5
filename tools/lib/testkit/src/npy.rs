//! NumPy's files, by its description of format version 1.0: magic, length of the header, header, data.

/// A file of one dimension: `rows` elements of dtype `descr` (a Python literal, `'<f4'` with its quotes or a list of
/// fields), little-endian `data`.
pub fn file(descr: &str, rows: usize, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({rows},), }}");
    // Spaces and a newline align the data to 64 bytes.
    let width = (10 + header.len() + 1).next_multiple_of(64) - 11;
    let header = format!("{header:<width$}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

/// What is behind the header of a file.
pub fn data(file: &[u8]) -> &[u8] {
    assert_eq!(file[..8], *b"\x93NUMPY\x01\x00");
    let header = usize::from(u16::from_le_bytes([file[8], file[9]]));
    &file[10 + header..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_numpy_saves() {
        // numpy.save(f, numpy.arange(3, dtype="<i4")) with NumPy 2.
        let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        expected.extend(format!("{:<117}\n", "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }").bytes());
        expected.extend([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(file("'<i4'", 3, &expected[128..]), expected[..]);
        assert_eq!(data(&expected), &expected[128..]);
    }
}
