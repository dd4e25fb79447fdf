//! The page and the HTTP API, on one ordinary thread. Nothing here can make the session wait: it reads counters, takes
//! from the feed what is there, and asks the conductor as a typed line does.

mod access;
mod api;
mod metrics;
mod socket;
mod takes;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

pub use access::{Access, Token};
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::sync::oneshot;

use crate::ports::Cables;
use crate::session::Controller;
use crate::shelf::ModelChoice;
use crate::sight::Feed;
use crate::status::Status;
use crate::time::Clock;

/// The port where it listens unless told otherwise: no well-known program has it.
pub const USUAL_PORT: u16 = 7272;

/// What every request may use.
#[derive(Clone)]
pub struct Desk {
    /// The session's clock.
    pub clock: Clock,
    /// How to ask for something.
    pub controller: Controller,
    /// What happens.
    pub feed: Feed,
    /// Counters and figures.
    pub status: Arc<Status>,
    /// Where the take is written; its neighbours are the earlier ones.
    pub take: PathBuf,
    /// Our own ports, the one that listens and the one that answers, where there are any.
    pub own_ports: [Option<String>; 2],
    /// The other ports, and a way to attach them.
    pub cables: Cables,
    /// The models that can be chosen now.
    pub models: Arc<dyn Fn() -> ModelChoice + Send + Sync>,
}

/// Listens on `address` or, where that port is taken, on the first free one of the `others` behind it; port 0 takes any
/// that is free.
///
/// # Errors
/// When none of them can be listened on.
pub fn listen(address: SocketAddr, others: u16) -> io::Result<TcpListener> {
    let ports = (0..=others).map_while(|step| address.port().checked_add(step));
    let mut refusal = None;
    for port in ports {
        match TcpListener::bind(SocketAddr::new(address.ip(), port)) {
            Err(why) if why.kind() == io::ErrorKind::AddrInUse => refusal = Some(why),
            other => return other,
        }
    }
    Err(refusal.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

/// The running server. Dropping it ends it, and cuts its connections.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves whoever comes to `listener`.
    ///
    /// # Errors
    /// When the listener is none any more, or there is no thread.
    pub fn start(listener: TcpListener, access: Access, desk: Desk) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            tokio::select! {
                _ = axum::serve(listener, router(Arc::new(access), desk)) => {}
                _ = stopped => {}
            }
        };
        // The runtime is dropped with the thread, and every connection with it.
        let thread = thread::Builder::new().name("http".into()).spawn(move || runtime.block_on(serve))?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn router(access: Arc<Access>, desk: Desk) -> Router {
    Router::new()
        .route("/", get(async || file("text/html; charset=utf-8", include_str!("page/index.html"))))
        .route("/page.css", get(async || file("text/css; charset=utf-8", include_str!("page/page.css"))))
        .route("/page.js", get(async || file("text/javascript; charset=utf-8", include_str!("page/page.js"))))
        .route("/roll.js", get(async || file("text/javascript; charset=utf-8", include_str!("page/roll.js"))))
        .route("/takes.js", get(async || file("text/javascript; charset=utf-8", include_str!("page/takes.js"))))
        .route("/rig.js", get(async || file("text/javascript; charset=utf-8", include_str!("page/rig.js"))))
        .route("/icon.svg", get(async || file("image/svg+xml", include_str!("page/icon.svg"))))
        .route("/ws", get(socket::open))
        .route("/metrics", get(metrics::show))
        .route("/api/openapi.json", get(async || file("application/json", include_str!("openapi.json"))))
        .route("/api/state", get(api::state))
        .route("/api/settings", get(api::settings))
        .route("/api/settings/{name}", post(api::set))
        .route("/api/control", post(api::control))
        .route("/api/ports/attach", post(api::attach))
        .route("/api/ports/detach", post(api::detach))
        .route("/api/figures", get(api::figures))
        .route("/api/actions", get(api::actions))
        .route("/api/models", get(api::models))
        .route("/api/playback", get(takes::playing).post(takes::play).delete(takes::stop))
        .route("/api/takes", get(takes::list))
        .route("/api/takes/{name}", get(takes::download).delete(takes::delete))
        .layer(axum::middleware::from_fn_with_state(access, access::check))
        .with_state(desk)
}

/// The body of anybody's request, up to what it asks for: for [`crate::doors`].
#[cfg(any(test, feature = "doors"))]
pub(crate) fn door(bytes: &[u8]) {
    api::door(bytes);
}

/// A file of the page. It loads nothing from elsewhere, and no other page may frame it.
fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let policy = "default-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, policy)], text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_port_is_taken_the_next_free_one_is_had_if_others_will_do() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address");
        assert_eq!(listen(address, 0).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
        let next = listen(address, 100).expect("one of a hundred is free");
        assert!(next.local_addr().expect("an address").port() > address.port());
    }
}
