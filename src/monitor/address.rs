//! Where a running Antiphon is found, as a person types it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::str::FromStr;
use std::time::Duration;

use crate::surface::http::{Token, USUAL_PORT};

/// How long a host may take to answer the first packet.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Host, port and, where it was part of what was typed, the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    token: Option<Token>,
}

impl Default for Address {
    /// This machine, at the port where `antiphon jam` serves its page unless told otherwise.
    fn default() -> Self {
        Self { host: Ipv4Addr::LOCALHOST.to_string(), port: USUAL_PORT, token: None }
    }
}

impl Address {
    /// The same with this token, unless it has one.
    #[must_use]
    pub fn or_token(self, token: Option<Token>) -> Self {
        Self { token: self.token.or(token), ..self }
    }

    /// What opens it from other machines.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Host and port as a `Host` header has them.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Connects, to whichever of the host's addresses answers first.
    ///
    /// # Errors
    /// What the system said of the last one that was tried.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "this host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl FromStr for Address {
    type Err = String;

    /// Takes a port, a host, both, or the whole address of the page as `antiphon jam` prints it.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "expected PORT, HOST, HOST:PORT, or the address that antiphon prints behind `page:`, such as \
             http://studio.local:7272/?token=SECRET"
                .to_owned()
        };
        if text.starts_with("https:") {
            return Err("Antiphon speaks http; lead it through `ssh -L 7272:localhost:7272 HOST` instead".into());
        }
        let (place, token) = match text.strip_prefix("http://") {
            None => (text, None),
            Some(rest) => {
                let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
                let token = query.split('&').find_map(|pair| pair.strip_prefix("token="));
                (place.trim_end_matches('/'), token.map(Token::parse).transpose()?)
            }
        };
        if let Ok(port) = place.parse::<u16>() {
            return if port == 0 { Err(wrong()) } else { Ok(Self { port, token, ..Self::default() }) };
        }
        let (host, port) = if let Ok(bare) = place.parse::<Ipv6Addr>() {
            (bare.to_string(), USUAL_PORT)
        } else if let Ok(address) = place.parse::<SocketAddr>() {
            (address.ip().to_string(), address.port())
        } else {
            let (host, port) = place.split_once(':').unwrap_or((place, ""));
            let port = if port.is_empty() { USUAL_PORT } else { port.parse().map_err(|_| wrong())? };
            (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
        };
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
        if host.is_empty() || port == 0 || !is_name(&host) {
            return Err(wrong());
        }
        // Where a server listens on all networks, it is reached on this machine.
        let host = match host.parse() {
            Ok(IpAddr::V4(ip)) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            Ok(IpAddr::V6(ip)) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
            _ => host,
        };
        Ok(Self { host, port, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jam_prints_and_what_people_type_is_understood() {
        for (text, authority) in [
            ("7300", "127.0.0.1:7300"),
            ("studio.local", "studio.local:7272"),
            ("studio.local:7300", "studio.local:7300"),
            ("192.168.1.20", "192.168.1.20:7272"),
            ("0.0.0.0:7272", "127.0.0.1:7272"),
            ("[::]:7300", "[::1]:7300"),
            ("::1", "[::1]:7272"),
            ("[fe80::1]:7300", "[fe80::1]:7300"),
            ("http://127.0.0.1:7272", "127.0.0.1:7272"),
            ("http://0.0.0.0:7272/?token=open-sesame", "127.0.0.1:7272"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.authority(), authority, "{text}");
        }
        let address: Address = "http://studio:7272/?token=open-sesame".parse().expect("whole");
        assert_eq!(address.token().map(Token::as_str), Some("open-sesame"));
        let other = Token::parse("another-one").ok();
        assert_eq!(address.clone().or_token(other.clone()), address, "what is in the address counts");
        assert_eq!(Address::default().or_token(other.clone()).token(), other.as_ref());
    }

    #[test]
    fn nonsense_is_refused_with_what_to_type() {
        for text in ["", "0", "studio:0", "studio:port", "two words", "http://", "a/b", "70000:1:2", "::1]:7"] {
            let refused = text.parse::<Address>();
            assert!(refused.is_err(), "{text:?}: {refused:?}");
        }
        assert!("https://studio".parse::<Address>().expect_err("refused").contains("ssh -L"));
        assert!("http://studio/?token=short".parse::<Address>().expect_err("refused").contains("8 or more"));
    }
}
