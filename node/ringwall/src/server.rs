//! The daemon's side of the API: HTTP with JSON bodies, on a Unix socket, whose askers have roles,
//! on a TCP port with TLS, whose clients have certificates or tokens, and, for Prometheus, on an address of
//! the operator's choice.

mod bounded;
mod door;
mod endpoint;
mod gate;
mod metrics;
mod rejection;
mod remote;
mod socket;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use config::api;
use tokio::net::{TcpListener, UnixListener};

use crate::backend::Backend;
use crate::limits::{API_CONNECTIONS, CONNECTION_IDLE, METRICS_CONNECTIONS, REQUEST_BYTES};

use bounded::{Bounded, Bounds};
pub(crate) use door::{Door, DoorError};
use endpoint::{Endpoint, METRICS};
pub(crate) use gate::Gate;
use gate::{Asker, Peer, admit};
pub(crate) use remote::serve_remote;
pub(crate) use socket::{Claim, SocketError};

const API_BOUNDS: Bounds = Bounds { connections: API_CONNECTIONS, idle: CONNECTION_IDLE };
const METRICS_BOUNDS: Bounds = Bounds { connections: METRICS_CONNECTIONS, idle: CONNECTION_IDLE };

/// Serves the API at `listener` until `stop`.
pub(crate) async fn serve<B: Backend>(
    listener: UnixListener,
    backend: Arc<B>,
    gate: Arc<Gate>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = Bounded::new(listener, "api", API_BOUNDS);
    let service = router(backend, &gate).into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

/// Serves `/metrics` at `listener` until `stop`.
pub(crate) async fn serve_metrics<B: Backend>(
    listener: TcpListener,
    backend: Arc<B>,
    gate: Arc<Gate>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = Router::new().route(METRICS, get(scrape::<B>)).layer(Extension(gate));
    let listener = Bounded::new(listener, "metrics", METRICS_BOUNDS);
    axum::serve(listener, app.with_state(backend)).with_graceful_shutdown(stop).await
}

fn router<B: Backend>(backend: Arc<B>, gate: &Arc<Gate>) -> Router {
    let route = |router: Router<Arc<B>>, endpoint: Endpoint| {
        let (path, role) = endpoint.needs();
        let gate = (Arc::clone(gate), role);
        router.route(path, handler(endpoint).route_layer(from_fn_with_state(gate, admit)))
    };
    Endpoint::ALL
        .into_iter()
        .fold(Router::new(), route)
        .fallback(async || Refusal::of(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Refusal::of(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
        })
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .layer(Extension(Arc::clone(gate)))
        .with_state(backend)
}

fn handler<B: Backend>(endpoint: Endpoint) -> MethodRouter<Arc<B>> {
    match endpoint {
        Endpoint::Status => get(status::<B>),
        Endpoint::Sessions => post(sessions::<B>),
        Endpoint::SessionsClear => post(clear::<B>),
        Endpoint::Conversations => post(conversations::<B>),
        Endpoint::Counters => get(counters::<B>),
        Endpoint::Policy => get(policy::<B>),
        Endpoint::PolicyStatus => get(policy_status::<B>),
        Endpoint::Ports => get(ports::<B>),
        Endpoint::Commit => post(commit::<B>),
        Endpoint::Confirm => post(confirm::<B>),
        Endpoint::Rollback => post(rollback::<B>),
        Endpoint::History => get(history::<B>),
        Endpoint::Compare => post(compare::<B>),
        Endpoint::Explain => post(explain::<B>),
        Endpoint::Cluster => get(cluster::<B>),
        Endpoint::ClusterRequest => post(ask_cluster::<B>),
        Endpoint::ClusterMember => post(change_member::<B>),
        Endpoint::ClusterToken => post(make_token::<B>),
        Endpoint::Anomalies => post(anomalies::<B>),
        Endpoint::AnomaliesClear => post(clear_anomalies::<B>),
        Endpoint::Screens => get(screening::<B>),
        Endpoint::Top => post(top::<B>),
        Endpoint::Alg => get(algs::<B>),
        Endpoint::Nat => post(nat::<B>),
        Endpoint::Failpoint => post(failpoint::<B>),
        Endpoint::Metrics => get(scrape::<B>),
    }
}

type Node<B> = State<Arc<B>>;
type Asked<T> = Result<Json<api::Object<T>>, JsonRejection>;
type Answer<T> = Result<Json<T>, Refusal>;

async fn status<B: Backend>(State(node): Node<B>) -> Answer<api::Status> {
    Ok(Json(node.status().await?))
}

async fn sessions<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::PageRequest>,
) -> Answer<api::SessionsPage> {
    Ok(Json(node.sessions(body(asked)?).await?))
}

async fn clear<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::ClearRequest>,
) -> Answer<api::Cleared> {
    Ok(Json(node.clear(body(asked)?).await?))
}

async fn conversations<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::PageRequest>,
) -> Answer<api::ConversationsPage> {
    Ok(Json(node.conversations(body(asked)?).await?))
}

async fn anomalies<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::AnomaliesRequest>,
) -> Answer<api::Anomalies> {
    Ok(Json(node.anomalies(body(asked)?).await?))
}

async fn clear_anomalies<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::AnomaliesClearRequest>,
) -> Answer<api::Done> {
    Ok(Json(node.clear_anomalies(body(asked)?).await?))
}

async fn screening<B: Backend>(State(node): Node<B>) -> Answer<api::Screening> {
    Ok(Json(node.screening().await?))
}

async fn top<B: Backend>(State(node): Node<B>, asked: Asked<api::TopRequest>) -> Answer<api::Top> {
    Ok(Json(node.top(body(asked)?).await?))
}

async fn algs<B: Backend>(State(node): Node<B>) -> Answer<api::Algs> {
    Ok(Json(node.algs().await?))
}

async fn nat<B: Backend>(State(node): Node<B>, asked: Asked<api::NatRequest>) -> Answer<api::Nat> {
    Ok(Json(node.nat(body(asked)?).await?))
}

async fn counters<B: Backend>(State(node): Node<B>) -> Answer<api::Counters> {
    Ok(Json(node.counters().await?))
}

async fn policy<B: Backend>(State(node): Node<B>) -> Answer<api::Policy> {
    Ok(Json(node.policy().await?))
}

async fn policy_status<B: Backend>(State(node): Node<B>) -> Answer<api::PolicyStatus> {
    Ok(Json(node.policy_status().await?))
}

async fn ports<B: Backend>(State(node): Node<B>) -> Answer<api::Ports> {
    Ok(Json(node.ports().await?))
}

async fn commit<B: Backend>(
    State(node): Node<B>,
    Extension(asker): Extension<Asker>,
    asked: Asked<api::CommitRequest>,
) -> Answer<api::Committed> {
    Ok(Json(node.commit(body(asked)?, asker.name).await?))
}

async fn confirm<B: Backend>(
    State(node): Node<B>,
    Extension(asker): Extension<Asker>,
    asked: Asked<api::ConfirmRequest>,
) -> Answer<api::Confirmed> {
    Ok(Json(node.confirm(body(asked)?, asker.name).await?))
}

async fn rollback<B: Backend>(
    State(node): Node<B>,
    Extension(asker): Extension<Asker>,
    asked: Asked<api::RollbackRequest>,
) -> Answer<api::Committed> {
    Ok(Json(node.rollback(body(asked)?, asker.name).await?))
}

async fn history<B: Backend>(State(node): Node<B>) -> Answer<api::History> {
    Ok(Json(node.history().await?))
}

async fn compare<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::CompareRequest>,
) -> Answer<api::Comparison> {
    Ok(Json(node.compare(body(asked)?).await?))
}

async fn explain<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::ExplainRequest>,
) -> Answer<api::Explanation> {
    Ok(Json(node.explain(body(asked)?).await?))
}

async fn cluster<B: Backend>(State(node): Node<B>) -> Answer<api::Cluster> {
    Ok(Json(node.cluster().await?))
}

async fn ask_cluster<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::ClusterRequest>,
) -> Answer<api::Done> {
    Ok(Json(node.ask_cluster(body(asked)?).await?))
}

async fn change_member<B: Backend>(
    State(node): Node<B>,
    Extension(asker): Extension<Asker>,
    asked: Asked<api::MemberRequest>,
) -> Answer<api::Done> {
    Ok(Json(node.change_member(body(asked)?, asker.name).await?))
}

async fn make_token<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::TokenRequest>,
) -> Answer<api::TokenMade> {
    Ok(Json(node.make_token(body(asked)?).await?))
}

async fn failpoint<B: Backend>(
    State(node): Node<B>,
    asked: Asked<api::FailpointRequest>,
) -> Answer<api::Done> {
    Ok(Json(node.failpoint(body(asked)?).await?))
}

/// What was asked, if it is understood.
fn body<T>(asked: Asked<T>) -> Result<T, Refusal> {
    let Json(api::Object(body)) = asked?;
    Ok(body)
}

async fn scrape<B: Backend>(
    State(node): Node<B>,
    Extension(gate): Extension<Arc<Gate>>,
) -> Result<String, Refusal> {
    let facts = metrics::Facts::gather(node.as_ref(), &gate).await?;
    Ok(metrics::render(&facts))
}

/// An answer other than 200.
struct Refusal {
    status: StatusCode,
    error: api::Error,
}

impl Refusal {
    fn of(status: StatusCode, why: &str) -> Self {
        Self { status, error: api::Error::new(why) }
    }
}

impl From<api::Error> for Refusal {
    /// The node understood, and says no; or it cannot say what came of it, and may be asked again.
    fn from(error: api::Error) -> Self {
        let status = match error.unknown {
            true => StatusCode::SERVICE_UNAVAILABLE,
            false => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self { status, error }
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::of(rejection.status(), &rejection.body_text())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.error)).into_response()
    }
}
