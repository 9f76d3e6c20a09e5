//! `GET /openapi.json`: the description of everything that this port serves.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// Of `openapi.yaml`, which is written by hand.
const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
