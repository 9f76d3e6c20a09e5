//! Programs: pipegrad, its tools, DVC and git.

use super::Check;
use crate::{locate, programs, tools};
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What every tool's version must be.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A tool that only some builds have.
const OPTIONAL: &str = "trt-build";
/// The oldest DVC that projects are tested with: major and minor version.
const DVC: (u32, u32) = (3, 67);
/// What to do about git's identity.
const IDENTIFY: &str = "git config --global user.name 'YOUR NAME' && git config --global user.email YOU@EXAMPLE.ORG";

pub fn pipegrad() -> Check {
    let check = Check::ok("pipegrad").version(VERSION);
    match env::current_exe() {
        Ok(path) => check.at(path),
        Err(_) => check,
    }
}

/// The tools that are well, in one line, and each of the others in its own; without one that only some builds have.
pub fn tools() -> Vec<Check> {
    let is_there = |name: &&str| *name != OPTIONAL || path_of(name).is_some();
    let checks = tools::names().filter(is_there).map(tool);
    let (good, bad): (Vec<_>, Vec<_>) = checks.partition(|check| check.remedy.is_none());
    if good.is_empty() {
        return bad;
    }
    let folders: Vec<_> = good.iter().filter_map(|check| check.path.as_deref()?.parent()).collect();
    let is_one = folders.windows(2).all(|pair| pair[0] == pair[1]);
    let check = Check::ok("tools").version(VERSION).about(format!("{} tools", good.len()));
    let check = match folders.first() {
        Some(folder) if is_one => check.at(*folder),
        _ => check.about(format!("{} tools, in several folders of PATH", good.len())),
    };
    std::iter::once(check).chain(bad).collect()
}

/// The program of a tool beside pipegrad, or else on PATH.
fn path_of(name: &str) -> Option<PathBuf> {
    Some(locate(name)).filter(|path| path.is_absolute()).or_else(|| programs::find(name))
}

pub fn tool(name: &str) -> Check {
    let Some(path) = path_of(name) else {
        return match name {
            OPTIONAL => {
                Check::missing(name, "only some builds have it", "cargo build --release -p trt-build, in the source")
            }
            _ => Check::missing(
                name,
                "neither beside pipegrad nor on PATH",
                "install pipegrad again, with all its tools",
            ),
        };
    };
    match answer(&path, "--version") {
        Ok(said) if said == format!("{name} {VERSION}") => Check::ok(name).version(VERSION).at(path),
        Ok(said) => {
            let version = said.strip_prefix(name).map(str::trim).filter(|version| !version.is_empty());
            let check = Check::wrong(
                name,
                format!("not of version {VERSION}, as pipegrad is"),
                "install all tools of one release, and remove the others from PATH",
            );
            check.version(version.unwrap_or(&said)).at(path)
        }
        Err(why) => Check::wrong(name, why, "install pipegrad again, for this machine").at(path),
    }
}

/// What to do about DVC, so that it is on `PATH` too.
fn install_dvc() -> String {
    let activate = if dylib::in_venv() { "" } else { " && . .venv/bin/activate" };
    format!("{}{activate}", dylib::pip_install("'dvc>=3.67,<4'"))
}

pub fn dvc() -> Check {
    let Some(path) = programs::find("dvc") else { return Check::missing("dvc", "not on PATH", install_dvc()) };
    let version = match answer(&path, "--version") {
        Ok(version) => version,
        Err(why) => return Check::wrong("dvc", why, install_dvc()).at(path),
    };
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let is_new = match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => major == DVC.0 && minor >= DVC.1,
        _ => false,
    };
    let check = match is_new {
        true => Check::ok("dvc"),
        false => {
            Check::wrong("dvc", format!("expected {}.{} or newer, below {}", DVC.0, DVC.1, DVC.0 + 1), install_dvc())
        }
    };
    check.version(version).at(path)
}

pub fn git() -> Check {
    let (check, path) = of_the_system("git", "git version ");
    let Some(path) = path else { return check };
    // Without a name and an address, `git commit` fails, and so do experiments with DVC.
    let identity = Command::new(&path).args(["var", "GIT_COMMITTER_IDENT"]).stdin(Stdio::null()).output();
    if identity.is_ok_and(|output| output.status.success()) {
        return check;
    }
    let wrong = Check::wrong("git", "it has no name and e-mail address for commits", IDENTIFY);
    Check { version: check.version, ..wrong }.at(path)
}

pub fn make() -> Check {
    of_the_system("make", "GNU Make ").0
}

/// A program that the system's package manager installs, and its path if it runs; `prefix` stands before its version.
fn of_the_system(name: &str, prefix: &str) -> (Check, Option<PathBuf>) {
    let remedy = format!("install it by the system's package manager (Debian: apt-get install {name})");
    let Some(path) = programs::find(name) else { return (Check::missing(name, "not on PATH", remedy), None) };
    match answer(&path, "--version") {
        Ok(said) => (Check::ok(name).version(said.trim_start_matches(prefix)).at(path.clone()), Some(path)),
        Err(why) => (Check::wrong(name, why, remedy).at(path), None),
    }
}

/// The first line that a program prints.
///
/// # Errors
/// Why there is none, in one line.
fn answer(path: &Path, flag: &str) -> Result<String, String> {
    let output = Command::new(path).arg(flag).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let first = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().trim().to_owned();
    let said = first(&output.stdout);
    if output.status.success() && !said.is_empty() {
        return Ok(said);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    let last = error.lines().rev().find(|line| !line.trim().is_empty()).map(str::trim);
    Err(format!("{flag} fails: {}", last.map_or_else(|| output.status.to_string(), str::to_owned)))
}
