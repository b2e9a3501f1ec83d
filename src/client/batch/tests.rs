//! Every schedule of a few callers, and random ones of many.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::*;
use crate::{
    Redis,
    transport::{BoxFuture, Exchange, RequestContext, TransportResponse},
};

/// Answers when told to; every command is answered with its second argument.
#[derive(Debug, Clone, Default)]
struct Manual(Arc<Mutex<Vec<SentExchange>>>);

#[derive(Debug)]
struct SentExchange {
    commands: Vec<String>,
    state: ExchangeState,
    waker: Option<Waker>,
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum ExchangeState {
    InFlight,
    Released,
    Answered,
    Abandoned,
}

impl Manual {
    fn client(&self, max_in_flight: usize) -> Redis {
        crate::client::config::Builder::over(self.clone())
            .max_in_flight(max_in_flight)
            .max_retries(0)
            .build()
            .unwrap()
    }

    /// Lets the oldest exchange in flight be answered.
    fn release(&self) -> bool {
        let mut exchanges = self.0.lock().unwrap();
        let Some(exchange) = exchanges
            .iter_mut()
            .find(|f| f.state == ExchangeState::InFlight)
        else {
            return false;
        };
        exchange.state = ExchangeState::Released;
        let waker = exchange.waker.take();
        drop(exchanges);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    fn sent(&self) -> Vec<String> {
        let exchanges = self.0.lock().unwrap();
        exchanges
            .iter()
            .flat_map(|f| f.commands.iter().cloned())
            .collect()
    }

    fn exchanges(&self) -> Vec<Vec<String>> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|f| f.commands.clone())
            .collect()
    }
}

impl Transport for Manual {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        let text = |args: &Args| String::from_utf8(args.get(1).unwrap().to_vec()).unwrap();
        let commands: Vec<_> = exchange.commands.iter().map(text).collect();
        let mut exchanges = self.0.lock().unwrap();
        let number = exchanges.len();
        exchanges.push(SentExchange {
            commands,
            state: ExchangeState::InFlight,
            waker: None,
        });
        drop(exchanges);
        Box::pin(Answering {
            of: self.clone(),
            number,
        })
    }
}

struct Answering {
    of: Manual,
    number: usize,
}

impl Future for Answering {
    type Output = Result<TransportResponse>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut exchanges = self.of.0.lock().unwrap();
        let exchange = &mut exchanges[self.number];
        if exchange.state == ExchangeState::InFlight {
            exchange.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        exchange.state = ExchangeState::Answered;
        let reply = |c: &String| Reply::Bulk(c.clone().into());
        let replies = exchange.commands.iter().map(reply).collect();
        Poll::Ready(Ok(TransportResponse {
            replies,
            sync_token: None,
            request_bytes: 0,
            reply_bytes: 0,
            status: None,
        }))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut exchanges = self.of.0.lock().unwrap();
        let state = &mut exchanges[self.number].state;
        if *state != ExchangeState::Answered {
            *state = ExchangeState::Abandoned;
        }
    }
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One caller, polled by hand.
struct Caller {
    name: String,
    future: Option<Pin<Box<dyn Future<Output = Result<String>> + Send>>>,
    woken: Arc<Flag>,
    result: Option<Result<String>>,
}

impl Caller {
    fn new(redis: &Redis, name: String) -> Self {
        let redis = redis.clone();
        let echo = name.clone();
        let future = async move { redis.command("ECHO").arg(echo).query::<String>().await };
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        Self {
            name,
            future: Some(Box::pin(future)),
            woken,
            result: None,
        }
    }

    fn poll(&mut self) {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        if let Some(future) = &mut self.future
            && let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            self.result = Some(result);
            self.future = None;
        }
    }

    fn wants_poll(&self) -> bool {
        self.future.is_some() && self.woken.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Poll(usize),
    Drop(usize),
    Release,
    /// Longer than anybody's patience.
    Wait,
}

const CALLERS: usize = 3;

fn step(n: usize) -> Step {
    match n {
        n if n < CALLERS => Step::Poll(n),
        n if n < 2 * CALLERS => Step::Drop(n - CALLERS),
        n if n == 2 * CALLERS => Step::Release,
        _ => Step::Wait,
    }
}

/// Plays a schedule, then lets everything end as an executor would: only who was woken is
/// polled, and the first `held` never again. With timers where there is a runtime.
async fn play(schedule: &[Step], max_in_flight: usize, held: usize) {
    let timers = tokio::runtime::Handle::try_current().is_ok();
    let mut waited = false;
    let transport = Manual::default();
    let redis = transport.client(max_in_flight);
    let mut callers: Vec<_> = (0..CALLERS)
        .map(|i| Caller::new(&redis, format!("c{i}")))
        .collect();
    let mut order: Vec<String> = Vec::new();
    for step in schedule {
        match *step {
            Step::Poll(i) => {
                if callers[i].future.is_some() && !order.contains(&callers[i].name) {
                    order.push(callers[i].name.clone());
                }
                callers[i].poll();
            }
            Step::Drop(i) => callers[i].future = None,
            Step::Release => drop(transport.release()),
            Step::Wait if timers => tokio::time::sleep(2 * driver::PATIENCE).await,
            Step::Wait => {}
        }
    }
    loop {
        let next = (held..CALLERS).find(|i| callers[*i].wants_poll());
        if let Some(i) = next {
            if !order.contains(&callers[i].name) {
                order.push(callers[i].name.clone());
            }
            callers[i].poll();
            waited = false;
        } else if timers && !waited {
            tokio::time::sleep(2 * driver::PATIENCE).await;
            waited = true;
        } else if !transport.release() {
            break;
        }
    }
    let context = || format!("{schedule:?} in_flight={max_in_flight} held={held}");
    for (i, caller) in callers.iter().enumerate() {
        if i >= held {
            assert!(
                caller.future.is_none(),
                "{} is stalled: {}",
                caller.name,
                context()
            );
        }
        if let Some(result) = &caller.result {
            assert_eq!(result.as_ref().unwrap(), &caller.name, "{}", context());
        }
    }
    let sent = transport.sent();
    let in_order: Vec<_> = order.iter().filter(|n| sent.contains(n)).cloned().collect();
    assert_eq!(sent, in_order, "order or repetition: {}", context());
    drop(callers);
    let core = Arc::downgrade(&redis.core);
    drop(redis);
    assert_eq!(core.strong_count(), 0, "client leaks: {}", context());
}

#[test]
fn every_schedule_of_three_callers_ends_well() {
    let done = futures_util::FutureExt::now_or_never(play_every_schedule());
    assert!(done.is_some(), "nothing waits without timers");
}

#[tokio::test(start_paused = true)]
async fn every_schedule_of_three_callers_ends_well_with_timers() {
    play_every_schedule().await;
}

async fn play_every_schedule() {
    const DEPTH: u32 = 6;
    let timers = tokio::runtime::Handle::try_current().is_ok();
    let steps = 2 * CALLERS + 1 + usize::from(timers);
    let mut played = 0;
    for n in 0..steps.pow(DEPTH) {
        let mut rest = n;
        let schedule: Vec<_> = (0..DEPTH)
            .map(|_| {
                let s = step(rest % steps);
                rest /= steps;
                s
            })
            .collect();
        // By symmetry the first to act is the first caller.
        if !matches!(schedule[0], Step::Poll(0)) {
            continue;
        }
        for in_flight in [1, 2] {
            for held in 0..CALLERS {
                play(&schedule, in_flight, held).await;
                played += 1;
            }
        }
    }
    assert!(played > 60_000, "{played}");
}

#[test]
fn random_schedules_of_many_callers_end_well() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize % n
    };
    for round in 0..300 {
        let transport = Manual::default();
        let redis = transport.client(1 + round % 4);
        let mut callers: Vec<_> = (0..40)
            .map(|i| Caller::new(&redis, format!("c{i}")))
            .collect();
        for _ in 0..200 {
            let i = below(callers.len());
            match below(12) {
                0 => callers[i].future = None,
                1 => drop(transport.release()),
                _ if callers[i].wants_poll() => callers[i].poll(),
                _ => {}
            }
        }
        loop {
            if let Some(caller) = callers.iter_mut().find(|c| c.wants_poll()) {
                caller.poll();
            } else if !transport.release() {
                break;
            }
        }
        for caller in &callers {
            assert!(
                caller.future.is_none(),
                "{} stalled in round {round}",
                caller.name
            );
            if let Some(result) = &caller.result {
                assert_eq!(result.as_ref().unwrap(), &caller.name);
            }
        }
        let mut sent = transport.sent();
        let all = sent.len();
        sent.sort_unstable();
        sent.dedup();
        assert_eq!(sent.len(), all, "sent twice in round {round}");
    }
}

#[tokio::test]
async fn commands_of_one_join_leave_in_one_request_in_order() {
    let transport = Manual::default();
    let redis = transport.client(4);
    let calls = (0..5).map(|i| {
        let redis = &redis;
        async move { redis.command("ECHO").arg(i).query::<i64>().await.unwrap() }
    });
    let all = futures_util::future::join_all(calls);
    let release = async {
        while !transport.release() {
            tokio::task::yield_now().await;
        }
    };
    let (numbers, ()) = tokio::join!(all, release);
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    assert_eq!(transport.exchanges(), [["0", "1", "2", "3", "4"]]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_never_polled_again_holds_up_others_for_a_moment_at_most() {
    let transport = Manual::default();
    let redis = transport.client(4);
    let mut held = Caller::new(&redis, "held".into());
    held.poll();
    let start = tokio::time::Instant::now();
    let call = redis.command("ECHO").arg("x").query::<String>();
    let release = async {
        while !transport.release() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (reply, ()) = tokio::join!(call, release);
    assert_eq!(reply.unwrap(), "x");
    assert!(start.elapsed() < Duration::from_millis(5));
    assert_eq!(transport.exchanges(), [["held", "x"]]);
}

/// Two callers that are held, and no time that passes: the runtime of the first is not run.
#[test]
fn a_caller_in_another_runtime_leaves_nothing_to_the_first() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let transport = Manual::default();
    let redis = transport.client(4);
    let mut held: Vec<_> = (0..2)
        .map(|i| Caller::new(&redis, format!("c{i}")))
        .collect();
    first.block_on(async { held.iter_mut().for_each(Caller::poll) });
    let mut other = Caller::new(&redis, "other".into());
    second.block_on(async { other.poll() });
    assert!(other.wants_poll());
}

#[cfg(feature = "embedded")]
#[test]
fn a_store_in_process_needs_no_runtime_with_timers() {
    let redis = Redis::embedded(restis_engine::Engine::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let echo = |text: &'static str| {
        let redis = &redis;
        async move { redis.command("ECHO").arg(text).query::<String>().await }
    };
    let both = async { tokio::join!(echo("a"), echo("b")) };
    let (a, b) = runtime.unwrap().block_on(both);
    assert_eq!((a.unwrap(), b.unwrap()), ("a".into(), "b".into()));
}

#[tokio::test]
async fn one_caller_of_many_is_polled_again_for_all() {
    let transport = Manual::default();
    let redis = transport.client(4);
    let mut callers: Vec<_> = (0..4)
        .map(|i| Caller::new(&redis, format!("c{i}")))
        .collect();
    callers.iter_mut().for_each(Caller::poll);
    let wanted: Vec<bool> = callers.iter().map(Caller::wants_poll).collect();
    assert_eq!(wanted, [true, false, false, false]);
    callers[0].poll();
    assert_eq!(transport.exchanges(), [["c0", "c1", "c2", "c3"]]);
}

#[tokio::test]
async fn commands_gather_while_requests_are_in_flight() {
    let transport = Manual::default();
    let redis = transport.client(1);
    let mut callers: Vec<_> = (0..4)
        .map(|i| Caller::new(&redis, format!("c{i}")))
        .collect();
    callers[0].poll();
    callers[0].poll();
    for caller in &mut callers[1..] {
        caller.poll();
        caller.poll();
    }
    assert_eq!(transport.exchanges(), [["c0"]]);
    transport.release();
    callers.iter_mut().for_each(Caller::poll);
    callers.iter_mut().for_each(Caller::poll);
    assert_eq!(transport.exchanges(), [vec!["c0"], vec!["c1", "c2", "c3"]]);
}

#[tokio::test(start_paused = true)]
async fn each_caller_gives_up_at_its_own_deadline() {
    let transport = Manual::default();
    let redis = transport.client(1);
    let short = redis.command("ECHO").arg("short").query::<String>();
    let short = short.timeout(Duration::from_millis(100));
    let long = redis.command("ECHO").arg("long").query::<String>();
    let start = tokio::time::Instant::now();
    let short = async {
        let error = short.await.unwrap_err();
        assert_eq!(start.elapsed().as_millis(), 100);
        error
    };
    let (short, long) = tokio::join!(short, long);
    assert_eq!(
        (short.kind(), short.delivery(), short.attempts()),
        (ErrorKind::Timeout, Delivery::MaybeExecuted, 1)
    );
    assert!(long.unwrap_err().is_timeout());
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_waited_at_the_gate_was_not_sent() {
    let transport = Manual::default();
    let redis = transport.client(1);
    let mut first = Caller::new(&redis, "first".into());
    first.poll();
    first.poll();
    let call = redis.command("ECHO").arg("x").query::<String>();
    let error = call.timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::Timeout, Delivery::NotSent)
    );
    assert_eq!(transport.sent(), ["first"]);
}

#[test]
fn a_batch_is_cut_at_its_limits_and_stays_in_order() {
    let transport = Manual::default();
    let redis = crate::client::config::Builder::over(transport.clone())
        .max_batch_commands(2)
        .max_batch_bytes(100)
        .build()
        .unwrap();
    let big = "x".repeat(200);
    let names = ["a", "b", "c", &big, "d"];
    let mut callers: Vec<_> = names
        .iter()
        .map(|n| Caller::new(&redis, (*n).into()))
        .collect();
    callers.iter_mut().for_each(Caller::poll);
    loop {
        if let Some(caller) = callers.iter_mut().find(|c| c.wants_poll()) {
            caller.poll();
        } else if !transport.release() {
            break;
        }
    }
    assert!(
        callers
            .iter()
            .all(|c| c.result.as_ref().unwrap().as_ref().unwrap() == &c.name)
    );
    let exchanges = transport.exchanges();
    assert_eq!(
        exchanges,
        [vec!["a", "b"], vec!["c"], vec![&big], vec!["d"]]
    );
}

#[test]
fn a_dropped_caller_takes_its_unsent_command_along() {
    let transport = Manual::default();
    let redis = transport.client(4);
    let mut callers: Vec<_> = (0..3)
        .map(|i| Caller::new(&redis, format!("c{i}")))
        .collect();
    callers.iter_mut().for_each(Caller::poll);
    callers[0].future = None;
    callers[1].poll();
    assert_eq!(transport.exchanges(), [["c1", "c2"]]);
}

/// Answers after the same time each; counts requests.
#[derive(Debug, Clone)]
struct Distant {
    round_trip: Duration,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: usize,
    in_flight: usize,
    most_in_flight: usize,
}

impl Distant {
    fn new(round_trip: Duration) -> Self {
        Self {
            round_trip,
            counts: Arc::default(),
        }
    }
}

impl Transport for Distant {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        Box::pin(async move {
            {
                let mut counts = self.counts.lock().unwrap();
                counts.requests += 1;
                counts.in_flight += 1;
                counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
            }
            if self.round_trip.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(self.round_trip).await;
            }
            self.counts.lock().unwrap().in_flight -= 1;
            let replies = exchange.commands.iter().map(|_| Reply::Nil);
            Ok(TransportResponse::new(replies.collect()))
        })
    }
}

/// Sends calls at a steady rate, whether earlier ones have ended or not; their times in order.
async fn open_loop(redis: &Redis, rate: u32) -> Vec<Duration> {
    let start = tokio::time::Instant::now();
    let calls = (0..2 * rate).map(|number| {
        let (redis, due) = (
            redis.clone(),
            start + Duration::from_secs(1) * number / rate,
        );
        tokio::spawn(async move {
            tokio::time::sleep_until(due).await;
            let started = tokio::time::Instant::now();
            redis
                .command("GET")
                .arg("k")
                .query::<Reply>()
                .await
                .unwrap();
            started.elapsed()
        })
    });
    let mut times = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        times.push(call.await.unwrap());
    }
    times.sort_unstable();
    times
}

/// A host takes an event away with its request: what another event has sent does not wait for it.
#[test]
fn the_events_of_a_worker_share_no_request_and_no_permit() {
    let transport = Manual::default();
    let redis = transport.client(1);
    let echo = async |text: &str| redis.command("ECHO").arg(text).query::<String>().await;
    let event = |a: &'static str, b: &'static str| {
        let calls = async move { futures_util::future::join(echo(a), echo(b)).await };
        Box::pin(RequestContext::new().within(calls))
    };
    let mut cx = Context::from_waker(Waker::noop());
    let (mut lost, mut other) = (event("a", "b"), event("c", "d"));
    // The second poll sends what has gathered.
    for _ in 0..2 {
        assert!(lost.as_mut().poll(&mut cx).is_pending());
        assert!(other.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(transport.exchanges(), [["a", "b"], ["c", "d"]]);
    assert!(transport.release() && transport.release());
    let Poll::Ready((c, d)) = other.as_mut().poll(&mut cx) else {
        panic!("it waits for the other event");
    };
    assert_eq!((c.unwrap(), d.unwrap()), ("c".to_owned(), "d".to_owned()));
    drop(lost);
}

#[tokio::test(start_paused = true)]
async fn over_a_distance_no_call_waits_for_the_round_trips_of_others() {
    for rate in [50, 500, 3000] {
        let transport = Distant::new(Duration::from_millis(30));
        let redis = Redis::with_transport(transport.clone());
        let times = open_loop(&redis, rate).await;
        let p99 = times[times.len() * 99 / 100];
        assert!(p99 <= Duration::from_millis(39), "{rate}/s: {p99:?}");
        let most = transport.counts.lock().unwrap().most_in_flight;
        assert!(most <= 64, "{rate}/s: {most} in flight");
    }
}

#[tokio::test(start_paused = true)]
async fn near_the_server_calls_share_few_requests() {
    let transport = Distant::new(Duration::ZERO);
    let redis = Redis::with_transport(transport.clone());
    let get = || async {
        redis
            .command("GET")
            .arg("k")
            .query::<Reply>()
            .await
            .unwrap()
    };
    get().await;
    let callers = (0..64).map(|_| async {
        for _ in 0..100 {
            get().await;
        }
    });
    futures_util::future::join_all(callers).await;
    let counts = transport.counts.lock().unwrap();
    assert!(counts.most_in_flight <= 4, "{counts:?}");
    assert!(counts.requests <= 6400 / 16, "{counts:?}");
}
