//! Who answers a request.

use super::RequestBody;
use crate::{
    error::Error,
    http::{Shared, infer},
};
use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response},
    response::IntoResponse,
};
use http_body_util::BodyExt;
use tower::Service;

/// The handlers of a listener.
pub struct Handlers {
    router: Router,
    /// The models, if inference over HTTP is among the handlers.
    inference: Option<Shared>,
}

impl Handlers {
    /// The handlers of a router.
    pub fn new(router: Router) -> Self {
        Self { router, inference: None }
    }

    /// The handlers of a router that has the routes of inference: they are answered without it, since finding a route
    /// and boxing its handler cost as much as reading a small request.
    pub fn with_inference(router: Router, models: Shared) -> Self {
        Self { router, inference: Some(models) }
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request<RequestBody>) -> Response<Body> {
        if let Some(models) = &self.inference
            && let Some((model, version)) = target(&request)
        {
            let found = models.find(model, version);
            let (head, body) = request.into_parts();
            let answer = async {
                let body = body.collect().await.map_err(|e| Error::Invalid(e.to_string()))?;
                infer::answer(found?, models, &head.headers, body.to_bytes()).await
            };
            return answer.await.into_response();
        }
        let Ok(response) = self.router.clone().call(request).await;
        response
    }
}

/// The model, and its version if there is one, that a request asks to infer. None for anything else, and for names that
/// are percent-encoded.
fn target<B>(request: &Request<B>) -> Option<(&str, Option<&str>)> {
    let path = request.uri().path().strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
    if request.method() != Method::POST || path.contains('%') {
        return None;
    }
    let (model, version) = match path.split_once("/versions/") {
        Some((model, version)) => (model, Some(version)),
        None => (path, None),
    };
    let is_name = |name: &str| !name.is_empty() && !name.contains('/');
    (is_name(model) && version.is_none_or(is_name)).then_some((model, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target_of(method: &str, path: &str) -> Option<(String, Option<String>)> {
        let request = Request::builder().method(method).uri(path).body(()).expect("a request");
        target(&request).map(|(model, version)| (model.to_owned(), version.map(str::to_owned)))
    }

    #[test]
    fn only_inference_is_a_target() {
        assert_eq!(target_of("POST", "/v2/models/m/infer"), Some(("m".into(), None)));
        assert_eq!(target_of("POST", "/v2/models/m/versions/3/infer?x=1"), Some(("m".into(), Some("3".into()))));
        for path in
            ["m//infer", "/infer", "m/x/infer", "m/versions//infer", "m/versions/3/4/infer", "m%20/infer", "m/records"]
        {
            assert_eq!(target_of("POST", &format!("/v2/models/{path}")), None, "{path}");
        }
        assert_eq!(target_of("GET", "/v2/models/m/infer"), None);
        assert_eq!(target_of("POST", "/v2/health/infer"), None);
    }
}
