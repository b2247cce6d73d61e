//! Who may use the server: the checks of every request before anything else looks at it.
//!
//! A page of another site can send requests to this machine, and a name that its owner lets point to this
//! machine makes them look like the server's own (DNS rebinding). `Host`, `Origin` and
//! `Sec-Fetch-Site` (RFC 9110, Fetch standard) tell such requests apart.

use std::net::IpAddr;

use axum::http::{
    HeaderMap, Method, Uri,
    header::{AUTHORIZATION, COOKIE, HOST, ORIGIN},
    uri::Authority,
};
use sha2::{Digest as _, Sha256};

/// What requests must have.
#[derive(Debug)]
pub struct Guard {
    /// Names of this machine, apart from `localhost` and addresses.
    names: Vec<String>,
    /// Whether only addresses of this machine itself are names of it.
    is_loopback: bool,
    token: Option<Token>,
}

/// A secret, kept by its hash so that a comparison takes the same time for every guess.
#[derive(Debug, PartialEq, Eq)]
struct Token([u8; 32]);

impl Token {
    fn new(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

/// What a request may do.
#[derive(Debug, PartialEq, Eq)]
pub enum Access {
    Granted,
    /// The address contains the token, which is to be stored as a cookie.
    WithCookie(String),
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the request names no host")]
    NoHost,
    #[error("this server is not called {0}; start it with --host {0} to allow this name")]
    Host(String),
    #[error("requests of pages of other sites are refused")]
    Origin,
    #[error("the token is missing or wrong; open the address that the server printed")]
    Token,
}

/// The cookie of the token. Cookies do not tell ports apart, so the name contains the port.
pub fn cookie(port: Option<u16>) -> String {
    format!("gst-upscale-{}", port.unwrap_or(80))
}

impl Guard {
    /// A guard of a server that listens on `address`, which other computers call by `names`.
    pub fn new(address: IpAddr, names: Vec<String>, token: Option<&str>) -> Self {
        Self { names, is_loopback: address.is_loopback(), token: token.map(Token::new) }
    }

    /// Checks a request.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Access, Refusal> {
        let host = headers.get(HOST).and_then(|it| it.to_str().ok()).ok_or(Refusal::NoHost)?;
        let authority: Authority = host.parse().map_err(|_| Refusal::NoHost)?;
        if !self.is_name(authority.host()) {
            return Err(Refusal::Host(authority.host().to_owned()));
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = origin.to_str().ok().and_then(|it| it.split_once("://"));
            if origin.is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host)) {
                return Err(Refusal::Origin);
            }
        }
        // A link of another page may lead here, but nothing else.
        let site = headers.get("sec-fetch-site").map(|it| it.as_bytes());
        let is_start = *method == Method::GET && uri.path() == "/";
        if matches!(site, Some(b"cross-site" | b"same-site")) && !is_start {
            return Err(Refusal::Origin);
        }
        let Some(token) = &self.token else { return Ok(Access::Granted) };
        let is_right = |text: &str| Token::new(text) == *token;
        let name = cookie(authority.port_u16());
        if bearer(headers).is_some_and(is_right)
            || cookies(headers).any(|(it, value)| it == name && is_right(value))
        {
            return Ok(Access::Granted);
        }
        match given(uri).filter(|text| is_start && is_right(text)) {
            Some(text) => {
                Ok(Access::WithCookie(format!("{name}={text}; Path=/; HttpOnly; SameSite=Strict")))
            }
            None => Err(Refusal::Token),
        }
    }

    fn is_name(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<IpAddr>() {
            // Nobody can let an address point elsewhere.
            return address.is_loopback() || !self.is_loopback;
        }
        host.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|it| it.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|it| it.trim().split_once('='))
}

/// The token in an address. It has hexadecimal digits only, which need no decoding.
fn given(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|it| it.strip_prefix("token="))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const TOKEN: &str = "c0ffee";

    fn check(
        guard: &Guard,
        method: &Method,
        uri: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Access, Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        guard.check(method, &uri.parse().unwrap(), &map)
    }

    fn local() -> Guard {
        Guard::new([127, 0, 0, 1].into(), vec![], None)
    }

    fn remote() -> Guard {
        Guard::new([0, 0, 0, 0].into(), vec!["studio.lan".into()], Some(TOKEN))
    }

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        let host = |guard: &Guard, host: &str| {
            let token = ("authorization", "Bearer c0ffee");
            check(guard, &Method::GET, "/", &[("host", host), token]).is_ok()
        };
        for name in ["localhost:8080", "LOCALHOST", "127.0.0.1:8080", "[::1]:8080"] {
            assert!(host(&local(), name) && host(&remote(), name), "{name}");
        }
        for name in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a b", ""]
        {
            assert!(!host(&local(), name) && !host(&remote(), name), "{name}");
        }
        assert!(!host(&local(), "192.168.1.2:8080") && host(&remote(), "192.168.1.2:8080"));
        assert!(!host(&local(), "studio.lan") && host(&remote(), "studio.lan:8080"));
        assert_eq!(check(&local(), &Method::GET, "/", &[]), Err(Refusal::NoHost));
    }

    #[test]
    fn requests_of_other_origins_are_refused() {
        let from = |method: &Method, uri: &str, header: (&'static str, &str)| {
            check(&local(), method, uri, &[("host", "localhost:8080"), header])
        };
        let own = ("origin", "http://localhost:8080");
        assert_eq!(from(&Method::POST, "/api/jobs", own), Ok(Access::Granted));
        for origin in
            ["http://evil.example", "null", "http://localhost:9999", "http://localhost", ""]
        {
            let found = from(&Method::POST, "/api/jobs", ("origin", origin));
            assert_eq!(found, Err(Refusal::Origin), "{origin}");
        }
        let other = ("sec-fetch-site", "cross-site");
        assert_eq!(from(&Method::GET, "/api/events", other), Err(Refusal::Origin));
        assert_eq!(from(&Method::POST, "/", other), Err(Refusal::Origin));
        assert_eq!(from(&Method::GET, "/", other), Ok(Access::Granted));
    }

    #[test]
    fn the_token_is_asked_for_and_may_be_a_header_a_cookie_or_part_of_the_first_address() {
        let with = |uri: &str, header: (&'static str, &str)| {
            check(&remote(), &Method::GET, uri, &[("host", "10.0.0.1:8080"), header])
        };
        let none = ("accept", "*/*");
        assert_eq!(with("/api/events", none), Err(Refusal::Token));
        assert_eq!(with("/api/events?token=c0ffee", none), Err(Refusal::Token));
        assert_eq!(with("/?token=c0ffe", none), Err(Refusal::Token));
        let Ok(Access::WithCookie(cookie)) = with("/?token=c0ffee", none) else { panic!() };
        assert!(cookie.starts_with("gst-upscale-8080=c0ffee;"), "{cookie}");
        let granted = Ok(Access::Granted);
        assert_eq!(with("/api/events", ("authorization", "Bearer c0ffee")), granted);
        assert_eq!(with("/api/events", ("cookie", "a=b; gst-upscale-8080=c0ffee")), granted);
        for header in [
            ("authorization", "Bearer c0ffe"),
            ("authorization", "c0ffee"),
            ("cookie", "gst-upscale-8080=x"),
            ("cookie", "gst-upscale-80=c0ffee"),
        ] {
            assert_eq!(with("/api/events", header), Err(Refusal::Token), "{header:?}");
        }
    }
}
