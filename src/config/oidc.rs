//! The section `[auth.oidc]`: which identity provider signs people in, and what its claims mean here.

use std::path::Path;
use std::time::Duration;

use super::access::first_line;
use super::layers::Values;
use super::value::words;

/// What a text means that is not set.
const NONE: &str = "none";
/// Where the identity provider sends people back, below the server's address.
const CALLBACK: &str = "/api/v1/auth/oidc/callback";

/// An identity provider. `Debug` leaves its secret out.
#[derive(Clone)]
pub(crate) struct Oidc {
    /// Its address, which is also what its tokens name.
    pub(crate) issuer: String,
    /// What it calls this server.
    pub(crate) client_id: String,
    /// This server's password there; a public client has none.
    pub(crate) client_secret: Option<String>,
    /// What is asked for, with blanks between.
    pub(crate) scopes: String,
    /// Where it sends people back.
    pub(crate) redirect_url: String,
    /// The claim that is looked at for roles.
    pub(crate) roles_claim: String,
    /// Which value of that claim gives which role.
    pub(crate) role_mapping: Vec<(String, String)>,
    /// The role of who is given none by the mapping.
    pub(crate) default_role: Option<String>,
    /// How long such a login is kept.
    pub(crate) login_lifetime: Duration,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oidc").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The section, if it names an issuer; what is wrong goes to `errors`. Only with `local` may an issuer be on this
/// machine and speak without TLS.
pub(super) fn read(values: &Values, local: bool, errors: &mut Vec<String>) -> Option<Oidc> {
    let key = |name: &str| values.text(&format!("auth.oidc.{name}"));
    let set = |name: &str| Some(key(name)).filter(|text| *text != NONE);
    let issuer = set("issuer")?;
    let redirect_url = match key("redirect_url") {
        "auto" => values.text("mail.link").trim_end_matches('/').to_owned() + CALLBACK,
        url => url.to_owned(),
    };
    for (name, url) in [("issuer", issuer), ("redirect_url", &redirect_url)] {
        if !is_safe(url, local) {
            errors.push(format!(
                "auth.oidc.{name}: {url:?} is not allowed; it must be an https:// address, or in the environment \
                 local an http:// address of this machine"
            ));
        }
    }
    if set("client_id").is_none() {
        errors.push("auth.oidc.client_id: an issuer is set, so it is needed".into());
    }
    if !words(key("scopes")).any(|scope| scope == "openid") {
        errors.push("auth.oidc.scopes: openid has to be among them".into());
    }
    Some(Oidc {
        issuer: issuer.to_owned(),
        client_id: key("client_id").to_owned(),
        client_secret: secret(set("client_secret"), set("client_secret_file"), errors),
        scopes: key("scopes").to_owned(),
        redirect_url,
        roles_claim: key("roles_claim").to_owned(),
        role_mapping: mapping(key("role_mapping"), errors),
        default_role: set("default_role").map(str::to_owned),
        login_lifetime: values.duration("auth.oidc.login_lifetime"),
    })
}

fn secret(given: Option<&str>, file: Option<&str>, errors: &mut Vec<String>) -> Option<String> {
    match (given, file) {
        (Some(_), Some(_)) => {
            errors
                .push("auth.oidc.client_secret: client_secret_file is set too; one of them is enough".into());
            None
        }
        (None, Some(file)) => first_line(Path::new(file))
            .map_err(|error| errors.push(format!("auth.oidc.client_secret_file: {error}")))
            .ok(),
        (given, None) => given.map(str::to_owned),
    }
}

fn mapping(text: &str, errors: &mut Vec<String>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for word in words(text) {
        // The last sign: a group's name may have one in it, a role's has none.
        match word.rsplit_once('=').filter(|(value, role)| !value.is_empty() && !role.is_empty()) {
            Some((value, role)) => pairs.push((value.to_owned(), role.to_owned())),
            None => errors.push(format!(
                "auth.oidc.role_mapping: {word:?} is not allowed; it must be value=role, such as Kinora.Admins=admin"
            )),
        }
    }
    pairs
}

fn is_safe(url: &str, local: bool) -> bool {
    let plain = !url.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '#' | '?' | '@'));
    let host = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    let own = |rest: &str| ["127.0.0.1", "localhost", "[::1]"].contains(&without_port(&host(rest)));
    let secure = url.strip_prefix("https://").is_some_and(|rest| !host(rest).is_empty());
    plain && (secure || (local && url.strip_prefix("http://").is_some_and(own)))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{in_environment, with_overrides};

    const ISSUER: &str = "auth.oidc.issuer=https://login.example/tenant/v2.0";

    #[test]
    fn a_provider_is_off_until_it_has_an_issuer() {
        assert!(with_overrides(&[]).unwrap().auth.oidc.is_none());
        let settings = with_overrides(&[
            ISSUER,
            "auth.oidc.client_id=kinora",
            "auth.oidc.client_secret=hunter2",
            "auth.oidc.role_mapping=Kinora.Admins=admin a=b=viewer",
            "mail.link=https://kinora.example/",
        ]);
        let oidc = settings.unwrap().auth.oidc.unwrap();
        assert_eq!(oidc.redirect_url, "https://kinora.example/api/v1/auth/oidc/callback");
        let pair = |value: &str, role: &str| (value.to_owned(), role.to_owned());
        assert_eq!(oidc.role_mapping, [pair("Kinora.Admins", "admin"), pair("a=b", "viewer")]);
        assert_eq!(
            (oidc.default_role.as_deref(), oidc.client_secret.as_deref()),
            (Some("viewer"), Some("hunter2"))
        );
        assert!(!format!("{oidc:?}").contains("hunter2"));
    }

    #[test]
    fn the_secret_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "hunter2\n").unwrap();
        let from_file = format!("auth.oidc.client_secret_file={}", file.display());
        let usual = [ISSUER, "auth.oidc.client_id=kinora", "mail.link=https://kinora.example"];
        let oidc = with_overrides(&[&usual[..], &[&from_file]].concat()).unwrap().auth.oidc.unwrap();
        assert_eq!(oidc.client_secret.as_deref(), Some("hunter2"));
        let both = [&usual[..], &[&from_file, "auth.oidc.client_secret=x"]].concat();
        assert!(with_overrides(&both).unwrap_err().to_string().contains("one of them is enough"));
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let errors = with_overrides(&[
            "auth.oidc.issuer=http://login.example",
            "auth.oidc.scopes=email",
            "auth.oidc.role_mapping=admins",
            "auth.oidc.client_secret_file=/nonexistent/secret",
        ]);
        let text = errors.unwrap_err().to_string();
        for key in ["issuer", "client_id", "scopes", "role_mapping", "client_secret_file"] {
            assert!(text.contains(&format!("auth.oidc.{key}")), "{key} in {text}");
        }
    }

    #[test]
    fn without_tls_a_provider_is_on_this_machine_and_in_the_environment_local() {
        let local = ["auth.oidc.issuer=http://127.0.0.1:7000", "auth.oidc.client_id=kinora"];
        assert!(in_environment("local", &local).is_ok());
        let text = in_environment("production", &local).unwrap_err().to_string();
        assert!(text.contains("auth.oidc.issuer") && text.contains("auth.oidc.redirect_url"), "{text}");
        for issuer in ["http://127.0.0.1.evil.example", "https://", "https://a@b", "ftp://127.0.0.1"] {
            let issuer = format!("auth.oidc.issuer={issuer}");
            assert!(with_overrides(&[&issuer, "auth.oidc.client_id=kinora"]).is_err(), "{issuer}");
        }
    }

    #[test]
    fn a_login_without_a_password_is_an_error_where_it_matters() {
        let on = ["auth.development_login=on"];
        assert!(in_environment("local", &on).unwrap().auth.development_login);
        for environment in ["staging", "production"] {
            let text = in_environment(environment, &on).unwrap_err().to_string();
            assert!(text.contains("auth.development_login") && text.contains(environment), "{text}");
        }
    }
}
