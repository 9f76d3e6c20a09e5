//! The messages and the service of gRPC, and how they become requests and tensors.

mod contents;
mod error;
mod request;
mod response;

pub use error::RequestError;
pub use request::to_request;
pub use response::from_response;

/// Generated from `proto/`: the messages, the trait of the service and its server, without a client.
#[allow(missing_docs, clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/inference.rs"));
}

/// The descriptors of `proto/`, an encoded `FileDescriptorSet`: what reflection answers with.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
