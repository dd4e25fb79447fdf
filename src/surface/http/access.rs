//! Who may use the page: this machine's own browser, or whoever has the token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::fault;

/// A secret that opens the page from other machines.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a secret of 8 or more letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// Says what a token is made of.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if fits { Ok(Self(text.to_owned())) } else { Err("a token has 8 or more letters, digits, - and _".into()) }
    }

    /// A new one that nobody can guess.
    pub fn random() -> std::io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(std::io::Error::from)?;
        let mut random = ChaCha20Rng::from_seed(seed);
        Ok(Self(format!("{:016x}{:016x}", random.next_u64(), random.next_u64())))
    }

    /// As it is typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes as long for a wrong one as for the right one.
    fn is(&self, offered: &str) -> bool {
        self.0.len() == offered.len() && self.0.bytes().zip(offered.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// What a request must show.
#[derive(Clone, Debug)]
pub enum Access {
    /// The server listens on this machine alone: the request must be meant for this machine (a page elsewhere whose name
    /// was made to point here is refused).
    ThisMachine,
    /// The server can be reached from elsewhere: the request must have the token.
    Token(Token),
}

impl Access {
    /// What an address demands: beyond this machine, a token.
    ///
    /// # Errors
    /// When there is no source of randomness for a token.
    pub fn to(address: SocketAddr, token: Option<Token>) -> std::io::Result<Self> {
        match token {
            Some(token) => Ok(Self::Token(token)),
            None if address.ip().is_loopback() => Ok(Self::ThisMachine),
            None => Token::random().map(Self::Token),
        }
    }

    fn refusal(&self, request: &Request) -> Option<(StatusCode, &'static str)> {
        let header = |name| request.headers().get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        let host = header(HOST).unwrap_or_default();
        if request.headers().contains_key(ORIGIN) && header(ORIGIN) != Some(format!("http://{host}").as_str()) {
            return Some((StatusCode::FORBIDDEN, "requests from pages of other origins are refused"));
        }
        match self {
            Self::ThisMachine if is_this_machine(host) => None,
            Self::ThisMachine => {
                Some((StatusCode::FORBIDDEN, "open this page as http://localhost or http://127.0.0.1"))
            }
            Self::Token(token) => {
                let bearer = header(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
                let pairs = request.uri().query().unwrap_or_default().split('&');
                let asked = pairs.filter_map(|pair| pair.strip_prefix("token=")).next();
                let shown = bearer.or(asked).is_some_and(|offered| token.is(offered));
                (!shown).then_some((
                    StatusCode::UNAUTHORIZED,
                    "the token is missing or wrong: open the address that antiphon printed, with ?token= behind it",
                ))
            }
        }
    }
}

/// Whether a `Host` header names this machine.
fn is_this_machine(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name);
    let name = bracketed.unwrap_or_else(|| host.split(':').next().unwrap_or_default());
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Lets a request through or refuses it. The page's own files hold no secret, so that a browser can load them by the
/// links inside the page.
pub(super) async fn check(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    fault::point("http");
    let open =
        matches!(request.uri().path(), "/page.css" | "/page.js" | "/roll.js" | "/rig.js" | "/takes.js" | "/icon.svg");
    match access.refusal(&request) {
        Some((status, why)) if !open || status == StatusCode::FORBIDDEN => (status, format!("{why}\n")).into_response(),
        _ => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(access: &Access, path: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = axum::http::Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::empty()).expect("well formed");
        access.refusal(&request).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn this_machine_gets_in_and_names_that_only_point_here_do_not() {
        let access = Access::to(([127, 0, 0, 1], 7272).into(), None).expect("no token is needed");
        for host in ["localhost:7272", "127.0.0.1:7272", "[::1]:7272", "LOCALHOST"] {
            assert_eq!(refused(&access, "/", &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example:7272", "127.0.0.1.evil.example", "", "192.168.1.2:7272"] {
            assert_eq!(refused(&access, "/", &[("host", host)]), Some(403), "{host}");
        }
        let local = ("host", "localhost:7272");
        assert_eq!(refused(&access, "/ws", &[local, ("origin", "http://localhost:7272")]), None);
        for origin in ["http://evil.example", "null", "http://localhost:8000", "https://localhost:7272"] {
            assert_eq!(refused(&access, "/ws", &[local, ("origin", origin)]), Some(403), "{origin}");
        }
    }

    #[test]
    fn beyond_this_machine_the_token_opens_and_nothing_else() {
        let token = Token::parse("let-me-in-9").expect("long enough");
        let access = Access::to(([0, 0, 0, 0], 7272).into(), Some(token)).expect("a token");
        let host = ("host", "studio.local:7272");
        assert_eq!(refused(&access, "/?token=let-me-in-9", &[host]), None);
        assert_eq!(refused(&access, "/api/state", &[host, ("authorization", "Bearer let-me-in-9")]), None);
        for path in ["/", "/?token=let-me-in-8", "/?token=", "/?token=let-me-in-99", "/?x=token=let-me-in-9"] {
            assert_eq!(refused(&access, path, &[host]), Some(401), "{path}");
        }
        let foreign = [host, ("origin", "http://evil.example")];
        assert_eq!(refused(&access, "/?token=let-me-in-9", &foreign), Some(403));
        assert!(matches!(Access::to(([0, 0, 0, 0], 1).into(), None), Ok(Access::Token(_))), "one is made up");
        assert_ne!(Token::random().expect("randomness"), Token::random().expect("randomness"));
        assert!(Token::parse("short").is_err() && Token::parse("with blanks in it").is_err());
    }
}
