//! The page at `/`, whose files are in the binary.

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;

/// A file of the page.
#[derive(Clone, Copy)]
struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($name:literal: $content_type:literal,)*) => {
        &[$(Asset { name: $name, content_type: $content_type, text: include_str!(concat!("assets/", $name)) },)*]
    };
}

/// The document itself.
const INDEX: &str = "index.html";

const ASSETS: &[Asset] = assets! {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "api.js": "text/javascript; charset=utf-8",
    "chart.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "image.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "main.js": "text/javascript; charset=utf-8",
    "model.js": "text/javascript; charset=utf-8",
    "numbers.js": "text/javascript; charset=utf-8",
    "results.js": "text/javascript; charset=utf-8",
    "simplex.js": "text/javascript; charset=utf-8",
    "table.js": "text/javascript; charset=utf-8",
    "tensor.js": "text/javascript; charset=utf-8",
};

/// The page runs its own files only and shows itself in no other page; pictures that are dropped on it are blobs.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(self), microphone=(), geolocation=()"),
    // Asked for again each time, answered with 304 as long as the binary is the same.
    (header::CACHE_CONTROL, "no-cache"),
];

/// The files with their entity tags.
type Pages = Arc<[(Asset, String)]>;

/// The routes of the page: they ask for no API key, and tell nothing about the models.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let tagged = |asset: &Asset| (*asset, format!("\"{}\"", files::sha256(asset.text)));
    let pages: Pages = ASSETS.iter().map(tagged).collect();
    Router::new().route("/", get(index)).route("/page/{file}", get(file)).with_state(pages)
}

/// Whether everybody may ask for a path: the files of the page, which then asks its user for a key, and the description of
/// what there is.
pub fn is_public(path: &str) -> bool {
    path == "/"
        || path == "/openapi.json"
        || path.strip_prefix("/page/").is_some_and(|name| ASSETS.iter().any(|asset| asset.name == name))
}

async fn index(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    answer(&pages, INDEX, &headers).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

async fn file(State(pages): State<Pages>, Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    match answer(&pages, &name, &headers) {
        Some(response) => response,
        None => crate::http::not_found(uri).await,
    }
}

fn answer(pages: &Pages, name: &str, headers: &HeaderMap) -> Option<Response> {
    let (asset, tag) = pages.iter().find(|(asset, _)| asset.name == name)?;
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|tags| tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag));
    let tagged = [(header::ETAG, tag.as_str())];
    Some(match is_known {
        true => (StatusCode::NOT_MODIFIED, tagged, HEADERS).into_response(),
        false => (tagged, [(header::CONTENT_TYPE, asset.content_type)], HEADERS, asset.text).into_response(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use hyper::Request;
    use tower::ServiceExt;

    /// Bytes of all files: what a phone loads.
    const MOST_BYTES: usize = 56 << 10;

    async fn ask(path: &str, tag: Option<&str>) -> Response {
        let request = Request::get(path).header(header::IF_NONE_MATCH, tag.unwrap_or("\"other\""));
        router().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer")
    }

    #[tokio::test]
    async fn files_are_sent_once() {
        for asset in ASSETS {
            let path = format!("/page/{}", asset.name);
            let first = ask(&path, None).await;
            assert_eq!(first.status(), StatusCode::OK);
            assert_eq!(first.headers()[header::CONTENT_TYPE], asset.content_type);
            assert!(first.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text").contains("'self'"));
            let tag = first.headers()[header::ETAG].to_str().expect("text");
            assert_eq!(ask(&path, Some(&format!("\"x\", W/{tag}"))).await.status(), StatusCode::NOT_MODIFIED);
        }
        assert_eq!(ask("/", None).await.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        for path in ["/page/", "/page/other.js", "/page/..%2Fmod.rs"] {
            assert_eq!(ask(path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_named_and_small() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/page/assets");
        let names = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name());
        let mut found: Vec<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
        let mut named: Vec<_> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        found.sort();
        named.sort();
        assert_eq!(named, found);
        let bytes: usize = ASSETS.iter().map(|asset| asset.text.len()).sum();
        assert!(bytes <= MOST_BYTES, "{bytes}");
    }

    #[test]
    fn only_files_of_the_page_are_public() {
        assert!(is_public("/") && is_public("/page/main.js") && is_public("/openapi.json"));
        assert!(!is_public("/page/other") && !is_public("/v2") && !is_public("/page/"));
    }
}
