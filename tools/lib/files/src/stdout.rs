//! Standard output as a file, without std's line buffering, which would search every block for newlines; and whether it
//! was closed at start-up.

use std::{fs::File, io};

/// # Errors
/// When standard output was closed at start-up, or cannot be duplicated.
#[cfg(unix)]
pub(crate) fn open() -> io::Result<File> {
    use std::os::fd::AsFd;
    if closed::at_start() {
        return Err(io::Error::other("standard output is closed"));
    }
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
pub(crate) fn open() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

/// A duplicate of descriptor `number` of this process, with its position and flags. None where the system has none.
#[cfg(target_os = "linux")]
pub(crate) fn share(number: i32) -> Option<File> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    if number == 2 {
        use std::os::fd::AsFd;
        return Some(File::from(io::stderr().as_fd().try_clone_to_owned().ok()?));
    }
    let own = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
    Some(File::from(pidfd_getfd(own, number, PidfdGetfdFlags::empty()).ok()?))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn share(_: i32) -> Option<File> {
    None
}

/// Before `exec`: if standard output was closed at start-up, the new program finds it closed too, not the null device.
pub fn keep_stdout_closed() {
    #[cfg(unix)]
    if closed::at_start() {
        // Without the flag, the new program would write to the null device, and exit with 0.
        let _ = rustix::io::fcntl_setfd(rustix::stdio::stdout(), rustix::io::FdFlags::CLOEXEC);
    }
}

#[cfg(unix)]
mod closed {
    use std::sync::atomic::{AtomicBool, Ordering};

    static AT_START: AtomicBool = AtomicBool::new(false);

    pub fn at_start() -> bool {
        AT_START.load(Ordering::Relaxed)
    }

    // This runs before `main`, since later is too late: Rust's runtime replaces a closed standard descriptor by
    // `/dev/null` before it calls `main`. From then on, `tool >&-` looks exactly like `subprocess.run(tool, stdout=DEVNULL)`
    // of Python: the same file, `O_RDWR`, without `O_CLOEXEC`, also in `/proc/self/fdinfo`. A tool that cannot tell them
    // apart would exit with 0 although nobody received its output. The alternative is a C `main` (`#![no_main]`) in every
    // tool. The function is one system call and one atomic store, and uses nothing of std's runtime.
    ctor::declarative::ctor! {
        #[ctor(unsafe)]
        fn look() {
            let flags = rustix::io::fcntl_getfd(rustix::stdio::stdout());
            AT_START.store(flags == Err(rustix::io::Errno::BADF), Ordering::Relaxed);
        }
    }
}
