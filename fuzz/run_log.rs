//! Targets of the run log and of what `track` keeps of it: no panic, and what each target asserts beside.

use events::Event;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// A line that is an event is written as one that reads back as the same.
pub fn events(text: &str) {
    for line in text.lines() {
        let Ok(Some(event)) = Event::from_line(line) else { continue };
        let written = event.to_line();
        assert_eq!(Event::from_line(&written).expect("what was written is read"), Some(event), "{written}");
    }
}

/// The files of a spool, cut at lines of `---`: state, folders, events. `track --resume` sends them to the server at
/// `uri`, or says in one line for each problem why not, and then keeps the events.
pub fn spool(text: &str, track: &Path, uri: &str, config: &str, folder: &Path) {
    let spool = folder.join("spool");
    fs::create_dir_all(&spool).expect("the folder can be made");
    let mut parts = text.split("\n---\n");
    let mut part = || parts.next().unwrap_or("");
    let (state, folders, events) = (part(), part(), part());
    let files =
        [("state.json", state), ("folders.ndjson", folders), ("events.ndjson", events), ("settings.yaml", config)];
    for (name, content) in files {
        fs::write(spool.join(name), content).expect("the file can be written");
    }
    let mut command = Command::new(track);
    command.current_dir(folder).args(["--resume", "spool", "wait=0", "interval=0.01", &format!("uri={uri}")]);
    let output = command.env("NO_PROXY", "*").stdin(Stdio::null()).output().expect("track runs");
    let error = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => assert!(!spool.exists() && events.contains("\"start\""), "{text}\n{error}"),
        Some(2) => {
            assert!(error.lines().all(|line| line.starts_with("track: ")), "{text}\n{error}");
            let kept = fs::read_to_string(spool.join("events.ndjson")).expect("the events are kept");
            assert_eq!(kept, events, "{error}");
        }
        other => panic!("exit status {other:?}: {error}\n{text}"),
    }
}
