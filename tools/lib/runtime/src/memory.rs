//! Memory that the C library's allocator keeps after a model is gone.

/// Gives memory that is free, but held by the C library's allocator, back to the system. ONNX Runtime allocates weights
/// and workspaces with it: without this, the resident memory of a process that has dropped a model stays as it was (60
/// instances of a 3 MB model: 38 MB before, 309 MB loaded; after, 41 MB with and 309 MB without).
///
/// Takes milliseconds; other threads that allocate meanwhile wait. Does nothing where the C library has no `malloc_trim`.
pub fn trim_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "a function of the C library")]
fn trim() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    // SAFETY: the signature is that of malloc_trim(3). It takes no pointer, is thread-safe, and touches only memory that
    // is free.
    unsafe {
        malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Bytes of this process that are in memory.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("in kB");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
    }

    #[test]
    fn free_memory_goes_back_and_used_memory_stays() {
        const BLOCK: usize = 64 << 10; // below malloc's threshold for memory of its own
        let mut blocks: Vec<Vec<u8>> = (0..1600).map(|at| vec![at as u8 | 1; BLOCK]).collect();
        let full = resident();
        // The last block keeps the heap from shrinking by itself.
        let last = blocks.pop().expect("a block");
        drop(blocks);
        trim_memory();
        let freed = full.saturating_sub(resident());
        assert!(freed > 1000 * BLOCK, "{freed} bytes");
        assert!(last.iter().all(|byte| *byte == 1599_u16 as u8 | 1));
    }
}
