//! Every interleaving of a few operations of two processes, on the shipped code: no read returns what
//! was removed before it began, or a value older than its rule, whatever the clocks say.
use super::*;
use restis::{
    Result,
    cache::{Invalidated, Lifetime, Source},
    transport::{BoxFuture, Exchange, Transport, TransportResponse},
};
use std::{
    future::poll_fn,
    sync::{Mutex, atomic::AtomicBool},
    task::{Context, Poll, Wake, Waker},
};

const FRESH: Duration = Duration::from_secs(60);
const STALE: Duration = Duration::from_secs(30);
const VALUES: Keyspace<(String,), u64> = Keyspace::new("values:{orgId}")
    .tag("org:{orgId}")
    .lifetime(Lifetime::new(FRESH).stale(STALE));

/// Points at which a schedule decides who goes on: each waits until it is chosen.
#[derive(Debug, Clone, Default)]
struct Gates(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    next: u64,
    waiting: Vec<(u64, Option<Waker>)>,
}

impl Gates {
    async fn pass(&self) {
        let mut gate = {
            let mut all = self.0.lock().unwrap();
            all.next += 1;
            let id = all.next;
            all.waiting.push((id, None));
            Gate(self.clone(), id)
        };
        poll_fn(|cx| gate.poll(cx)).await;
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().waiting.len()
    }

    fn open(&self, place: usize) {
        let (_, waker) = self.0.lock().unwrap().waiting.remove(place);
        waker.unwrap().wake();
    }
}

/// Leaves with the operation that waits at it.
struct Gate(Gates, u64);

impl Gate {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut all = self.0.0.lock().unwrap();
        match all.waiting.iter_mut().find(|(id, _)| *id == self.1) {
            None => Poll::Ready(()),
            Some((_, waker)) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0
            .0
            .lock()
            .unwrap()
            .waiting
            .retain(|(id, _)| *id != self.1);
    }
}

/// A request waits at a gate before it reaches the store.
#[derive(Debug)]
struct Gated(EmbeddedTransport, Gates);

impl Transport for Gated {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        Box::pin(async move {
            self.1.pass().await;
            self.0.execute(exchange).await
        })
    }

    fn can_batch(&self, command: &restis::Args) -> bool {
        self.0.can_batch(command)
    }

    fn sends_at_once(&self) -> bool {
        self.0.sends_at_once()
    }
}

/// What is done, one after the other, by one task of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Get,
    Load,
    /// The source changes, then the cache is told so.
    Delete,
    RemoveTag,
    Clear,
    Expire,
    ExpireTag,
    Put,
    /// The store evicts the marker of the tag, or of the key.
    EvictTag,
    EvictKey,
    /// So much time passes for all.
    Wait(u64),
}

/// The truth that the cache is to follow.
#[derive(Debug, Default)]
struct Truth {
    /// The version of the source.
    version: AtomicU64,
    /// No read that begins now may return an older version: it was removed.
    removed_below: AtomicU64,
    /// The same, but for stale values.
    expired_below: AtomicU64,
    /// When a version was made, in ms of real time.
    now_ms: AtomicU64,
    replaced_at: Mutex<Vec<(u64, u64)>>,
    loaders: [AtomicU64; 2],
}

impl Truth {
    fn change(&self) -> u64 {
        let new = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        let now = self.now_ms.load(Ordering::SeqCst);
        self.replaced_at.lock().unwrap().push((new - 1, now));
        new
    }

    /// When this version was replaced, if it was.
    fn replaced_at(&self, version: u64) -> Option<u64> {
        let all = self.replaced_at.lock().unwrap();
        all.iter().find(|(of, _)| *of == version).map(|(_, at)| *at)
    }
}

#[derive(Clone)]
struct Process {
    number: usize,
    cache: Cache,
    redis: Redis,
    gates: Gates,
    truth: Arc<Truth>,
    clocks: Arc<Vec<ManualClock>>,
    engine_ms: Arc<AtomicU64>,
    is_skewed: bool,
}

impl Process {
    async fn run(self, ops: Vec<Op>) {
        for op in ops {
            self.step(op).await;
        }
    }

    async fn step(&self, op: Op) {
        let (cache, truth) = (&self.cache, &self.truth);
        let (key, tag) = (VALUES.key(("acme",)), ORGANISATION.of(("acme",)));
        match op {
            Op::Get | Op::Load => return self.read(op).await,
            Op::Wait(seconds) => {
                self.gates.pass().await;
                for clock in &*self.clocks {
                    clock.advance(Duration::from_secs(seconds));
                }
                self.engine_ms.fetch_add(seconds * 1000, Ordering::SeqCst);
                truth.now_ms.fetch_add(seconds * 1000, Ordering::SeqCst);
                return;
            }
            Op::EvictTag => drop(self.redis.del(["cache:#tag:org:{acme}"]).await.unwrap()),
            Op::EvictKey => drop(self.redis.del(["cache:#key:values:{acme}"]).await.unwrap()),
            _ => {}
        }
        if matches!(op, Op::EvictTag | Op::EvictKey) {
            return;
        }
        self.gates.pass().await;
        let new = truth.change();
        let told = match op {
            Op::Delete => cache.delete(&key).await,
            Op::RemoveTag => cache.remove_tag(&tag).await,
            Op::Clear => cache.clear(&VALUES).await,
            Op::Expire => cache.expire(&key).await,
            Op::ExpireTag => cache.expire_tag(&tag).await,
            _ => cache
                .put(&key, &new)
                .await
                .map(|()| Invalidated::Everywhere),
        };
        assert_eq!(told.unwrap(), Invalidated::Everywhere);
        let bound = match op {
            Op::Expire | Op::ExpireTag => &truth.expired_below,
            _ => &truth.removed_below,
        };
        bound.fetch_max(new, Ordering::SeqCst);
    }

    async fn read(&self, op: Op) {
        let key = VALUES.key(("acme",));
        let truth = &self.truth;
        let removed_below = truth.removed_below.load(Ordering::SeqCst);
        let expired_below = truth.expired_below.load(Ordering::SeqCst);
        let began_ms = truth.now_ms.load(Ordering::SeqCst);
        let found = if op == Op::Get {
            self.cache.get(&key).await.unwrap()
        } else {
            let (gates, own) = (self.gates.clone(), self.clone());
            let load = self.cache.get_or_load(&key, move |_| async move {
                let running = Running::new(&own);
                gates.pass().await;
                let found = own.truth.version.load(Ordering::SeqCst);
                gates.pass().await;
                drop(running);
                Ok::<_, restis::Error>(found)
            });
            Some(load.await.unwrap())
        };
        let Some(found) = found else { return };
        assert!(
            *found >= removed_below,
            "{} was removed below {removed_below}",
            *found
        );
        if found.source() != Source::Stale {
            assert!(
                *found >= expired_below,
                "{} expired below {expired_below}",
                *found
            );
        }
        // How long it has been wrong: the store's own clock ends it, whatever others say.
        if let Some(replaced) = truth.replaced_at(*found) {
            let wrong = Duration::from_millis(began_ms.saturating_sub(replaced));
            assert!(wrong <= FRESH + STALE, "wrong for {wrong:?}");
            if found.source() == Source::Fresh && !self.is_skewed {
                assert!(wrong <= FRESH, "fresh, but wrong for {wrong:?}");
            }
        }
    }
}

/// Counts the loaders of a process that run.
struct Running(Process);

impl Running {
    fn new(process: &Process) -> Self {
        let before = process.truth.loaders[process.number].fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "two loads of a key in one process");
        Self(process.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.truth.loaders[self.0.number].fetch_sub(1, Ordering::SeqCst);
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Task = (BoxFuture<'static, ()>, Arc<Flag>);

/// Tasks by process, what else may happen.
#[derive(Clone)]
struct Scenario {
    tasks: Vec<(usize, Vec<Op>)>,
    /// How many seconds the clocks of the processes are off.
    skew: [i64; 2],
    evicts: bool,
    /// Whether one task may end at any point.
    crashes: bool,
}

/// A store that knows the scripts already, and its time.
struct Store(Engine, Arc<AtomicU64>);

impl Store {
    fn new() -> Self {
        let time = Arc::new(AtomicU64::new(NOON));
        let mut options = Options::default();
        options.clock = restis_engine::Clock::manual(Arc::clone(&time));
        let store = Self(Engine::new(options), time);
        let ops = [&INVALIDATIONS[..], &[Op::Load]].concat();
        for evicts in [false, true] {
            let mut all = scenario(&[(0, &ops)]);
            all.evicts = evicts;
            run(&store, &all, &[]);
        }
        store
    }

    fn reset(&self) {
        let emptied = self.0.call(&["FLUSHALL"]);
        assert!(!matches!(emptied, restis_engine::Reply::Error(_)));
        self.1.store(NOON, Ordering::SeqCst);
    }
}

/// One run by the choices given, then by first ones; the numbers of choices that there were.
fn run(store: &Store, scenario: &Scenario, choices: &[usize]) -> Vec<usize> {
    store.reset();
    let engine_ms = Arc::clone(&store.1);
    let (gates, truth) = (Gates::default(), Arc::new(Truth::default()));
    let clock = |skew: i64| ManualClock::new(NOON.checked_add_signed(skew * 1000).unwrap());
    let clocks = Arc::new(scenario.skew.map(clock).to_vec());
    let processes: Vec<_> = (0..2)
        .map(|number| {
            let transport = Gated(EmbeddedTransport::new(store.0.clone()), gates.clone());
            let redis = Redis::with_transport(transport);
            let mut config = CacheConfig::new();
            config.early_refresh = 0.0;
            config.evicts = scenario.evicts;
            let cache = Cache::builder(redis.clone(), config);
            Process {
                number,
                cache: cache.clock(clocks[number].clone()).build().unwrap(),
                redis,
                gates: gates.clone(),
                truth: Arc::clone(&truth),
                clocks: Arc::clone(&clocks),
                engine_ms: Arc::clone(&engine_ms),
                is_skewed: scenario.skew != [0, 0],
            }
        })
        .collect();
    let start = |(process, ops): &(usize, Vec<Op>)| -> Task {
        let task = processes[*process].clone().run(ops.clone());
        (Box::pin(task), Arc::new(Flag(AtomicBool::new(true))))
    };
    let mut tasks: Vec<Option<Task>> = scenario
        .tasks
        .iter()
        .map(|task| Some(start(task)))
        .collect();
    let mut may_crash = scenario.crashes;
    let mut widths = Vec::new();
    loop {
        while poll_woken(&mut tasks) {}
        let open = gates.len();
        let alive: Vec<_> = (0..tasks.len())
            .filter(|task| tasks[*task].is_some())
            .collect();
        if alive.is_empty() {
            return widths;
        }
        assert!(open > 0, "nobody can go on");
        let width = open + if may_crash { alive.len() } else { 0 };
        let choice = choices.get(widths.len()).copied().unwrap_or(0);
        widths.push(width);
        if choice < open {
            gates.open(choice);
        } else {
            may_crash = false;
            tasks[alive[choice - open]] = None;
        }
    }
}

fn poll_woken(tasks: &mut [Option<Task>]) -> bool {
    let mut any = false;
    for slot in tasks {
        let Some((task, flag)) = slot else { continue };
        if flag.0.swap(false, Ordering::SeqCst) {
            any = true;
            let waker = Waker::from(Arc::clone(flag));
            if task
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                *slot = None;
            }
        }
    }
    any
}

/// Runs every schedule; how many there are.
fn explore(store: &Store, scenario: &Scenario) -> usize {
    let mut choices = Vec::new();
    let mut runs = 0;
    loop {
        let widths = run(store, scenario, &choices);
        runs += 1;
        assert!(runs < 20_000, "too many schedules");
        choices.resize(widths.len(), 0);
        while choices
            .last()
            .is_some_and(|last| last + 1 >= widths[choices.len() - 1])
        {
            choices.pop();
        }
        match choices.last_mut() {
            Some(last) => *last += 1,
            None => return runs,
        }
    }
}

const INVALIDATIONS: [Op; 6] = [
    Op::Delete,
    Op::RemoveTag,
    Op::Clear,
    Op::Expire,
    Op::ExpireTag,
    Op::Put,
];

fn scenario(tasks: &[(usize, &[Op])]) -> Scenario {
    Scenario {
        tasks: tasks
            .iter()
            .map(|(process, ops)| (*process, ops.to_vec()))
            .collect(),
        skew: [0, 0],
        evicts: false,
        crashes: false,
    }
}

#[test]
fn an_invalidation_meets_a_load_at_every_point() {
    let store = Store::new();
    let mut runs = 0;
    for op in INVALIDATIONS {
        for process in [0, 1] {
            let all = scenario(&[(0, &[Op::Load, Op::Get]), (process, &[op, Op::Load])]);
            runs += explore(&store, &all);
        }
    }
    assert!(runs > 1000, "{runs}");
}

#[test]
fn a_removal_meets_a_load_where_the_store_evicts() {
    let store = Store::new();
    for op in [Op::Delete, Op::RemoveTag, Op::ExpireTag] {
        let mut all = scenario(&[(0, &[Op::Load, Op::Get]), (1, &[op, Op::Get])]);
        all.evicts = true;
        explore(&store, &all);
    }
    for (op, lost) in [(Op::RemoveTag, Op::EvictTag), (Op::Delete, Op::EvictKey)] {
        let mut all = scenario(&[(0, &[Op::Load]), (1, &[op, lost, Op::Get])]);
        all.evicts = true;
        explore(&store, &all);
    }
}

#[test]
fn an_expiry_after_a_removal_revives_nothing() {
    let store = Store::new();
    for (first, second) in [
        (Op::RemoveTag, Op::ExpireTag),
        (Op::Delete, Op::Expire),
        (Op::ExpireTag, Op::RemoveTag),
        (Op::RemoveTag, Op::RemoveTag),
        (Op::Put, Op::ExpireTag),
    ] {
        let all = scenario(&[(0, &[Op::Load, Op::Get]), (1, &[first, second])]);
        explore(&store, &all);
        // A put that is late by a change of another process is that caller's.
        if first == Op::Put {
            continue;
        }
        let all = scenario(&[(0, &[Op::Load, Op::Get]), (1, &[first]), (1, &[second])]);
        explore(&store, &all);
    }
}

#[test]
fn a_load_that_crashes_anywhere_leaves_others_right() {
    let store = Store::new();
    for op in [Op::Delete, Op::ExpireTag, Op::Put] {
        let mut all = scenario(&[(0, &[Op::Load]), (0, &[Op::Load]), (1, &[op])]);
        all.crashes = true;
        explore(&store, &all);
    }
}

#[test]
fn clocks_that_are_wrong_revive_nothing_and_lengthen_no_life() {
    let store = Store::new();
    for skew in [[0, 0], [0, 900], [0, -900], [900, -900]] {
        for op in [Op::RemoveTag, Op::ExpireTag] {
            let tasks: [(usize, &[Op]); 2] = [
                (0, &[Op::Load, Op::Wait(61), Op::Get, Op::Wait(30), Op::Get]),
                (1, &[op, Op::Get]),
            ];
            let mut all = scenario(&tasks);
            all.skew = skew;
            explore(&store, &all);
        }
    }
}
