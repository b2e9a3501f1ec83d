//! What the client is measured by: one turn of each kind of work.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use futures_util::future::join_all;
use restis::prelude::*;
use restis::ratelimit::{Limit, RateLimiter};
use restis::transport::Encoding;

use crate::failure::Failure;
use crate::store::TOKEN;

const VALUE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// One GET after another.
    Sequential,
    /// 64 GETs at once, which leave in one request.
    Merged,
    /// A pipeline of 100 GETs.
    Pipeline,
    /// 64 decisions of a rate limit at once.
    Decisions,
}

impl Work {
    /// Commands of one turn.
    pub(crate) fn commands(self) -> u64 {
        match self {
            Self::Sequential => 1,
            Self::Merged | Self::Decisions => 64,
            Self::Pipeline => 100,
        }
    }

    async fn turn(self, clients: &Clients) -> restis::Result<()> {
        let Clients {
            redis,
            limiter,
            names,
        } = clients;
        match self {
            Self::Sequential => redis.get::<String>("k").await.map(drop),
            Self::Merged => {
                let all = (0..64).map(|_| async { redis.get::<String>("k").await.map(drop) });
                join_all(all).await.into_iter().collect()
            }
            Self::Pipeline => {
                let mut p = redis.pipeline();
                let handles: Vec<_> = (0..100).map(|_| p.get::<String>("k")).collect();
                let mut replies = p.exec().await?;
                handles
                    .into_iter()
                    .try_for_each(|handle| replies.take(handle).map(drop))
            }
            Self::Decisions => {
                let all = join_all(names.iter().map(|name| limiter.limit(name))).await;
                all.into_iter().try_for_each(|decision| decision.map(drop))
            }
        }
    }
}

/// What a turn works with.
#[derive(Debug, Clone)]
struct Clients {
    redis: Redis,
    limiter: RateLimiter,
    /// Who asks the limiter.
    names: Vec<String>,
}

impl Clients {
    fn new(redis: Redis) -> Result<Self, Failure> {
        let limit = Limit::sliding_window(u64::from(u32::MAX), Duration::from_secs(60));
        let limiter = RateLimiter::builder(redis.clone(), limit.map_err(failed)?).build();
        Ok(Self {
            redis,
            limiter,
            names: (0..64).map(|i| format!("user-{i}")).collect(),
        })
    }
}

pub(crate) fn failed(error: restis::Error) -> Failure {
    Failure::new(format!("the client failed: {error}"))
}

/// This client, in the encodings it has.
pub(crate) struct Ours {
    runtime: tokio::runtime::Runtime,
    clients: Clients,
    resp: Clients,
}

impl Ours {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let runtime = crate::runtime::event_loop()?;
        let redis = Redis::builder(url, TOKEN).build().map_err(failed)?;
        let resp = Redis::builder(url, TOKEN).encoding(Encoding::Resp2);
        let resp = resp.build().map_err(failed)?;
        let set = async { redis.set("k", VALUE).await };
        runtime.block_on(set).map_err(failed)?;
        Ok(Self {
            runtime,
            clients: Clients::new(redis)?,
            resp: Clients::new(resp)?,
        })
    }

    fn in_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = restis::Result<T>> + Send + 'static,
    ) -> Result<T, Failure> {
        crate::runtime::in_task(&self.runtime, async { work.await.map_err(failed) })
    }

    /// Commands a second.
    pub(crate) fn rate(&self, work: Work, time: Duration) -> Result<f64, Failure> {
        self.in_task(repeat(self.clients.clone(), work, time))
    }

    /// Commands a second with RESP2 in the answers.
    pub(crate) fn rate_in_resp(&self, work: Work, time: Duration) -> Result<f64, Failure> {
        self.in_task(repeat(self.resp.clone(), work, time))
    }

    /// Commands a second of 64 tasks that GET one after another.
    pub(crate) fn rate_of_tasks(&self, time: Duration) -> Result<f64, Failure> {
        let one = |_| {
            let work = repeat(self.clients.clone(), Work::Sequential, time);
            self.runtime.spawn(work)
        };
        let all: Vec<_> = (0..64).map(one).collect();
        let rates = self.runtime.block_on(join_all(all));
        rates.into_iter().try_fold(0.0, |sum, rate| {
            let rate = rate.map_err(|error| Failure::new(format!("the client failed: {error}")))?;
            Ok(sum + rate.map_err(failed)?)
        })
    }

    /// So many turns, for who counts something else than time.
    pub(crate) fn turns(&self, work: Work, turns: u32) -> Result<(), Failure> {
        let clients = self.clients.clone();
        self.in_task(async move {
            for _ in 0..turns {
                work.turn(&clients).await?;
            }
            Ok(())
        })
    }
}

async fn repeat(clients: Clients, work: Work, time: Duration) -> restis::Result<f64> {
    let (start, mut done) = (Instant::now(), 0);
    loop {
        work.turn(&clients).await?;
        done += work.commands();
        let passed = start.elapsed();
        if passed >= time {
            return Ok(done as f64 / passed.as_secs_f64());
        }
    }
}
