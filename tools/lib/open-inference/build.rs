//! Compiles the protocol's definitions: messages, the service, and the descriptors that reflection needs. No protoc is
//! needed.

use prost::Message;
use std::{env, fs, path::PathBuf};

/// In `OUT_DIR`; `src/grpc/mod.rs` includes it.
const DESCRIPTORS: &str = "descriptors.bin";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut descriptors = protox::compile(["proto/grpc_service.proto"], ["proto"])?;
    // Comments and positions are of no use to a client.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join(DESCRIPTORS), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .bytes(".inference")
        .btree_map(".inference")
        .compile_fds(descriptors)?;
    Ok(())
}
