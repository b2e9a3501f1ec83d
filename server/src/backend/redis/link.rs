//! Connections to a Redis: one a thread, made when needed, replaced when broken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo};
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, ProtocolVersion,
    RedisError, RedisResult, TlsMode, Value,
};
use tokio::sync::Mutex as AsyncMutex;

use super::address::Address;
use super::cluster;

/// Time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// Idle time after which a peer is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Time for a reply.
const RESPONSE: Duration = Duration::from_secs(15);

/// A connection that many requests share.
#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster(Box<ClusterConnection>),
}

impl Link {
    async fn command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd).await,
            Self::Cluster(connection) => cluster::command(connection, cmd).await,
        }
    }

    async fn pipeline(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let count = commands.len();
        match self {
            Self::Single(connection) => connection.req_packed_commands(commands, 0, count).await,
            Self::Cluster(connection) => cluster::transaction(connection, commands).await,
        }
    }
}

enum Source {
    Standalone(Box<Client>),
    Cluster {
        client: Box<ClusterClient>,
        nodes: Vec<Client>,
    },
    Sentinel(Box<AsyncMutex<SentinelClient>>),
}

type Slot = Arc<AsyncMutex<Option<Link>>>;

/// Makes and keeps connections.
pub(super) struct Links {
    source: Source,
    /// Each thread has its own: a connection lives on the event loop that made it.
    slots: Mutex<HashMap<ThreadId, Slot>>,
}

/// Why a call got no reply.
pub(super) enum Trouble {
    /// No connection: nothing was sent.
    Unreachable(RedisError),
    /// Sent, or perhaps sent.
    Broken(RedisError),
}

impl Links {
    pub(super) fn new(address: Address) -> Result<Self, String> {
        if address.uses_tls() {
            // Fails only if a provider is installed already, which is as good.
            let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        }
        let problem = |error: RedisError| format!("not usable: {}", error.category());
        let source = match address {
            Address::Standalone(info) => {
                Source::Standalone(Box::new(Client::open(resp2(*info)).map_err(problem)?))
            }
            Address::Cluster(nodes) => {
                let nodes: Vec<ConnectionInfo> = nodes.into_iter().map(resp2).collect();
                let client = ClusterClient::builder(nodes.clone())
                    .use_protocol(ProtocolVersion::RESP2)
                    .connection_timeout(CONNECT)
                    .response_timeout(RESPONSE)
                    .retries(0)
                    .tcp_settings(tcp())
                    .build()
                    .map_err(problem)?;
                let nodes = nodes.into_iter().map(Client::open);
                Source::Cluster {
                    client: Box::new(client),
                    nodes: nodes.collect::<RedisResult<_>>().map_err(problem)?,
                }
            }
            Address::Sentinel {
                sentinels,
                name,
                tls,
                db,
            } => {
                let client = sentinel(&sentinels, &name, tls, db).map_err(problem)?;
                Source::Sentinel(Box::new(AsyncMutex::new(client)))
            }
        };
        Ok(Self {
            source,
            slots: Mutex::new(HashMap::new()),
        })
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.source, Source::Cluster { .. })
    }

    fn slot(&self) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(thread::current().id()).or_default())
    }

    /// This thread's connection.
    pub(super) async fn link(&self) -> Result<Link, Trouble> {
        let slot = self.slot();
        let mut slot = slot.lock().await;
        if let Some(link) = slot.as_ref() {
            return Ok(link.clone());
        }
        let link = self.connect().await.map_err(Trouble::Unreachable)?;
        *slot = Some(link.clone());
        Ok(link)
    }

    /// Makes the next call connect anew.
    pub(super) async fn forget(&self) {
        *self.slot().lock().await = None;
    }

    async fn connect(&self) -> RedisResult<Link> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE));
        let connecting = async {
            match &self.source {
                Source::Standalone(client) => {
                    let connection = client.get_multiplexed_async_connection_with_config(&config);
                    connection.await.map(Link::Single)
                }
                Source::Cluster { client, .. } => {
                    let connection = client.get_async_connection().await?;
                    Ok(Link::Cluster(Box::new(connection)))
                }
                Source::Sentinel(client) => {
                    let mut client = client.lock().await;
                    let connection = client.get_async_connection_with_config(&config);
                    connection.await.map(Link::Single)
                }
            }
        };
        tokio::time::timeout(CONNECT * 2, connecting)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    }

    pub(super) async fn command(&self, cmd: &Cmd) -> Result<Value, Trouble> {
        let mut link = self.link().await?;
        let (outcome, sent) = first_poll(link.command(cmd)).await;
        if !sent
            && outcome
                .as_ref()
                .is_err_and(RedisError::is_connection_dropped)
        {
            self.forget().await;
            let mut link = self.link().await?;
            return self.settle(link.command(cmd).await).await;
        }
        self.settle(outcome).await
    }

    /// Sends commands in one piece: nothing of other requests comes between them.
    pub(super) async fn pipeline(&self, commands: &Pipeline) -> Result<Vec<Value>, Trouble> {
        let mut link = self.link().await?;
        let (outcome, sent) = first_poll(link.pipeline(commands)).await;
        if !sent
            && outcome
                .as_ref()
                .is_err_and(RedisError::is_connection_dropped)
        {
            self.forget().await;
            let mut link = self.link().await?;
            return self.settle(link.pipeline(commands).await).await;
        }
        self.settle(outcome).await
    }

    /// Asks every node of a cluster, or the one Redis.
    pub(super) async fn everywhere(&self, cmd: &Cmd) -> Result<Value, Trouble> {
        match self.link().await? {
            Link::Single(mut connection) => {
                self.settle(connection.req_packed_command(cmd).await).await
            }
            Link::Cluster(mut connection) => {
                let all = MultipleNodeRoutingInfo::AllNodes;
                let route = RoutingInfo::MultiNode((all, Some(ResponsePolicy::Special)));
                self.settle(connection.route_command(cmd.clone(), route).await)
                    .await
            }
        }
    }

    async fn settle<T>(&self, outcome: RedisResult<T>) -> Result<T, Trouble> {
        match outcome {
            Ok(value) => Ok(value),
            Err(error) => {
                let broken = error.is_unrecoverable_error() || error.is_io_error();
                if broken && !self.is_cluster() {
                    self.forget().await;
                }
                Err(Trouble::Broken(error))
            }
        }
    }

    /// A client for a connection of its own, such as a subscription.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        match &self.source {
            Source::Standalone(client) => Ok(client.as_ref().clone()),
            Source::Sentinel(client) => client.lock().await.async_get_client().await,
            Source::Cluster { nodes, .. } => {
                // Messages reach every node; the first one that answers will do.
                for node in nodes {
                    let probe = node.get_multiplexed_async_connection();
                    if let Ok(Ok(_)) = tokio::time::timeout(CONNECT, probe).await {
                        return Ok(node.clone());
                    }
                }
                Err(timed_out())
            }
        }
    }
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn resp2(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP2)
        .set_lib_name("restis", env!("CARGO_PKG_VERSION"));
    info.set_redis_settings(settings).set_tcp_settings(tcp())
}

/// Small requests go out at once, and a peer that is gone is noticed.
fn tcp() -> TcpSettings {
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE)
        .with_interval(KEEP_ALIVE / 3);
    TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keep_alive)
}

fn sentinel(
    sentinels: &[ConnectionInfo],
    name: &str,
    tls: bool,
    db: i64,
) -> RedisResult<SentinelClient> {
    let settings = sentinels
        .first()
        .map(ConnectionInfo::redis_settings)
        .ok_or((ErrorKind::InvalidClientConfig, "no sentinel"))?;
    let addresses = sentinels.iter().map(|info| info.addr().clone());
    let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?
        .set_client_to_redis_db(db)
        .set_client_to_redis_protocol(ProtocolVersion::RESP2)
        .set_client_to_redis_tcp_settings(tcp());
    if tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(username) = settings.username() {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    builder.build()
}

/// Awaits a call and tells whether it got past its first step.
///
/// The connection's own task runs on this thread, so that a call that fails at once was refused
/// by a queue that is closed already: nothing was sent, and sending it again is safe.
async fn first_poll<T>(call: impl Future<Output = RedisResult<T>>) -> (RedisResult<T>, bool) {
    let mut call = std::pin::pin!(call);
    let first = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
    match first {
        Poll::Ready(outcome) => (outcome, false),
        Poll::Pending => (call.await, true),
    }
}
