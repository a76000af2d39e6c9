//! The API for other machines: TLS 1.3 on a TCP port, and nothing for whoever does not say who he is.
//!
//! ```text
//! TCP ─► room for a handshake? ─► TLS, in time ─► room for a connection? ─► HTTP ─► who? ─► router ─► gate
//!         no: closed              no: closed       no: closed                        no: 401, closed
//! ```
//!
//! Unlike at the Unix socket, one too many does not wait: it might be anybody's. Each is counted, none makes
//! a line of the log.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::backend::Backend;
use crate::limits::{
    CONNECTION_IDLE, HEAD_BYTES, HEAD_HEADERS, HEAD_TIMEOUT, LINGER, LINGER_BYTES, TLS_CONNECTIONS,
    TLS_HANDSHAKES, TLS_TIMEOUT,
};

use super::bounded::Connection;
use super::door::{Caller, Door};
use super::gate::{Gate, Peer};
use super::rejection::Rejection;
use super::{Refusal, router};

/// What the listener may serve.
#[derive(Clone, Copy, Debug)]
pub(super) struct RemoteBounds {
    /// Handshakes at a time.
    pub(super) handshakes: usize,
    /// Connections at a time whose handshake is done.
    pub(super) connections: usize,
    /// The longest time of a handshake.
    pub(super) handshake: Duration,
    /// The longest time until a request's head is there.
    pub(super) head: Duration,
    /// The longest time in which nothing is read or written.
    pub(super) idle: Duration,
}

pub(super) const REMOTE_BOUNDS: RemoteBounds = RemoteBounds {
    handshakes: TLS_HANDSHAKES,
    connections: TLS_CONNECTIONS,
    handshake: TLS_TIMEOUT,
    head: HEAD_TIMEOUT,
    idle: CONNECTION_IDLE,
};

/// Serves the API at `listener`, to those whom `door` lets in, until `stop`.
pub(crate) async fn serve_remote<B: Backend>(
    listener: TcpListener,
    door: Arc<Door>,
    backend: Arc<B>,
    gate: Arc<Gate>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let reception = Reception::new(door, backend, gate, REMOTE_BOUNDS);
    reception.serve(listener, stop).await;
    Ok(())
}

/// The listener's state, shared by its connections.
pub(super) struct Reception {
    door: Arc<Door>,
    gate: Arc<Gate>,
    app: Router,
    bounds: RemoteBounds,
    handshakes: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Reception {
    pub(super) fn new<B: Backend>(
        door: Arc<Door>,
        backend: Arc<B>,
        gate: Arc<Gate>,
        bounds: RemoteBounds,
    ) -> Arc<Self> {
        let known = (Arc::clone(&door), Arc::clone(&gate));
        // Before the routes, not around each: one that exists would add its methods to the 401.
        let inside = Router::new().fallback_service(router(backend, &gate));
        let app = inside.layer(from_fn_with_state(known, identify));
        let handshakes = Arc::new(Semaphore::new(bounds.handshakes));
        let connections = Arc::new(Semaphore::new(bounds.connections));
        Arc::new(Self { door, gate, app, bounds, handshakes, connections })
    }

    /// Accepts until `stop`; then ends what is under way.
    pub(super) async fn serve(
        self: Arc<Self>,
        mut listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) {
        let (told, stopping) = watch::channel(false);
        let mut conversations = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                // Waits a while by itself when there are no descriptors.
                (stream, from) = axum::serve::Listener::accept(&mut listener) => {
                    match Arc::clone(&self.handshakes).try_acquire_owned() {
                        Ok(room) => {
                            let this = Arc::clone(&self);
                            conversations.spawn(this.converse(stream, from, room, stopping.clone()));
                        }
                        Err(_) => self.reject(from, Rejection::Full),
                    }
                }
                Some(_) = conversations.join_next() => {}
            }
        }
        told.send_replace(true);
        while conversations.join_next().await.is_some() {}
    }

    async fn converse(
        self: Arc<Self>,
        stream: TcpStream,
        from: SocketAddr,
        room: OwnedSemaphorePermit,
        mut stopping: watch::Receiver<bool>,
    ) {
        let greeted = tokio::select! {
            greeted = self.greet(stream) => greeted,
            () = told_to_stop(&mut stopping) => return,
        };
        match greeted {
            Ok((stream, connection)) => {
                drop(room);
                self.answer(stream, connection, stopping).await;
            }
            Err((rejection, stream)) => {
                self.reject(from, rejection);
                if let Some(stream) = stream {
                    linger(stream).await;
                }
            }
        }
    }

    /// Shakes hands. A stream on which that failed is handed back.
    async fn greet(
        &self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, OwnedSemaphorePermit), (Rejection, Option<TcpStream>)> {
        // Answers are small; a connection that cannot have this works as well.
        let _ = stream.set_nodelay(true);
        let accepting = TlsAcceptor::from(self.door.tls()).accept(stream);
        let accepted = timeout(self.bounds.handshake, accepting.into_fallible()).await;
        let stream = accepted.map_err(|_| (Rejection::Slow, None))?;
        let stream = stream.map_err(|(error, stream)| (Rejection::of(&error), Some(stream)))?;
        let room = Arc::clone(&self.connections).try_acquire_owned();
        Ok((stream, room.map_err(|_| (Rejection::Full, None))?))
    }

    /// Answers requests until the connection ends.
    async fn answer(
        &self,
        stream: TlsStream<TcpStream>,
        room: OwnedSemaphorePermit,
        mut stopping: watch::Receiver<bool>,
    ) {
        let caller = Caller::of(stream.get_ref().1);
        let app = TowerToHyperService::new(self.app.clone());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(caller.clone());
            app.call(request)
        });
        let io = TokioIo::new(Connection::new(stream, self.bounds.idle, room));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.bounds.head)
            .max_headers(HEAD_HEADERS)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = told_to_stop(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection of the API for other machines broke");
        }
    }

    fn reject(&self, from: SocketAddr, rejection: Rejection) {
        tracing::debug!(%from, reason = rejection.name(), "turned away");
        self.gate.reject(rejection);
    }
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that the listener is gone, and all ends.
    drop(stopping.wait_for(|stop| *stop).await);
}

/// Reads what is on its way, for a moment: closed before that, the kernel would reset the connection, and the
/// client might not learn by the alert that its certificate is refused.
async fn linger(mut stream: TcpStream) {
    let reading = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _ = timeout(LINGER, reading).await;
}

/// Lets a request through whose sender is known, and tells the gate who it is. Anybody else is told that he
/// is not known, and nothing else: not even which paths there are.
async fn identify(
    State((door, gate)): State<(Arc<Door>, Arc<Gate>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = request.extensions().get::<Caller>().unwrap_or(&Caller::Anonymous);
    match door.who(caller, request.headers()) {
        Ok(principal) => {
            request.headers_mut().remove(header::AUTHORIZATION);
            request.extensions_mut().insert(ConnectInfo(Peer::Remote(principal)));
            next.run(request).await
        }
        Err(rejection) => {
            gate.reject(rejection);
            // As with `linger`: the answer would get lost.
            let body = Limited::new(request.into_body(), LINGER_BYTES as usize).collect();
            let _ = timeout(LINGER, body).await;
            unknown()
        }
    }
}

fn unknown() -> Response {
    let why = "this node does not know you: show a certificate with one DNS name by its client-ca, or a \
               token that it knows";
    let mut answer = Refusal::of(StatusCode::UNAUTHORIZED, why).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
