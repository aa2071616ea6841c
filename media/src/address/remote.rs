//! Addresses on the network: by the number of their host, as they are asked for, and where a redirect leads.

use std::net::IpAddr;

use super::{Address, Scheme, bad, default_port, name};
use crate::error::MediaError;

impl Address {
    /// The same with the host's number in place of its name. It is shown as before. An `https:` host keeps its name, which
    /// its certificate is for.
    pub(crate) fn at(&self, number: IpAddr) -> Self {
        let Some((_, port)) = self.remote.as_ref().filter(|_| self.scheme != Scheme::Https) else {
            return self.clone();
        };
        let host = match number {
            IpAddr::V4(number) => format!("{number}:{port}"),
            IpAddr::V6(number) => format!("[{number}]:{port}"),
        };
        let (user, _, resource) = parts(&self.target);
        Self { target: format!("{}://{user}{host}{resource}", name(self.scheme)), ..self.clone() }
    }

    /// The host as HTTP names it: the port only where it is not the usual one.
    pub(crate) fn host_header(&self) -> String {
        let Some((host, port)) = &self.remote else { return String::new() };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        match default_port(self.scheme) {
            Some(usual) if usual == *port => host,
            _ => format!("{host}:{port}"),
        }
    }

    /// Whether the host has to be looked up.
    pub(crate) fn has_name(&self) -> bool {
        self.remote.as_ref().is_some_and(|(host, _)| host.parse::<IpAddr>().is_err())
    }

    /// What a web server is asked for, without the credentials; none for other sources. Its query may hold a secret.
    pub fn web_url(&self) -> Option<String> {
        let is_web = matches!(self.scheme, Scheme::Http | Scheme::Https);
        let (_, host, resource) = parts(&self.target);
        let resource = resource.split('#').next().unwrap_or_default();
        let slash = if resource.starts_with('/') { "" } else { "/" };
        is_web.then(|| format!("{}://{host}{slash}{resource}", name(self.scheme)))
    }

    /// Where a web server's redirect leads: an absolute address, one without a scheme, a path, or a name beside this one.
    ///
    /// Credentials go along to the same server only; those that the redirect itself holds are not used.
    ///
    /// # Errors
    /// `BadAddress` when it leads to no other web address. What it says is not repeated.
    pub fn redirected(&self, location: &str) -> Result<Self, MediaError> {
        let (user, host, resource) = parts(&self.target);
        let scheme = name(self.scheme);
        let location = location.trim();
        let absolute = match location.strip_prefix('/') {
            _ if location.contains("://") => location.to_owned(),
            Some(rest) if rest.starts_with('/') => format!("{scheme}:{location}"),
            Some(_) => format!("{scheme}://{host}{location}"),
            None => {
                let path = resource.split(['?', '#']).next().unwrap_or_default();
                let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
                format!("{scheme}://{host}{folder}{location}")
            }
        };
        let next = Self::parse(&absolute)?;
        let Some(url) = next.web_url() else {
            return Err(bad("a redirect leads away from http:// and https://".to_owned()));
        };
        let is_same_server = next.scheme == self.scheme && next.remote == self.remote;
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        Self::parse(&format!("{scheme}://{}{rest}", if is_same_server { user } else { "" }))
    }
}

/// (user with `@`, host with port, what follows) of an address with a host.
fn parts(target: &str) -> (&str, &str, &str) {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let (authority, resource) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    (user, host, resource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn parse(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn an_address_by_number_asks_for_the_same_and_is_shown_as_before() {
        let number = "2001:db8::7".parse().unwrap();
        let address = parse("http://us%40er:p@ss@cam.example/a/b?c=d#e").at(number);
        assert_eq!(address.target(), "http://us%40er:p@ss@[2001:db8::7]:80/a/b?c=d#e");
        assert_eq!(address.to_string(), "http://***@cam.example/a/b?c=***#***");
        assert_eq!(address.host_header(), "cam.example");
        assert_eq!(
            parse("tcp://cam:5000?timeout=1").at(number).target(),
            "tcp://[2001:db8::7]:5000?timeout=1"
        );
        assert_eq!(parse("http://[::1]:8080/").host_header(), "[::1]:8080");
        assert!(parse("http://cam/").has_name() && !parse("http://[::1]/").has_name());
    }

    #[test]
    fn a_redirect_keeps_credentials_on_the_same_server_and_drops_its_own() {
        let from = parse("http://user:secret@cam/a/b?t=1");
        assert_eq!(from.web_url().as_deref(), Some("http://cam/a/b?t=1"));
        for (location, target) in [
            ("/c?d=e", "http://user:secret@cam/c?d=e"),
            ("c.ts", "http://user:secret@cam/a/c.ts"),
            ("http://cam:80/c", "http://user:secret@cam:80/c"),
            ("http://other/c", "http://other/c"),
            ("https://cam/c", "https://cam/c"),
            ("//other:81/c", "http://other:81/c"),
            ("http://a:b@other/c", "http://other/c"),
            ("http://a:b@cam", "http://user:secret@cam/"),
        ] {
            assert_eq!(from.redirected(location).unwrap().target(), target, "{location}");
        }
    }

    #[test]
    fn a_redirect_leads_to_web_servers_only() {
        for location in ["file:///etc/passwd", "tcp://host:5432", "gopher://x/", "/etc://x"] {
            let led = parse("http://cam/a").redirected(location);
            let kind = led.err().map(|error| error.kind());
            assert!(matches!(kind, Some(ErrorKind::BadAddress | ErrorKind::UnknownScheme)), "{location}");
        }
    }
}
