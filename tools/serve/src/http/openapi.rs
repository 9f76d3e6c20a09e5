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

#[cfg(test)]
mod tests {
    use super::DOCUMENT;
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};

    /// Pairs of path and methods, as `GET,HEAD`. axum tells them in the debug format only:
    /// `RouteId(1): MethodRouter(… allow_header: Bytes(b"GET,HEAD") …), … RouteId(1): "/v2/health/live", …`.
    fn routes() -> BTreeSet<(String, String)> {
        let router = format!("{:?}", crate::http::routes(true));
        let (router, _) = router.split_once("fallback_router").expect("axum's debug format");
        let quoted = |text: &str| text.split('"').nth(1).expect("a quoted text").to_owned();
        let (mut paths, mut methods) = (BTreeMap::new(), BTreeMap::new());
        for (id, text) in router.split("RouteId(").skip(1).filter_map(|text| text.split_once("): ")) {
            match text.starts_with('"') {
                true => paths.insert(id, quoted(text)),
                false => methods.insert(id, quoted(text)),
            };
        }
        paths.into_iter().map(|(id, path)| (path, methods[id].clone())).collect()
    }

    #[test]
    fn every_route_is_described_and_every_description_is_of_a_route() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let methods = |item: &Value| {
            let get = item.get("get").map(|_| "GET,HEAD");
            let post = item.get("post").map(|_| "POST");
            get.into_iter().chain(post).collect::<Vec<_>>().join(",")
        };
        let paths = document["paths"].as_object().expect("paths");
        let described: BTreeSet<_> = paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(routes(), described);
    }
}
