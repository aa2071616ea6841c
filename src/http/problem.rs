//! Errors as clients see them: `application/problem+json` (RFC 9457) with a stable code and the request's id.
//!
//! A handler returns an [`ApiError`]; the middleware writes the body, since only it knows the request's id, and
//! since it does the same for statuses that actix itself made (404, 405, 413). No error carries internals: what
//! a component said goes to the log.

use actix_web::error::{JsonPayloadError, PayloadError, QueryPayloadError, UrlencodedError};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::ports::{Estimate, Overload};
use crate::store::StoreError;

/// The media type of a problem.
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// OAuth2 wants its errors as plain JSON.
const PLAIN_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An error that a client is told.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{code}: {detail}")]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
    oauth: Option<&'static str>,
    estimate: Option<Estimate>,
    header: Option<(HeaderNameText, &'static str)>,
}

/// A header's name in a form that can be copied.
type HeaderNameText = &'static str;

impl ApiError {
    /// An error with its status, its stable code and a sentence.
    pub(super) const fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self { status, code, detail, oauth: None, estimate: None, header: None }
    }

    /// The request is wrong.
    pub(super) const fn bad_request(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Nobody may do this without a good token.
    pub(super) const fn unauthorized(code: &'static str, detail: &'static str) -> Self {
        let challenge = "Bearer realm=\"kinora\", error=\"invalid_token\"";
        Self::new(StatusCode::UNAUTHORIZED, code, detail).with_header("www-authenticate", challenge)
    }

    /// The caller may not do this.
    pub(super) const fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Your roles do not allow this.")
    }

    /// There is no such thing.
    pub(super) const fn not_found(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// A component is away; it is worth trying again.
    pub(super) const fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A component is away. Try again.")
            .with_header("retry-after", "5")
    }

    /// There is no room for a stream now; there may be later.
    pub(super) const fn over_capacity(Overload { detail, estimate }: Overload) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "over_capacity", detail);
        Self { estimate: Some(estimate), ..error.with_header("retry-after", "30") }
    }

    /// Whether nothing was done, so that the same may be asked again.
    pub(super) fn is_refusal(&self) -> bool {
        self.status.is_client_error() || self.code == "over_capacity"
    }

    /// Whether somebody else was faster.
    pub(super) fn is_stale(&self) -> bool {
        self.status == StatusCode::PRECONDITION_FAILED
    }

    /// Something is in the way of the request.
    pub(super) const fn conflict(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// The system has no random numbers, or something else that is always there.
    pub(super) const fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed. Its operator finds the request's id in the log.",
        )
    }

    /// What the database refused, if it is the caller's doing.
    pub(super) fn of_store(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Conflict { .. } => Some(Self::conflict("taken", "The name or address is taken.")),
            StoreError::NotFound { .. } => Some(Self::not_found("not_found", "There is no such thing.")),
            StoreError::LastAdmin => {
                Some(Self::conflict("last_administrator", "The last administrator has to stay."))
            }
            StoreError::ManagedByConfig => Some(Self::managed_by_config()),
            StoreError::Stale => Some(Self::new(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "It was changed in between. Read it again.",
            )),
            // SQLSTATE class 22 is about data: a NUL, a text that is too long.
            StoreError::Query { code, .. } if code.starts_with("22") => {
                Some(Self::bad_request("invalid_text", "A text is too long or has a character NUL."))
            }
            _ => None,
        }
    }

    /// What the configuration file says cannot be changed here.
    pub(super) const fn managed_by_config() -> Self {
        Self::conflict("managed_by_config", "This stream is in config.toml: change it there.")
    }

    /// The same error in the words of RFC 6749, section 5.2.
    pub(super) const fn as_oauth(mut self, error: &'static str) -> Self {
        self.oauth = Some(error);
        self
    }

    /// The same error with a header.
    pub(super) const fn with_header(mut self, name: HeaderNameText, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(header_name(name), HeaderValue::from_static(value));
        }
        response.extensions_mut().insert(*self);
        response
    }
}

fn header_name(text: HeaderNameText) -> HeaderName {
    if text == RETRY_AFTER.as_str() { RETRY_AFTER } else { WWW_AUTHENTICATE }
}

/// An error: a problem of RFC 9457 with a stable code and the request's id.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    #[schema(example = "about:blank")]
    r#type: &'static str,
    #[schema(example = "Not Found")]
    title: &'static str,
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// What programs decide by; it does not change.
    #[schema(example = "stream_not_found")]
    code: &'static str,
    /// For people.
    #[schema(example = "There is no stream of this name.")]
    detail: &'static str,
    /// The same as in the header `x-request-id`.
    request_id: String,
    /// With `over_capacity`: what the stream would do to others.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<Estimate>,
    /// The code of OAuth2, from `/login`.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(rename = "error_description", skip_serializing_if = "Option::is_none")]
    error_description: Option<&'static str>,
}

/// Body and media type of an error; `error` is absent where actix, not a handler, chose the status.
pub(super) fn render(error: Option<ApiError>, status: StatusCode, request_id: &str) -> (HeaderValue, String) {
    let error = error.unwrap_or_else(|| of_status(status));
    let problem = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        code: error.code,
        detail: error.detail,
        request_id: request_id.to_owned(),
        estimate: error.estimate,
        error: error.oauth,
        error_description: error.oauth.map(|_| error.detail),
    };
    let body = serde_json::to_string(&problem).expect("a problem should have only string keys");
    (if error.oauth.is_some() { PLAIN_JSON } else { PROBLEM_JSON }, body)
}

/// What a bare status means.
fn of_status(status: StatusCode) -> ApiError {
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => ("not_found", "There is nothing at this address."),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "This address has no such method."),
        StatusCode::PAYLOAD_TOO_LARGE => ("payload_too_large", "The body is larger than this address takes."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("unsupported_media_type", "The body's type is not understood.")
        }
        StatusCode::REQUEST_TIMEOUT => ("request_timeout", "The request did not arrive in time."),
        status if status.is_client_error() => ("bad_request", "The request is not understood."),
        _ => ("internal", "The server failed. Its operator finds the request's id in the log."),
    };
    ApiError::new(status, code, detail)
}

/// What is wrong with a JSON body.
pub(super) fn json_error(error: &JsonPayloadError) -> ApiError {
    match error {
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
            of_status(StatusCode::PAYLOAD_TOO_LARGE)
        }
        JsonPayloadError::ContentType => of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        JsonPayloadError::Payload(error) if is_late(error) => of_status(StatusCode::REQUEST_TIMEOUT),
        _ => ApiError::bad_request("invalid_json", "The body is not the JSON that this address takes."),
    }
}

/// What is wrong with a body that is read as it is.
pub(super) fn body_error(error: &actix_web::Error) -> ApiError {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => of_status(StatusCode::PAYLOAD_TOO_LARGE),
        Some(error) if is_late(error) => of_status(StatusCode::REQUEST_TIMEOUT),
        _ => ApiError::bad_request("invalid_body", "The body cannot be read."),
    }
}

/// Whether a body did not arrive in time.
fn is_late(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
}

/// What is wrong with a form body, in OAuth2's words too: the only form is its password grant.
pub(super) fn form_error(error: &UrlencodedError) -> ApiError {
    match error {
        UrlencodedError::Overflow { .. } => of_status(StatusCode::PAYLOAD_TOO_LARGE),
        UrlencodedError::ContentType => of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        UrlencodedError::Payload(error) if is_late(error) => of_status(StatusCode::REQUEST_TIMEOUT),
        _ => ApiError::bad_request("invalid_form", "The body is not the form that this address takes."),
    }
    .as_oauth("invalid_request")
}

/// What is wrong with a query.
pub(super) fn query_error(_: &QueryPayloadError) -> ApiError {
    ApiError::bad_request("invalid_query", "The query is not understood.")
}
