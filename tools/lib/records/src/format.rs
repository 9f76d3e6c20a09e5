//! Detects the encoding of an input by its first bytes, and names other formats, with a way to convert them.

use crate::{Error, Location, Result, npy::MAGIC};
use files::Input;

/// The three encodings, as detected: without the delimiter of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Ndjson,
    Npy,
    Csv,
}

/// UTF-8's byte order mark, which is skipped.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// Most white space before the first row within which CSV is distinguished from NDJSON; beyond, it is NDJSON.
const MAX_BLANK: usize = 64 << 10;
/// The longest of the magic numbers below.
const MAGIC_BYTES: usize = 8;

/// Formats other than records: magic number, name, remedy.
const OTHERS: [(&[u8], &str, &str); 21] = [
    (b"PAR1", "a Parquet file", "pandas.read_parquet(FILE).to_csv('rows.csv', index=False)"),
    (b"PK\x03\x04", "a zip archive, as .npz and .xlsx are", "save one array with np.save, or the sheet as CSV"),
    (b"\x1f\x8b", "compressed with gzip", "gunzip -c FILE | ..."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstd -dc FILE | ..."),
    (b"BZh", "compressed with bzip2", "bunzip2 -c FILE | ..."),
    (b"\xfd7zXZ", "compressed with xz", "xz -dc FILE | ..."),
    (b"ARROW1", "an Arrow (Feather) file", "pandas.read_feather(FILE).to_csv('rows.csv', index=False)"),
    (b"\x89HDF", "an HDF5 file", "save the data set with np.save"),
    (b"SQLite f", "an SQLite database", "sqlite3 -header -csv FILE 'select * from TABLE' > rows.csv"),
    (b"\xd0\xcf\x11\xe0", "an Excel 97 workbook", "save the sheet as CSV"),
    (b"\x80\x02", "a Python pickle", "save the array with np.save, or the table with to_csv"),
    (b"\x80\x03", "a Python pickle", "save the array with np.save, or the table with to_csv"),
    (b"\x80\x04", "a Python pickle", "save the array with np.save, or the table with to_csv"),
    (b"\x80\x05", "a Python pickle", "save the array with np.save, or the table with to_csv"),
    (b"\xff\xfe", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 FILE"),
    (b"\xfe\xff", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 FILE"),
    (b"\xff\xd8\xff", "a JPEG image", "fetch-data makes rows of images"),
    (b"\x89PNG", "a PNG image", "fetch-data makes rows of images"),
    (b"\x7fELF", "a program", "name a file of rows"),
    (b"%PDF", "a PDF document", "save its table as CSV"),
    (b"[", "a JSON array", "one object a line: jq -c '.[]' FILE"),
];

const HTML: (&str, &str) = ("HTML or XML", "is it the page of a download that failed?");
const UTF16: (&str, &str) = ("UTF-16 or UTF-32 text", "iconv -f UTF-16 -t UTF-8 FILE");
const JSON_ARRAY: (&str, &str) = ("a JSON array", "one object a line: jq -c '.[]' FILE");

fn other(input: &Input, (format, remedy): (&'static str, &'static str)) -> Error {
    Location::whole(input.shared_name()).error(Error::OtherFormat { format, remedy })
}

/// Detects the encoding, and skips a byte order mark.
///
/// # Errors
/// When the input is empty or in another format, which is named with what to do.
pub(crate) fn sniff(input: &mut Input) -> Result<Format> {
    // One byte is enough for most; more would have to be waited for on a terminal or a slow pipe.
    if input.peek(1)? == [BOM[0]] && input.peek(BOM.len())? == BOM {
        input.skip(BOM.len());
    }
    let Some(&first) = input.peek(1)?.first() else {
        return Err(Location::whole(input.shared_name()).error(Error::NoRows(": the input is empty")));
    };
    match first {
        b'{' if input.peek(2)?.get(1) == Some(&0) => return Err(other(input, UTF16)),
        b'{' => return Ok(Format::Ndjson),
        b' ' | b'\t' | b'\r' | b'\n' => return after_blank(input),
        _ => {}
    }
    let may_be_other = OTHERS.iter().any(|(magic, ..)| magic[0] == first) || first == MAGIC[0] || first == b'<';
    let start = input.peek(if may_be_other { MAGIC_BYTES } else { 1 })?.to_vec();
    let begins = |magic: &[u8]| start.starts_with(&magic[..magic.len().min(start.len())]);
    if begins(MAGIC) {
        return Ok(Format::Npy);
    }
    if let Some((_, format, remedy)) = OTHERS.iter().find(|(magic, ..)| start.starts_with(magic)) {
        return Err(other(input, (format, remedy)));
    }
    if first == b'<' {
        return Err(other(input, HTML));
    }
    // Text has no zeros, but in UTF-16 and UTF-32 every second or fourth byte is one.
    if input.peek(2)?.get(1) == Some(&0) {
        return Err(other(input, UTF16));
    }
    Ok(Format::Csv)
}

/// The encoding of an input that begins with white space: NDJSON, or CSV after blank lines.
fn after_blank(input: &mut Input) -> Result<Format> {
    for count in 2..=MAX_BLANK {
        let start = input.peek(count)?;
        match start.get(count - 1) {
            None => break,
            Some(byte) if byte.is_ascii_whitespace() => {}
            Some(b'{') => break,
            Some(b'[') => return Err(other(input, JSON_ARRAY)),
            Some(b'<') => return Err(other(input, HTML)),
            Some(_) => return Ok(Format::Csv),
        }
    }
    Ok(Format::Ndjson)
}
