//! Flags for the page and the HTTP API.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use clap::Args;

use super::log::Log;
use super::{Exit, Failure};
use crate::surface::http::{Access, Desk, Server, Token, USUAL_PORT, listen};

/// Ports behind the usual one that are tried where none was asked for.
const OTHERS: u16 = 19;

#[derive(Clone, Debug, Args)]
pub(super) struct HttpFlags {
    /// Serve the page and the HTTP API here: PORT for this machine alone, ADDR:PORT for those who reach that address and
    /// have the token; port 0 takes any [default: 7272, or the next free one up to 7291]
    #[arg(long, value_name = "ADDR:PORT", value_parser = address, env = "ANTIPHON_HTTP")]
    pub http: Option<SocketAddr>,

    /// Serve no page
    #[arg(long, conflicts_with = "http")]
    pub no_http: bool,

    /// What opens the page from other machines, 8 or more letters and digits [default: beyond this machine a new one each time]
    #[arg(long, value_name = "SECRET", value_parser = Token::parse, env = "ANTIPHON_TOKEN", hide_env_values = true)]
    pub token: Option<Token>,
}

/// Where a phone finds what is served on all networks: at this machine's address in the one that leads to others. Nothing is
/// sent to find that out. Where there is none, the address stays as it is.
fn reached_at(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    // Addresses that documents use and nobody has.
    let beyond = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    };
    let own = UdpSocket::bind((address.ip(), 0)).and_then(|socket| {
        socket.connect((beyond, 9))?;
        socket.local_addr()
    });
    own.map_or(address, |own| SocketAddr::new(own.ip(), address.port()))
}

impl HttpFlags {
    /// Opens the server and says where.
    ///
    /// # Errors
    /// When the address that was asked for cannot be had. Without the usual one the music goes on.
    pub(super) fn open(&self, log: Log, desk: Desk) -> Result<Option<Server>, Failure> {
        if self.no_http {
            return Ok(None);
        }
        let address = self.http.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), USUAL_PORT));
        let access = Access::to(address, self.token.clone())?;
        let token = match &access {
            Access::Token(token) => format!("/?token={}", token.as_str()),
            Access::ThisMachine => String::new(),
        };
        let others = if self.http.is_none() { OTHERS } else { 0 };
        match listen(address, others).and_then(|listener| Server::start(listener, access, desk)) {
            Ok(server) => {
                if self.http.is_none() && server.address.port() != USUAL_PORT {
                    log.info(format_args!("port {USUAL_PORT} is taken, perhaps by another antiphon"));
                }
                log.info(format_args!("page: http://{}{token}", reached_at(server.address)));
                Ok(Some(server))
            }
            Err(why) if self.http.is_none() => {
                log.warning(format_args!("page: none ({address}: {why}); --http PORT names another place"));
                Ok(None)
            }
            Err(why) => Err(Failure::new(
                Exit::Port,
                format!("the page cannot be served at {address}: {}; name another place with --http", reason(&why)),
            )),
        }
    }
}

/// In words, where the port is taken.
fn reason(why: &std::io::Error) -> String {
    match why.kind() {
        std::io::ErrorKind::AddrInUse => "the port is taken, perhaps by another antiphon".to_owned(),
        _ => why.to_string(),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| "expected a port, or an address and a port such as 0.0.0.0:7272 or [::]:7272".into())
}
