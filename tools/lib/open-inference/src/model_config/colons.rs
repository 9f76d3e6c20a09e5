//! Lists of messages without a colon (`input [ { … } ]`): the text format has them, and most `config.pbtxt` files too;
//! prost-reflect wants `input: [ { … } ]`.

/// A text whose lists of messages have a colon.
pub(super) struct Colons {
    /// The text.
    pub text: String,
    /// Where colons were inserted: offsets in the new text, ascending.
    inserted: Vec<usize>,
}

impl Colons {
    /// Inserts the colons that `text` omits. A list of scalars needs its own colon, as with Google's parser.
    pub fn insert(text: &str) -> Self {
        let (mut out, mut inserted) = (String::with_capacity(text.len()), Vec::new());
        let mut after_name = false;
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' | '\'' => string_length(rest, first),
                '#' => rest.find('\n').unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            let (token, tail) = rest.split_at(length);
            if first == '[' && after_name && opens_message(tail) {
                inserted.push(out.len());
                out.push(':');
            }
            if first != '#' && !first.is_whitespace() {
                after_name = first == '_' || first.is_ascii_alphanumeric();
            }
            out.push_str(token);
            rest = tail;
        }
        Self { text: out, inserted }
    }

    /// The offset in the original text of an offset in the new one.
    pub fn original(&self, offset: usize) -> usize {
        offset - self.inserted.partition_point(|&colon| colon < offset)
    }
}

/// Bytes of the string literal at the start of `text`, quotes included; all of `text` where it does not end.
fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, char)| {
        let ends = *char == quote && !escaped;
        escaped = *char == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(index, _)| index + quote.len_utf8())
}

/// Whether the first token, comments aside, opens a message, or closes an empty list.
fn opens_message(mut text: &str) -> bool {
    loop {
        text = text.trim_start();
        match text.strip_prefix('#') {
            Some(comment) => text = comment.split_once('\n').map_or("", |(_, after)| after),
            None => return text.starts_with(['{', '<', ']']),
        }
    }
}
