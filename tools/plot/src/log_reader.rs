//! Reading a run log line by line, as it grows.

use crate::{
    limited_read::{Line, MAX_LINE, read_line},
    log::Log,
    run::Run,
};
use events::Event;
use files::Error;
use std::io::BufRead;

/// Called with the log after each event.
pub type Watch<'a> = &'a mut dyn FnMut(&Log) -> anyhow::Result<()>;

/// Reads a log to its end, or to its first damaged line, which is noted. `first` is the event of line `number`, which was
/// read already.
pub fn read(
    name: &str,
    first: Option<Event>,
    mut number: u64,
    mut bytes: impl BufRead,
    watch: Watch,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<Run>> {
    let mut log = Log::default();
    first.iter().for_each(|event| log.add(event));
    let mut line = Vec::new();
    let mut damage = None;
    loop {
        number += 1;
        let read = read_line(&mut bytes, &mut line, MAX_LINE).map_err(|e| Error::io(name, e))?;
        if read == Line::End {
            break;
        }
        if line.trim_ascii().is_empty() || damage.is_some() {
            // The rest is read too: if `plot` closed the pipe, `train` would log to a broken one.
            continue;
        }
        if read == Line::TooLong {
            let longest = MAX_LINE >> 20;
            damage = Some(format!("{name}:{number}: the line is longer than {longest} MiB; drawn up to there"));
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        match Event::from_line(&text) {
            Ok(Some(event)) => {
                log.add(&event);
                watch(&log)?;
            }
            Ok(None) => {}
            Err(error) => damage = Some(format!("{name}:{number}: {error}; drawn up to there")),
        }
    }
    if damage.is_none() && !log.ended() {
        damage = Some(format!("{name}: no end event: the run was cut off, or goes on; drawn as far as it is there"));
    }
    notes.extend(damage);
    Ok(log.runs())
}
