//! A stand-in for `trt-run`.

use crate::Folder;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};
use trt_protocol::{Answer, PROGRAM, frame};

/// Writes a shell script, `trt-run`, into `folder` and returns its path. In `script`, `frame N` sends the Nth of `answers`, each
/// with its payload.
pub fn trt_run(folder: &Folder, script: &str, answers: &[(Answer, &[u8])]) -> PathBuf {
    for (index, (answer, payload)) in answers.iter().enumerate() {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, answer, payload).unwrap();
        folder.write(format!("frame-{index}"), bytes);
    }
    let here = folder.display();
    let program = folder.write(PROGRAM, format!("#!/bin/sh\nframe() {{ cat {here}/frame-$1; }}\n{script}\n"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}
