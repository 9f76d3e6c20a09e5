//! What the protocol says of the server.

/// The server's name.
pub const NAME: &str = "pipegrad serve";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Extensions of the protocol, as Triton names them.
pub const EXTENSIONS: [&str; 7] = [
    "classification",
    "model_repository",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
];
