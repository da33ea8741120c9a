//! The JSON-RPC server: HTTP and WebSocket on one port, `/session/<id>` for each session and `/` for the coprocessor.

mod batch;
mod connections;
mod dispatch;
mod envelope;
mod error;
mod http;
mod limits;
mod logs;
mod method;
mod methods;
mod metrics;
mod params;
mod peers;
mod socket;
mod stream;
mod subscription;
mod view;

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{lookup_host, TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch, OwnedSemaphorePermit};

use self::connections::{raise_file_limit, ClientGuard, Connections};
use self::dispatch::Server;
use self::limits::{FILTER_LIFETIME, HEADER_TIMEOUT, STOP_TIMEOUT};
use self::stream::ImpatientStream;
use crate::engine::Engine;

pub use self::dispatch::Target;
pub use self::metrics::metrics_text;

/// Pause after the system refused a connection, for instance because there are too many files.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Told to a client that has too many connections, before its next one is closed.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Connections that the system has accepted and that wait for the server.
const BACKLOG: u32 = 1024;

/// How a server listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listener {
    /// With other processes of this user: the system gives each connection to one of them (SO_REUSEPORT).
    pub share_port: bool,
    /// For the other processes of the deployment, which pass on what their many clients ask.
    pub peers: bool,
}

impl Listener {
    async fn bind(self, host: &str, port: u16) -> std::io::Result<TcpListener> {
        if !self.share_port {
            return TcpListener::bind((host, port)).await;
        }
        let mut failed = std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, "no such address");
        for address in lookup_host((host, port)).await? {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.set_reuseport(true)?;
            match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
                Ok(listener) => return Ok(listener),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// A running server.
pub struct RpcServer {
    port: u16,
    runtime: tokio::runtime::Handle,
    stopping: watch::Sender<bool>,
    /// Closed when the last connection is gone.
    alive: mpsc::Receiver<()>,
}

impl RpcServer {
    /// The bound port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Takes no more connections, lets open requests finish for a few seconds and tells WebSocket clients that they are disconnected.
    /// Blocks; not to be called from the runtime's own threads.
    pub fn stop(mut self) {
        self.stopping.send_replace(true);
        // What is open after that ends with the runtime.
        let _ = self.runtime.clone().block_on(async { tokio::time::timeout(STOP_TIMEOUT, self.alive.recv()).await });
    }
}

/// Binds and starts to serve on the current runtime. Port 0 takes a free one.
pub async fn serve(engine: Arc<Engine>, host: &str, port: u16, how: Listener) -> std::io::Result<RpcServer> {
    let listener = how.bind(host, port).await?;
    let port = listener.local_addr()?.port();
    let (stopping, stopped) = watch::channel(false);
    let (guard, alive) = mpsc::channel(1);
    let most = if how.peers { 0 } else { engine.limits().client_connections };
    let connections = Connections::new(raise_file_limit(), most);
    let server = Arc::new(Server::new(engine, stopped));
    tokio::spawn(accept(listener, connections, server, guard));
    Ok(RpcServer { port, runtime: tokio::runtime::Handle::current(), stopping, alive })
}

async fn accept(listener: TcpListener, connections: Connections, server: Arc<Server>, alive: mpsc::Sender<()>) {
    let stopped = server.stopped();
    tokio::pin!(stopped);
    let mut tidying = tokio::time::interval(FILTER_LIFETIME / 5);
    loop {
        let Some(place) = (tokio::select! {
            place = connections.place() => place,
            _ = &mut stopped => return,
        }) else {
            return;
        };
        let accepted = loop {
            tokio::select! {
                accepted = listener.accept() => break accepted,
                _ = tidying.tick() => server.tidy(),
                _ = &mut stopped => return,
            }
        };
        let Ok((connection, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        let Some(client) = connections.admit(peer.ip()) else {
            // A courtesy, for which nobody waits.
            let _ = connection.try_write(TOO_MANY);
            continue;
        };
        let guard = ConnectionGuard { _alive: alive.clone(), _counted: Arc::new((place, client)) };
        tokio::spawn(serve_connection(connection, server.clone(), guard));
    }
}

/// Held by whatever serves a connection: the server counts connections, and knows when the last is gone.
#[derive(Clone)]
struct ConnectionGuard {
    _alive: mpsc::Sender<()>,
    _counted: Arc<(OwnedSemaphorePermit, ClientGuard)>,
}

async fn serve_connection(connection: TcpStream, server: Arc<Server>, guard: ConnectionGuard) {
    let _gauge = metrics::Gauge::connection();
    // Answers are small and complete: waiting to fill packets only delays them.
    let _ = connection.set_nodelay(true);
    let (shared, shared_guard) = (server.clone(), guard.clone());
    let service = service_fn(move |request| http::serve(shared.clone(), shared_guard.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(ImpatientStream::new(connection)), service)
        .with_upgrades();
    tokio::pin!(connection);
    // An error is the client's: it went away, was too slow or did not speak HTTP.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = server.stopped() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
