//! The handlers, each with its wire types beside it.

pub(super) mod account;
pub(super) mod audit;
pub(super) mod development;
pub(super) mod docs;
pub(super) mod events;
mod fields;
pub(super) mod health;
pub(super) mod keys;
pub(super) mod login;
pub(super) mod machine;
pub(super) mod oidc;
pub(super) mod roles;
mod source_login;
pub(super) mod sources;
pub(super) mod stream_edit;
pub(super) mod stream_orders;
pub(super) mod streams;
pub(super) mod tickets;
pub(super) mod users;

pub(super) use account::{change_password, confirm_reset, me, request_reset, signup};
pub(super) use audit::audit;
pub(super) use development::development_login;
pub(super) use docs::{event_schema, file, openapi, page};
pub(super) use events::events;
pub(super) use health::{HealthCache, health, live, metrics, ready};
pub(super) use keys::{create_key, keys, revoke_key};
pub(super) use login::{login_form, login_json, logout, refresh};
pub(super) use machine::{devices, models};
pub(super) use oidc::{oidc_callback, oidc_login, oidc_token};
pub(super) use roles::{change_role, create_role, delete_role, roles};
pub(super) use sources::test_source;
pub(super) use stream_edit::{change_stream, create_stream, delete_stream, stream_settings};
pub(super) use stream_orders::order_stream;
pub(super) use streams::{session, sessions, stream, streams};
pub(super) use tickets::create_ticket;
pub(super) use users::{change_user, create_user, delete_user, invite, user, users};
