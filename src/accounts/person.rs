//! What an identity provider says of a person, and what it means here: a name and roles.

use serde_json::{Map, Value};

/// Letters of a name that is made from a claim; room is left for what tells two of one name apart.
const LONGEST_NAME: usize = 48;

/// Which claims give which roles.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleMapping {
    /// The claim that is looked at.
    pub(crate) claim: String,
    /// Its values and the roles that they give.
    pub(crate) pairs: Vec<(String, String)>,
    /// The role of who is given none.
    pub(crate) default: Option<String>,
}

/// The roles of a person who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenRoles {
    /// Names; none: they may not come in.
    pub(crate) roles: Vec<String>,
    /// Whether an account that there is already is given exactly these: the identity provider decides. Otherwise
    /// administrators do, and the roles are for the first login only.
    pub(crate) each_time: bool,
}

impl RoleMapping {
    /// The roles that these claims give.
    pub(crate) fn roles(&self, claims: &Map<String, Value>) -> GivenRoles {
        let values = texts(claims.get(&self.claim));
        let given = self.pairs.iter().filter(|(value, _)| values.contains(&value.as_str()));
        let mut roles: Vec<String> = given.map(|(_, role)| role.clone()).collect();
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() {
            roles.extend(self.default.clone());
        }
        GivenRoles { roles, each_time: !self.pairs.is_empty() }
    }
}

/// A claim of one text or of many; some providers write many with blanks between.
fn texts(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(text)) => text.split_whitespace().collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A name for an account, from what the person is called elsewhere. Somebody else may have it.
pub(crate) fn username(claims: &Map<String, Value>) -> String {
    let called =
        ["preferred_username", "email", "name"].into_iter().find_map(|name| claims.get(name)?.as_str());
    let local = called.unwrap_or_default().split('@').next().unwrap_or_default();
    let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = local.trim().chars().map(letter).take(LONGEST_NAME).collect();
    if name.chars().any(|c| c.is_ascii_alphanumeric()) { name } else { "person".to_owned() }
}

/// The mail address, if the provider says that it is the person's own. Others could name anybody's.
pub(crate) fn verified_email(claims: &Map<String, Value>) -> Option<String> {
    let verified = claims.get("email_verified") == Some(&Value::Bool(true));
    let email = claims.get("email")?.as_str()?;
    (verified && email.contains('@') && email.len() <= 255).then(|| email.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn roles_come_from_the_claim_and_else_from_the_default() {
        let pair = |value: &str, role: &str| (value.to_owned(), role.to_owned());
        let mapping = RoleMapping {
            claim: "roles".into(),
            pairs: vec![
                pair("Kinora.Admins", "admin"),
                pair("Kinora.Night", "night"),
                pair("Other", "admin"),
            ],
            default: Some("viewer".into()),
        };
        for (value, expected) in [
            (json!(["Kinora.Night", "Kinora.Admins", "Other"]), vec!["admin", "night"]),
            (json!("Kinora.Night else"), vec!["night"]),
            (json!(["kinora.admins", 7, null]), vec!["viewer"]),
            (json!({"Kinora.Admins": true}), vec!["viewer"]),
        ] {
            let given = mapping.roles(&claims(json!({"roles": value, "groups": ["Kinora.Admins"]})));
            assert_eq!(
                (given.roles, given.each_time),
                (expected.into_iter().map(str::to_owned).collect(), true)
            );
        }
        let strict = RoleMapping { default: None, ..mapping };
        assert!(strict.roles(&claims(json!({}))).roles.is_empty());
        let bare = RoleMapping { default: Some("viewer".into()), ..RoleMapping::default() };
        assert!(!bare.roles(&claims(json!({"roles": ["admin"]}))).each_time, "administrators decide");
    }

    #[test]
    fn a_name_has_only_letters_that_a_name_may_have() {
        for (said, name) in [
            (json!({"preferred_username": "ada@contoso.example"}), "ada"),
            (json!({"name": "Ada Lovelace"}), "Ada-Lovelace"),
            (json!({"preferred_username": "../../etc/passwd"}), "..-..-etc-passwd"),
            (json!({"preferred_username": "日本語@x"}), "person"),
            (json!({"preferred_username": 7}), "person"),
            (json!({}), "person"),
        ] {
            assert_eq!(username(&claims(said)), name);
        }
        let long = json!({"name": "x".repeat(200)});
        assert_eq!(username(&claims(long)).len(), LONGEST_NAME);
    }

    #[test]
    fn a_mail_address_counts_when_it_is_verified() {
        let with = |verified: Value| {
            verified_email(&claims(json!({"email": "a@b.example", "email_verified": verified})))
        };
        assert_eq!(with(json!(true)).as_deref(), Some("a@b.example"));
        assert_eq!(with(json!("true")), None);
        assert_eq!(verified_email(&claims(json!({"email": "a@b.example"}))), None);
    }
}
