//! `track`; the library of the same name has it all, as the front command contains it too.

fn main() -> std::process::ExitCode {
    track::main()
}
