//! Makes calls that make something safe to send twice: with `Idempotency-Key`, a value that the caller chose.
//!
//! The same key with the same request is answered as the first time for a day, and makes nothing. What is kept is
//! sealed, since an answer may hold a secret that is told once, and a request a password. A request that was refused
//! frees its key; one that failed here keeps it, since what it asked for may have been made. Keys belong to their user.

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use actix_web::{Error, HttpResponse, ResponseError, rt};
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::Caller;
use super::ports::Who;
use super::problem::{self, ApiError};
use crate::accounts::{Digest, digest};
use crate::store::Begun;

/// Calls that make something.
pub(super) const CREATING: [&str; 5] =
    ["/api/v1/users", "/api/v1/roles", "/api/v1/keys", "/api/v1/streams", "/api/v1/invitations"];
/// Characters of the longest key.
const LONGEST_KEY: usize = 128;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Tells that an answer is not the first.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A call with a key.
struct Call {
    app: web::Data<App>,
    user: i64,
    key: Digest,
    /// Names the call in its seal, so that no kept answer opens in another's place.
    seal: String,
    /// The digest of what is asked.
    asked: Digest,
}

/// What is kept of a call that was done, or that may have been.
#[derive(Serialize, Deserialize)]
struct Kept {
    asked: Digest,
    status: u16,
    etag: Option<String>,
    body: String,
}

/// The middleware.
pub(super) async fn once(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match Call::of(&mut request).await {
        Ok(None) => Ok(next.call(request).await?.map_into_boxed_body()),
        Ok(Some(call)) => call.answer(request, next).await,
        Err(error) => Ok(request.into_response(error.error_response())),
    }
}

impl Call {
    /// The call, if the request makes something and has a key. Who shows no good token is left to the handler.
    async fn of(request: &mut ServiceRequest) -> Result<Option<Self>, ApiError> {
        let path = request.match_info().as_str().to_owned();
        let creates = request.method() == Method::POST && CREATING.contains(&path.as_str());
        let (true, Some(key)) = (creates, request.headers().get(KEY)) else { return Ok(None) };
        let key = read_key(key)?;
        let app = request.app_data::<web::Data<App>>().cloned().ok_or(ApiError::unavailable())?;
        let Ok(caller) = Caller::of(&app, request.request()).await else { return Ok(None) };
        // An agent's key makes nothing, and must not read what its owner made.
        let Who::User { .. } = caller.who else { return Ok(None) };
        let body = request.extract::<Bytes>().await.map_err(|error| problem::body_error(&error))?;
        let query = request.query_string();
        let asked = digest(&format!("{path}?{query}\n{}", String::from_utf8_lossy(&body)));
        request.set_payload(Payload::from(body));
        let user = caller.user().0;
        Ok(Some(Self { app, user, seal: format!("once {user} {key}"), key: digest(&key), asked }))
    }

    async fn answer(
        self,
        request: ServiceRequest,
        next: Next<impl MessageBody + 'static>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let begun = self.app.store(self.app.store.begin_once(self.user, self.key)).await;
        let answer = match begun {
            Ok(Begun::First) => {
                // On a task of its own: it goes on to its end when the caller hangs up.
                return match rt::spawn(self.first(request, next)).await {
                    Ok(answer) => answer,
                    Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                    Err(_) => Err(ApiError::unavailable().into()),
                };
            }
            Ok(Begun::InProgress) => Err(ApiError::conflict(
                "idempotency_in_progress",
                "A request with this key is being done. Ask again in a moment.",
            )),
            Ok(Begun::Answered(sealed)) => self.replay(&sealed),
            Err(error) => Err(error),
        };
        Ok(request.into_response(answer.unwrap_or_else(|error| error.error_response())))
    }

    async fn first(
        self,
        request: ServiceRequest,
        next: Next<impl MessageBody + 'static>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let (request, response) = match next.call(request).await {
            Ok(response) => response.into_parts(),
            Err(error) => {
                if error.as_response_error().status_code().is_client_error() {
                    self.end(None).await;
                }
                return Err(error);
            }
        };
        let (head, body) = response.into_parts();
        let body = to_bytes(body).await.unwrap_or_default();
        let is_refused = head.status().is_client_error()
            || head.extensions().get::<ApiError>().is_some_and(ApiError::is_refusal);
        let kept = (!is_refused).then(|| Kept {
            asked: self.asked,
            status: head.status().as_u16(),
            etag: head.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned),
            body: String::from_utf8_lossy(&body).into_owned(),
        });
        self.end(kept).await;
        Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(body))))
    }

    /// Keeps what was done. When that fails, the key stays taken for a minute.
    async fn end(&self, kept: Option<Kept>) {
        let text = kept.and_then(|kept| serde_json::to_string(&kept).ok());
        let sealed = text.and_then(|text| self.app.sealer.seal(&self.seal, &text).ok());
        // What went wrong is in the log; the caller is told what was done.
        let _ = self.app.store(self.app.store.end_once(self.user, self.key, sealed)).await;
    }

    fn replay(&self, sealed: &[u8]) -> Result<HttpResponse, ApiError> {
        let text = self.app.sealer.open(&self.seal, sealed).ok();
        let kept =
            text.and_then(|text| serde_json::from_str::<Kept>(&text).ok()).ok_or(ApiError::conflict(
                "idempotency_replay",
                "It was made before, and the answer of that time cannot be read any more.",
            ))?;
        if kept.asked != self.asked {
            return Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_mismatch",
                "Another request was made with this key. Choose a new one.",
            ));
        }
        let status = StatusCode::from_u16(kept.status).map_err(|_| ApiError::internal())?;
        let mut response = HttpResponse::build(status);
        let json = HeaderValue::from_static("application/json");
        let kind = if status.is_success() { json } else { problem::PROBLEM_JSON };
        response.content_type(kind).insert_header((CACHE_CONTROL, "no-store"));
        response.insert_header((REPLAYED, "true"));
        if let Some(tag) = kept.etag {
            response.insert_header((ETAG, tag));
        }
        Ok(response.body(kept.body))
    }
}

fn read_key(value: &HeaderValue) -> Result<String, ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let text = value.to_str().unwrap_or_default();
    if (1..=LONGEST_KEY).contains(&text.len()) && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let detail = "A key has 1 to 128 letters, digits, dots, colons, - and _.";
    Err(ApiError::bad_request("invalid_idempotency_key", detail))
}
