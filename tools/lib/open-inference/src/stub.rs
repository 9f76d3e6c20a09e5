#![allow(missing_docs)]
pub mod http {
    use crate::*;
    use bytes::Bytes;
    pub struct Written { pub bytes: Bytes, pub header_length: Option<usize> }
    pub fn parse_request(_: &Bytes, _: Option<usize>, _: &Limits) -> Result<InferRequest, TensorError> { Ok(InferRequest::default()) }
    pub fn write_response(_: &InferResponse, _: bool, _: &[RequestedOutput]) -> Result<Written, TensorError> { Ok(Written{bytes: Bytes::new(), header_length: None}) }
    pub fn write_error(m: &str) -> String { m.into() }
}
pub mod classification {
    use crate::*;
    pub fn top(t: &Tensor, _: usize, _: Option<&[String]>, _: bool) -> Result<Tensor, TensorError> { Ok(t.clone()) }
}
