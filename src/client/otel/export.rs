//! Sends what was recorded to a collector.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, join, select};
use http::{HeaderMap, HeaderValue, Method, header};

use super::{
    config::TelemetryConfig,
    encode::{self, MetricsBatch},
    message::Resource,
    record::{Record, now_ns},
};
use crate::{
    client::{
        Redis,
        metrics::{Families, WeakMetrics},
        variables::Variables,
    },
    protocol::error::{Error, Result},
    transport::{HttpPool, RequestBody, Roots, fixed_headers, request, time::Instant},
};

const CONNECT: Duration = Duration::from_secs(5);
/// What a collector says besides its status is not read further than this.
const ANSWER_BYTES: usize = 64 * 1024;
/// Time between two exports of a process that lives long.
const EVERY: Duration = Duration::from_secs(5);
/// Time that the last export of a process gets.
const AT_END: Duration = Duration::from_secs(2);
/// A collector that fails is left alone for this long, or for as long as it asks.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Spans and metrics of this process, and the collector that gets them; clones share them.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    config: TelemetryConfig,
    resource: Resource,
    collector: HttpPool,
    headers: HeaderMap,
    start_ns: u64,
    record: Mutex<Record>,
    watched: OnceLock<WeakMetrics>,
    exporting: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing is sent before.
    paused_until: Option<Instant>,
    /// When metrics were sent last.
    metrics_at: Option<Instant>,
}

/// What an export sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Spans, and metrics when it is time for them.
    Due,
    /// Everything, although the collector may have failed a moment ago.
    Everything,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Telemetry").field(&self.0.config).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Telemetry {
    /// Telemetry for the standard variables; `None` unless they ask for it, and when they are wrong,
    /// which `vars` notes.
    pub fn from_vars(vars: &mut Variables<'_>) -> Option<Self> {
        let config = TelemetryConfig::from_vars(vars)?;
        match Self::new(config) {
            Ok(telemetry) => Some(telemetry),
            Err(error) => {
                vars.problem("OTEL_EXPORTER_OTLP_ENDPOINT", error);
                None
            }
        }
    }

    /// Telemetry that nothing is recorded in yet.
    ///
    /// # Errors
    /// `Config` when this build cannot reach the endpoint: `https` needs the feature `rustls`.
    pub fn new(config: TelemetryConfig) -> Result<Self> {
        let roots = Roots::default();
        let collector = HttpPool::new(&config.endpoint, CONNECT, ANSWER_BYTES, &roots)?
            .ok_or_else(|| Error::config("this build cannot reach such a URL"))?;
        let mut headers = fixed_headers(&config.endpoint, &config.headers);
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        headers.insert(header::CONTENT_TYPE, protobuf);
        let mut attributes = config.resource.clone();
        if !attributes
            .iter()
            .any(|(key, _)| key == "service.instance.id")
        {
            let mut id = [0; 16];
            // Without randomness instances of one moment count as one.
            let _ = getrandom::fill(&mut id);
            attributes.push(("service.instance.id".to_owned(), hex::encode(id)));
        }
        for (key, value) in [
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.name", "restis"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ] {
            attributes.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self(Arc::new(Inner {
            resource: encode::resource(&attributes),
            config,
            collector,
            headers,
            start_ns: now_ns(),
            record: Mutex::default(),
            watched: OnceLock::new(),
            exporting: AtomicBool::new(false),
            state: Mutex::default(),
        })))
    }

    /// Records the calls of a client from now on; the metrics of the first one are exported.
    ///
    /// A client belongs to one `Telemetry`: the first counts.
    pub fn watch(&self, redis: &Redis) {
        let _ = self.0.watched.set(redis.metrics().downgrade());
        redis.metrics().observe_calls(self, redis.server_address());
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        lock(&self.0.record)
    }

    /// Runs a program's work, exports every few seconds meanwhile and everything at its end.
    ///
    /// `families` yields metrics of other parts of the process, when they are due.
    pub async fn run_beside<T>(
        &self,
        work: impl Future<Output = T>,
        families: impl AsyncFn() -> Families,
    ) -> T {
        let exports = async {
            loop {
                tokio::time::sleep(EVERY).await;
                let due = self.metrics_are_due();
                let families = if due {
                    families().await
                } else {
                    Families::default()
                };
                self.export(Wanted::Due, families, self.0.config.timeout)
                    .await;
            }
        };
        let done = match select(pin!(work), pin!(exports)).await {
            Either::Left((done, _)) | Either::Right((done, _)) => done,
        };
        self.shut_down(families().await, AT_END).await;
        done
    }

    /// Exports the spans, and the metrics when it is time for them, within a time.
    ///
    /// What is not taken in that time is kept for the next one, as far as there is room. While another
    /// export runs, and for ten seconds after one that failed, nothing is sent.
    pub async fn flush(&self, within: Duration) {
        self.export(Wanted::Due, Families::default(), within).await;
    }

    /// Exports everything, before the process ends.
    pub async fn shut_down(&self, families: Families, within: Duration) {
        self.export(Wanted::Everything, families, within).await;
    }

    fn metrics_are_due(&self) -> bool {
        let last = lock(&self.0.state).metrics_at;
        last.is_none_or(|last| {
            Instant::now().saturating_duration_since(last) >= self.0.config.metrics_every
        })
    }

    async fn export(&self, wanted: Wanted, families: Families, within: Duration) {
        let inner = &*self.0;
        let paused = lock(&inner.state).paused_until;
        let paused = paused.is_some_and(|until| Instant::now() < until);
        if paused && wanted == Wanted::Due || inner.exporting.swap(true, Ordering::AcqRel) {
            return;
        }
        let _exporting = Exporting(&inner.exporting);
        let (spans, dropped) = self.record().take_spans();
        if dropped > 0 {
            tracing::warn!(dropped, "spans were dropped: more than an export can hold");
        }
        let with_metrics = wanted == Wanted::Everything || self.metrics_are_due();
        let metrics = with_metrics.then(|| self.metrics(&families)).flatten();
        let traces = async {
            if spans.is_empty() {
                return Ok(());
            }
            let body = encode::traces(&inner.resource, &spans);
            self.post("v1/traces", body).await
        };
        let metrics = async {
            let Some(body) = metrics else { return Ok(()) };
            let posted = self.post("v1/metrics", body).await;
            if posted.is_ok() {
                lock(&inner.state).metrics_at = Some(Instant::now());
            }
            posted
        };
        let within = within.min(inner.config.timeout);
        let both = join(traces, metrics);
        let (traces, metrics) = match tokio::time::timeout(within, both).await {
            Ok(both) => both,
            Err(_) => (Err(Unsent::in_time()), Ok(())),
        };
        if matches!(&traces, Err(unsent) if unsent.again) {
            self.record().put_back(spans);
        }
        let unsent = traces.err().or(metrics.err());
        let mut state = lock(&inner.state);
        if let Some(unsent) = &unsent {
            // Once for each pause.
            tracing::warn!("the collector does not take telemetry: {}", unsent.why);
        }
        state.paused_until = unsent.map(|unsent| Instant::now() + unsent.pause);
    }

    fn metrics(&self, families: &Families) -> Option<Vec<u8>> {
        let inner = &*self.0;
        let mut batch = MetricsBatch::new(inner.start_ns, now_ns());
        batch.add_series(self.record().series());
        if let Some(metrics) = inner.watched.get().and_then(WeakMetrics::upgrade) {
            let snapshot = metrics.snapshot();
            batch.add_messages(&snapshot);
            batch.add_families(&snapshot.families());
        }
        batch.add_families(families);
        batch.into_body(&inner.resource)
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> Result<(), Unsent> {
        let inner = &*self.0;
        let base = inner.config.endpoint.path().trim_end_matches('/');
        let path = format!("{base}/{path}");
        let body = RequestBody::new(Bytes::from(body), Arc::default());
        let request = request(Method::POST, &path, inner.headers.clone(), body);
        let sent = AtomicBool::new(false);
        let answer = match request {
            Ok(request) => inner.collector.send(request, &sent).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok((head, _)) if head.status.is_success() => Ok(()),
            Ok((head, _)) => Err(Unsent::answered(head.status.as_u16(), head.retry_after)),
            Err(error) => match error.status() {
                Some(200..=299) => Ok(()),
                Some(status) => Err(Unsent::answered(status, None)),
                None => Err(Unsent::failed(&error)),
            },
        }
    }
}

/// Why an export did not succeed.
struct Unsent {
    why: String,
    /// Sending it again may help.
    again: bool,
    pause: Duration,
}

impl Unsent {
    fn in_time() -> Self {
        Self {
            why: "no answer in time".to_owned(),
            again: true,
            pause: PAUSE,
        }
    }

    fn failed(error: &Error) -> Self {
        Self {
            why: error.to_string(),
            again: true,
            pause: PAUSE,
        }
    }

    /// The statuses that may be repeated are those of the specification of OTLP.
    fn answered(status: u16, after: Option<Duration>) -> Self {
        Self {
            why: format!("it answered {status}"),
            again: matches!(status, 429 | 502..=504),
            pause: after.unwrap_or(PAUSE).min(LONGEST_PAUSE),
        }
    }
}

/// Ends an export, also one that is abandoned.
struct Exporting<'a>(&'a AtomicBool);

impl Drop for Exporting<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
